import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { AttributeValue, SpanData, SpanKind, TraceContext } from '@rocketmq-connect/tracing';
import { batchSampler, type RootSampler, type SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import type { SpanQueue } from '@rocketmq-connect/tracing/span-queue';
import { newSpanId, newTraceId } from '@rocketmq-connect/tracing/trace-context';

/** What a host traces with. */
export interface HostSpans {
  readonly sampler: SamplerSettings;
  /** On the way to the main thread. */
  readonly queue: SpanQueue;
}

export interface TaskSpansOptions {
  readonly host: HostSpans;
  readonly clock: Clock;
  readonly random: Random;
  readonly connector: string;
  readonly task: number;
  /** A span per record of a sampled batch. */
  readonly records: boolean;
  /** The text of an error, without secrets. */
  readonly errorText: (error: unknown) => string;
}

/** Samples the batches of one task and makes their spans. Nothing is made for a batch that is not sampled. */
export class TaskSpans {
  readonly clock: Clock;
  readonly records: boolean;
  /** Who sampled a source batch wants the sink batches that deliver it, too. */
  readonly followsLinks: boolean;
  /** Draws for a batch: the id of its trace, or null. */
  readonly sample: RootSampler;
  readonly errorText: (error: unknown) => string;
  /** The sampled batch that is being worked on: for log lines. */
  active: TraceContext | null = null;
  readonly #options: TaskSpansOptions;
  readonly #attributes: Readonly<Record<string, AttributeValue>>;

  constructor(options: TaskSpansOptions) {
    const { host, clock, random, connector, task } = options;
    this.clock = clock;
    this.records = options.records;
    this.followsLinks = host.sampler.parentBased;
    this.sample = batchSampler(host.sampler, random, clock);
    this.errorText = options.errorText;
    this.#options = options;
    this.#attributes = { 'rmqc.connector': connector, 'rmqc.task': task };
  }

  newTraceId(): string {
    return newTraceId(this.#options.random);
  }

  newContext(traceId: string): TraceContext {
    return { traceId, spanId: newSpanId(this.#options.random), sampled: true, state: '' };
  }

  /** A span of the same trace below another. */
  below({ traceId, spanId }: TraceContext, name: string, sinceMs: number, untilMs: number): MadeSpan {
    return { context: this.newContext(traceId), parentSpanId: spanId, name, sinceMs, untilMs };
  }

  /** As the main thread's log lines have them. */
  logFields(): Readonly<Record<string, string>> {
    return this.active === null ? {} : { trace_id: this.active.traceId, span_id: this.active.spanId };
  }

  /** Begins the spans of a batch: their wall clock is read once. */
  open(): SpanMaker {
    const originMs = this.clock.now() - this.clock.monotonic();
    return (span) => {
      const { context, parentSpanId, name, kind = 'internal', sinceMs, untilMs, attributes = {} } = span;
      const { links = [], droppedLinks = 0, error = null } = span;
      this.#options.host.queue.add({
        context,
        parentSpanId,
        name,
        kind,
        startMs: originMs + sinceMs,
        endMs: originMs + untilMs,
        attributes: { ...this.#attributes, ...attributes },
        links,
        droppedLinks,
        error,
      });
    };
  }
}

export type SpanMaker = (span: MadeSpan) => void;

/** A finished span in monotonic milliseconds. */
export type MadeSpan = Pick<SpanData, 'context' | 'parentSpanId' | 'name'> &
  Partial<Pick<SpanData, 'attributes' | 'links' | 'droppedLinks' | 'error'>> & {
    readonly kind?: SpanKind;
    readonly sinceMs: number;
    readonly untilMs: number;
  };
