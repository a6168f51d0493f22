import { type Link, type SpanContext, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { type Clock, RetriableError } from '@rocketmq-connect/sdk';
import type { AttributeValue, SpanData, TraceContext } from '@rocketmq-connect/tracing';
import type { TracingSettings } from '@rocketmq-connect/tracing/settings';
import { SpanQueue } from '@rocketmq-connect/tracing/span-queue';
import { exported, exportResource } from './otel-export.ts';

export interface SpanExportOptions {
  readonly settings: TracingSettings;
  /** Of this process: `service.name` and the like; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count for more. */
  readonly resource: Readonly<Record<string, AttributeValue>>;
  readonly version: string;
  readonly clock: Clock;
  /** What became of spans. `dropped`: they came faster than they could be sent; `failed`: of `error`. */
  readonly onDone: (outcome: 'sent' | 'dropped' | 'failed', count: number, error?: unknown) => void;
}

/** Sends spans to where OTEL_* say, in batches, with OpenTelemetry's exporters: loading them takes a while, so import this file when tracing. */
export async function openSpanExport(options: SpanExportOptions): Promise<SpanQueue> {
  const { settings, version, clock, onDone } = options;
  const { queue } = settings;
  const exporter = await exporterOf(settings);
  const resource = exportResource(options.resource);
  return new SpanQueue({
    clock,
    delayMs: queue.delayMs,
    spansMax: queue.spansMax,
    batchMax: Math.min(queue.batchMax, queue.spansMax),
    async deliver(spans, dropped) {
      if (dropped > 0) onDone('dropped', dropped, 'they came faster than they could be sent');
      try {
        const made = spans.map((span) => readable(span, resource, version));
        await exportedWithin(queue.timeoutMs, exporter, made, clock);
        onDone('sent', spans.length);
      } catch (error) {
        onDone('failed', spans.length, error);
      }
    },
  });
}

async function exporterOf({ exporter, protocol, otlpTimeoutMs: timeoutMillis }: TracingSettings): Promise<SpanExporter> {
  if (exporter === 'zipkin') return new (await import('@opentelemetry/exporter-zipkin')).ZipkinExporter();
  if (exporter === 'console') return new (await import('@opentelemetry/sdk-trace')).ConsoleSpanExporter();
  switch (protocol) {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter({ timeoutMillis });
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter({ timeoutMillis });
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter({ timeoutMillis });
  }
}

/** Rejects with `RetriableError` when it takes longer. */
function exportedWithin(timeoutMs: number, exporter: SpanExporter, spans: ReadableSpan[], clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => reject(new RetriableError(`the exporter did not answer within ${timeoutMs} ms`)));
    exported(exporter, spans).finally(cancel).then(resolve, reject);
  });
}

function readable(span: SpanData, resource: Resource, version: string): ReadableSpan {
  const { context, parentSpanId, error } = span;
  const spanContext = contextOf(context);
  return {
    name: span.name,
    kind: kinds[span.kind],
    spanContext: () => spanContext,
    ...(parentSpanId === '' ? {} : { parentSpanContext: { ...spanContext, spanId: parentSpanId } }),
    startTime: time(span.startMs),
    endTime: time(span.endMs),
    duration: time(Math.max(0, span.endMs - span.startMs)),
    status: error === null ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
    attributes: span.attributes,
    links: span.links.map((link): Link => ({ context: contextOf(link) })),
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'rocketmq-connect', version },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: span.droppedLinks,
  };
}

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

function contextOf({ traceId, spanId, sampled, state }: TraceContext): SpanContext {
  return { traceId, spanId, traceFlags: sampled ? 1 : 0, ...(state === '' ? {} : { traceState: asTraceState(state) }) };
}

/** Exporters only write it. */
function asTraceState(text: string): NonNullable<SpanContext['traceState']> {
  const state = { serialize: () => text, get: () => undefined, set: () => state, unset: () => state };
  return state;
}

/** Seconds and nanoseconds, in whole microseconds: Zipkin takes no fractions of them. */
function time(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1000) * 1000];
}
