import type { QueueAddress } from '@rocketmq-connect/message-log';
import { NAME_END, VALUE_END } from '@rocketmq-connect/message-log/message';
import type { SourceRecord } from '@rocketmq-connect/sdk';
import { LINKS_MAX, type TraceContext } from '@rocketmq-connect/tracing';
import { formatTraceparent, parseTraceparent, TRACEPARENT } from '@rocketmq-connect/tracing/trace-context';
import type { TrackedPartition, TrackedPoll } from '../source/ack-tracker.ts';
import { CommitTraces } from './commit-traces.ts';
import { StageTimes } from './stage-times.ts';
import type { SpanMaker, TaskSpans } from './task-spans.ts';

/** Spans of sends per batch at most, since delayed messages go one by one; further sends are in the time of the batch. */
const SENDS_MAX = 64;

/** The traces of a source task: one per sampled batch that was polled. */
export class SourceTraces {
  readonly #spans: TaskSpans;
  readonly #open = new Set<SourceTrace>();
  readonly #commits: CommitTraces;
  #uncommitted: Uncommitted[] = [];

  constructor(spans: TaskSpans) {
    this.#spans = spans;
    this.#commits = new CommitTraces(spans);
  }

  /** Of a poll that began at `sinceMs` and has just given records; null: it is not sampled. */
  begin(sinceMs: number, records: readonly SourceRecord[], { segments }: TrackedPoll): SourceTrace | null {
    const traceId = this.#spans.sample();
    if (traceId === null) return null;
    const trace: SourceTrace = new SourceTrace(this.#spans, traceId, sinceMs, records.length, () => this.#open.delete(trace));
    this.#open.add(trace);
    if (this.#uncommitted.length < LINKS_MAX) {
      const ends = segments.map(({ partition, firstSequence, offsets }) => ({ partition, sequence: firstSequence + offsets.length }));
      this.#uncommitted.push({ context: trace.context, ends });
    }
    return trace;
  }

  /** The frozen offsets are durable in the log, asked from `sinceMs` until now: the `traceparent` of their commit. */
  frozen(freeze: number, sinceMs: number): string | undefined {
    const covered = this.#uncommitted.filter(isCovered);
    if (covered.length > 0) this.#uncommitted = this.#uncommitted.filter((batch) => !isCovered(batch));
    return this.#commits.frozen(
      freeze,
      covered.map(({ context }) => context),
      sinceMs,
    );
  }

  committed(freeze: number): void {
    this.#commits.committed(freeze);
  }

  /** What is not done yet never will be. */
  close(): void {
    for (const trace of this.#open) trace.end('the task ended before the log had all of the batch');
    this.#commits.close();
  }
}

/** A sampled batch, and where it ends in its partitions. */
interface Uncommitted {
  readonly context: TraceContext;
  readonly ends: readonly { readonly partition: TrackedPartition; readonly sequence: number }[];
}

function isCovered({ ends }: Uncommitted): boolean {
  return ends.every(({ partition, sequence }) => partition.frozenSequence >= sequence);
}

/**
 * The trace of one polled batch: poll, transform, convert, and a send to each queue that records of it went to. It ends when the log has
 * all of them.
 */
export class SourceTrace {
  /** What messages carry of it. */
  readonly property: Buffer;
  readonly context: TraceContext;
  readonly #spans: TaskSpans;
  readonly #make: SpanMaker;
  readonly #sinceMs: number;
  readonly #polledMs: number;
  readonly #count: number;
  readonly #onEnd: () => void;
  readonly #times: StageTimes<'transform' | 'convert'>;
  readonly #links: TraceContext[] = [];
  #droppedLinks = 0;
  /** The dispatch, and each batch of a queue that has records of this one. */
  #open = 1;
  #sends = 0;
  #error: string | null = null;
  #ended = false;
  #record: { readonly context: TraceContext; readonly sinceMs: number } | null = null;

  constructor(spans: TaskSpans, traceId: string, sinceMs: number, count: number, onEnd: () => void) {
    this.context = spans.newContext(traceId);
    this.property = propertyOf(this.context);
    this.#spans = spans;
    this.#make = spans.open();
    this.#sinceMs = sinceMs;
    this.#polledMs = spans.clock.monotonic();
    this.#count = count;
    this.#onEnd = onEnd;
    this.#times = new StageTimes(spans.clock);
    this.#times.enter('convert');
    spans.active = this.context;
  }

  /** Transforms work on a record now. */
  transforms(): void {
    this.#times.enter('transform');
  }

  /** Converters do, and the way into a batch. */
  converts(): void {
    this.#times.enter('convert');
  }

  /** The batch waits for something that is no stage of it. */
  waits(): void {
    this.#times.enter(null);
  }

  /** What the next record's message carries: by default that of the batch. */
  propertyOfNext(): Buffer {
    if (!this.#spans.records) return this.property;
    this.#endRecord();
    const context = this.#spans.newContext(this.context.traceId);
    this.#record = { context, sinceMs: this.#spans.clock.monotonic() };
    return propertyOf(context);
  }

  /** A record carries the trace that it came from, and keeps it. */
  carries(traceparent: string): void {
    const context = parseTraceparent(traceparent);
    if (context === undefined || !context.sampled) return;
    if (this.#links.some(({ spanId, traceId }) => spanId === context.spanId && traceId === context.traceId)) return;
    if (this.#links.length < LINKS_MAX) this.#links.push(context);
    else this.#droppedLinks++;
  }

  /** Records of it are in one more batch of a queue. */
  joined(): void {
    this.#open++;
  }

  /** That batch went out; `error` null: the log has it. */
  sent(
    { topic, broker, queue }: QueueAddress,
    sinceMs: number,
    batch: { readonly count: number; readonly bytes: number },
    error: unknown,
  ): void {
    const text = error === null ? null : this.#spans.errorText(error);
    if (++this.#sends <= SENDS_MAX || text !== null) this.#makeSend({ topic, broker, queue }, sinceMs, batch, text);
    this.#error ??= text;
    this.#leave();
  }

  /** Every record is in a batch, or dropped; `error` null: nothing failed. */
  dispatched(error: unknown): void {
    this.#endRecord();
    this.#times.enter(null);
    const transformMs = this.#times.ms('transform');
    const middleMs = this.#polledMs + (transformMs ?? 0);
    this.#make(this.#spans.below(this.context, 'poll', this.#sinceMs, this.#polledMs));
    if (transformMs !== undefined) this.#make(this.#spans.below(this.context, 'transform', this.#polledMs, middleMs));
    this.#make(this.#spans.below(this.context, 'convert', middleMs, middleMs + (this.#times.ms('convert') ?? 0)));
    if (error !== null) this.#error ??= this.#spans.errorText(error);
    if (this.#spans.active === this.context) this.#spans.active = null;
    this.#leave();
  }

  end(error: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    this.#make({
      context: this.context,
      parentSpanId: '',
      name: 'source batch',
      kind: 'producer',
      sinceMs: this.#sinceMs,
      untilMs: this.#spans.clock.monotonic(),
      attributes: { 'rmqc.records': this.#count },
      links: this.#links,
      droppedLinks: this.#droppedLinks,
      error: this.#error ?? error,
    });
  }

  #makeSend(
    { topic, broker, queue }: QueueAddress,
    sinceMs: number,
    batch: { readonly count: number; readonly bytes: number },
    error: string | null,
  ): void {
    this.#make({
      ...this.#spans.below(this.context, 'send', sinceMs, this.#spans.clock.monotonic()),
      kind: 'client',
      attributes: {
        'messaging.system': 'rocketmq',
        'messaging.operation.type': 'send',
        'messaging.destination.name': topic,
        'messaging.destination.partition.id': `${broker}/${queue}`,
        'messaging.batch.message_count': batch.count,
        'rmqc.bytes': batch.bytes,
      },
      error,
    });
  }

  #leave(): void {
    if (--this.#open === 0) this.end(null);
  }

  #endRecord(): void {
    const record = this.#record;
    if (record === null) return;
    this.#record = null;
    const { context, sinceMs } = record;
    this.#make({ ...this.#spans.below(this.context, 'record', sinceMs, this.#spans.clock.monotonic()), context, kind: 'producer' });
  }
}

function propertyOf(context: TraceContext): Buffer {
  return Buffer.from(TRACEPARENT + NAME_END + formatTraceparent(context) + VALUE_END, 'latin1');
}
