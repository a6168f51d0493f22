import {
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { type IdGenerator, RandomIdGenerator } from '@opentelemetry/sdk-trace';
import type { SpanData, TraceContext } from '@rocketmq-connect/tracing';

/** Tells OpenTelemetry of spans that have come and gone elsewhere, in other threads and processes, as if they began and ended now. */
export class SpanReplay {
  /** For the SDK: gives spans the ids that they have already. */
  readonly ids: IdGenerator;
  #context: TraceContext | null = null;

  constructor() {
    const random = new RandomIdGenerator();
    this.ids = {
      generateTraceId: () => this.#context?.traceId ?? random.generateTraceId(),
      generateSpanId: () => this.#context?.spanId ?? random.generateSpanId(),
    };
  }

  add(span: SpanData, tracer: Tracer): void {
    const { context, parentSpanId, droppedLinks, error } = span;
    const parent = parentSpanId === '' ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, contextOf({ ...context, spanId: parentSpanId }));
    this.#context = context;
    try {
      const made = tracer.startSpan(
        span.name,
        {
          kind: kinds[span.kind],
          startTime: time(span.startMs),
          attributes: droppedLinks === 0 ? span.attributes : { ...span.attributes, 'rmqc.dropped_links': droppedLinks },
          links: span.links.map((link): Link => ({ context: contextOf(link) })),
        },
        parent,
      );
      if (error !== null) made.setStatus({ code: SpanStatusCode.ERROR, message: error });
      made.end(time(Math.max(span.startMs, span.endMs)));
    } finally {
      this.#context = null;
    }
  }
}

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

function contextOf({ traceId, spanId, sampled, state }: TraceContext): SpanContext {
  return { traceId, spanId, traceFlags: sampled ? 1 : 0, ...(state === '' ? {} : { traceState: createTraceState(state) }) };
}

/** Seconds and nanoseconds, in whole microseconds: Zipkin takes no fractions of them. */
function time(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1000) * 1000];
}
