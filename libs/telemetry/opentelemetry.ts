import { trace } from '@opentelemetry/api';
import { defaultResource, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { type IMetricReader, PeriodicExportingMetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { AlwaysOnSampler, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { Clock } from '@rocketmq-connect/sdk';
import type { AttributeValue, SpanData } from '@rocketmq-connect/tracing';
import type { TracingSettings } from '@rocketmq-connect/tracing/settings';
import { CountedSpans, type OnSpans } from './counted-spans.ts';
import type { MetricsExportSettings } from './metrics/export-settings.ts';
import type { Metrics } from './metrics/registry.ts';
import { metricProducer } from './metrics-producer.ts';
import { SpanReplay } from './span-replay.ts';

export interface OpenTelemetryOptions {
  /** Null: no spans are sent. */
  readonly tracing: TracingSettings | null;
  /** Null: no metrics are sent. */
  readonly metricsExport: MetricsExportSettings | null;
  readonly metrics: Metrics;
  /** Of this process: `service.name` and the like; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count for more. */
  readonly resource: Readonly<Record<string, AttributeValue>>;
  readonly version: string;
  readonly clock: Clock;
  readonly onSpans: OnSpans;
  readonly onMetricsFailed: (error: unknown) => void;
}

export interface OpenTelemetry {
  /** Sends it, soon, with others. */
  add(span: SpanData): void;
  /** Sends what waits, and the metrics once more. */
  close(): Promise<void>;
}

const NAME = 'rocketmq-connect';

/**
 * OpenTelemetry's SDK in the main thread: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables. Loading it takes
 * half a second and some 20 MB, so import this file when something is to be sent.
 */
export async function openTelemetry(options: OpenTelemetryOptions): Promise<OpenTelemetry> {
  const { tracing, metricsExport, version, onSpans } = options;
  const replay = new SpanReplay();
  const sdk = new NodeSDK({
    resource: defaultResource().merge(resourceFromAttributes({ ...options.resource })),
    // Command lines are nobody's business unless asked for.
    ...(process.env['OTEL_NODE_RESOURCE_DETECTORS'] ? {} : { resourceDetectors: [envDetector] }),
    spanProcessors: tracing === null ? [] : [new CountedSpans(await spanExporter(tracing), tracing.queue, onSpans)],
    // Whoever made a span has decided that already.
    sampler: new AlwaysOnSampler(),
    idGenerator: replay.ids,
    metricReaders: metricsExport === null ? [] : [await metricReader(metricsExport, options)],
    logRecordProcessors: [],
    instrumentations: [],
    textMapPropagator: null,
  });
  sdk.start();
  const tracer = trace.getTracer(NAME, version);
  return { add: (span) => replay.add(span, tracer), close: () => sdk.shutdown() };
}

async function spanExporter({ exporter, protocol, otlpTimeoutMs: timeoutMillis }: TracingSettings): Promise<SpanExporter> {
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

async function metricReader(settings: MetricsExportSettings, options: OpenTelemetryOptions): Promise<IMetricReader> {
  const { metrics, clock, version, onMetricsFailed } = options;
  const { intervalMs } = settings;
  const exporter = await metricExporter(settings);
  return new PeriodicExportingMetricReader({
    exporter: {
      export: (data, done) =>
        exporter.export(data, (result) => {
          if (result.error !== undefined) onMetricsFailed(result.error);
          done(result);
        }),
      forceFlush: () => exporter.forceFlush(),
      shutdown: () => exporter.shutdown(),
    },
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(intervalMs, EXPORT_TIMEOUT_MS),
    metricProducers: [metricProducer(metrics, clock, { name: NAME, version })],
  });
}

/** OpenTelemetry's default for one collection and export. */
const EXPORT_TIMEOUT_MS = 30_000;

async function metricExporter({ protocol, timeoutMs: timeoutMillis }: MetricsExportSettings): Promise<PushMetricExporter> {
  switch (protocol) {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-metrics-otlp-proto')).OTLPMetricExporter({ timeoutMillis });
    case 'http/json':
      return new (await import('@opentelemetry/exporter-metrics-otlp-http')).OTLPMetricExporter({ timeoutMillis });
    case 'grpc':
      return new (await import('@opentelemetry/exporter-metrics-otlp-grpc')).OTLPMetricExporter({ timeoutMillis });
  }
}
