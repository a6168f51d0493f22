import type { SinkRecord } from '@rocketmq-connect/sdk';
import { LINKS_MAX, type TraceContext } from '@rocketmq-connect/tracing';
import { CommitTraces } from './commit-traces.ts';
import { StageTimes } from './stage-times.ts';
import type { SpanMaker, TaskSpans } from './task-spans.ts';
import { TraceLinks } from './trace-links.ts';

/** Spans of puts per batch at most; further puts are in the time of the batch. */
const PUTS_MAX = 64;

/** The traces of a sink task: one per sampled batch that was fetched, linked to those of the source batches whose records it delivers. */
export class SinkTraces {
  /** Told what messages carry, by whoever decodes them. */
  readonly links = new TraceLinks();
  readonly #spans: TaskSpans;
  /** Batches that were put since the last flush. */
  #put: TraceContext[] = [];
  readonly #commits: CommitTraces;

  constructor(spans: TaskSpans) {
    this.#spans = spans;
    this.#commits = new CommitTraces(spans);
  }

  nowMs(): number {
    return this.#spans.clock.monotonic();
  }

  /** Of messages whose fetch began at `sinceMs` and has just ended. Whether it is sampled shows when they are decoded. */
  begin(sinceMs: number, count: number): SinkTrace {
    return new SinkTrace(this.#spans, this.links, sinceMs, count, (context) => {
      if (this.#put.length < LINKS_MAX) this.#put.push(context);
    });
  }

  /** Flushed from `sinceMs` until now, on behalf of what was put since the last flush: the `traceparent` of its commit. */
  frozen(freeze: number, sinceMs: number): string | undefined {
    const put = this.#put;
    if (put.length > 0) this.#put = [];
    return this.#commits.frozen(freeze, put, sinceMs);
  }

  committed(freeze: number): void {
    this.#commits.committed(freeze);
  }

  /** What is not done yet never will be. */
  close(): void {
    this.#commits.close();
  }
}

/** The trace of one fetched batch: fetch, convert, transform, put. Its flush and commit are below it, and may come after its end. */
export class SinkTrace {
  readonly #spans: TaskSpans;
  readonly #links: TraceLinks;
  readonly #make: SpanMaker;
  readonly #sinceMs: number;
  readonly #fetchedMs: number;
  readonly #count: number;
  readonly #onPut: (context: TraceContext) => void;
  readonly #times: StageTimes<'convert' | 'transform'>;
  #context: TraceContext | null;
  #puts = 0;

  constructor(spans: TaskSpans, links: TraceLinks, sinceMs: number, count: number, onPut: (context: TraceContext) => void) {
    this.#spans = spans;
    this.#links = links;
    this.#make = spans.open();
    this.#sinceMs = sinceMs;
    this.#fetchedMs = spans.clock.monotonic();
    this.#count = count;
    this.#onPut = onPut;
    this.#times = new StageTimes(spans.clock);
    const traceId = spans.sample();
    this.#context = traceId === null ? null : spans.newContext(traceId);
  }

  /** Converters work on messages now. */
  converts(): void {
    this.#times.enter('convert');
  }

  /** Transforms do. */
  transforms(): void {
    this.#times.enter('transform');
  }

  /** Records go to the sink now; returns when that is. */
  putting(): number {
    this.#times.enter(null);
    this.#spans.active = this.#decided();
    return this.#spans.clock.monotonic();
  }

  /** The sink has them, or `error` says why not. */
  put(sinceMs: number, records: readonly SinkRecord[], error: unknown): void {
    this.#spans.active = null;
    const context = this.#decided();
    if (context === null) return;
    this.#onPut(context);
    if (++this.#puts > PUTS_MAX) return;
    const untilMs = this.#spans.clock.monotonic();
    this.#make({
      ...this.#spans.below(context, 'put', sinceMs, untilMs),
      attributes: { 'rmqc.records': records.length },
      error: this.#textOf(error),
    });
    if (!this.#spans.records) return;
    for (const { headers, origin } of records) {
      const own = new TraceLinks();
      if (headers !== undefined) own.seeIn(headers);
      const attributes = { 'messaging.destination.name': origin.topic, 'messaging.rocketmq.offset': origin.offset };
      this.#make({ ...this.#spans.below(context, 'record', sinceMs, untilMs), kind: 'consumer', attributes, ...own.take() });
    }
  }

  /** All of it is put, filtered or given up; `error` null: nothing failed. */
  end(error: unknown): void {
    this.#times.enter(null);
    const context = this.#decided();
    const linked = this.#links.take();
    if (context === null) return;
    const convertMs = this.#times.ms('convert') ?? 0;
    const transformMs = this.#times.ms('transform');
    const middleMs = this.#fetchedMs + convertMs;
    this.#make(this.#spans.below(context, 'fetch', this.#sinceMs, this.#fetchedMs));
    this.#make(this.#spans.below(context, 'convert', this.#fetchedMs, middleMs));
    if (transformMs !== undefined) this.#make(this.#spans.below(context, 'transform', middleMs, middleMs + transformMs));
    this.#make({
      context,
      parentSpanId: '',
      name: 'sink batch',
      kind: 'consumer',
      sinceMs: this.#sinceMs,
      untilMs: this.#spans.clock.monotonic(),
      attributes: { 'messaging.system': 'rocketmq', 'messaging.operation.type': 'process', 'messaging.batch.message_count': this.#count },
      ...linked,
      error: this.#textOf(error),
    });
  }

  /** Null: it is not sampled, as far as is known yet. */
  #decided(): TraceContext | null {
    if (this.#context !== null || !this.#spans.followsLinks || !this.#links.any) return this.#context;
    this.#context = this.#spans.newContext(this.#spans.newTraceId());
    return this.#context;
  }

  #textOf(error: unknown): string | null {
    return error === null ? null : this.#spans.errorText(error);
  }
}
