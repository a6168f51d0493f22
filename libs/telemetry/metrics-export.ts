import type { HrTime } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type MetricData,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics';
import type { Clock } from '@rocketmq-connect/sdk';
import type { AttributeValue } from '@rocketmq-connect/tracing';
import type { MetricsExportSettings } from './metrics/export-settings.ts';
import type { Histogram } from './metrics/histogram.ts';
import type { Family, Metrics, Sample } from './metrics/registry.ts';
import { exported, exportResource } from './otel-export.ts';

export interface MetricsExportOptions {
  readonly settings: MetricsExportSettings;
  readonly metrics: Metrics;
  /** Of this process: `service.name` and the like; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count for more. */
  readonly resource: Readonly<Record<string, AttributeValue>>;
  readonly version: string;
  readonly clock: Clock;
  readonly onFailed: (error: unknown) => void;
}

/** Sends all metrics by OTLP once per interval, until `close`, which sends them once more. Import this file when they are to be sent. */
export async function openMetricsExport(options: MetricsExportOptions): Promise<{ close(): Promise<void> }> {
  const { settings, metrics, version, clock, onFailed } = options;
  const exporter = await exporterOf(settings);
  const resource = exportResource(options.resource);
  const startTime = time(clock.now());
  let closed = false;
  let cancel = (): void => undefined;
  const send = async (): Promise<void> => {
    const endTime = time(clock.now());
    const scope = { name: 'rocketmq-connect', version };
    const data = metrics.collect().map((family) => metricData(family, startTime, endTime));
    try {
      await exported(exporter, { resource, scopeMetrics: [{ scope, metrics: data }] });
    } catch (error) {
      onFailed(error);
    }
  };
  const schedule = (): void => {
    cancel = clock.after(settings.intervalMs, async () => {
      await send();
      if (!closed) schedule();
    });
  };
  schedule();
  return {
    async close() {
      closed = true;
      cancel();
      await send();
      await exporter.shutdown();
    },
  };
}

async function exporterOf({ protocol, timeoutMs: timeoutMillis }: MetricsExportSettings): Promise<PushMetricExporter> {
  switch (protocol) {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-metrics-otlp-proto')).OTLPMetricExporter({ timeoutMillis });
    case 'http/json':
      return new (await import('@opentelemetry/exporter-metrics-otlp-http')).OTLPMetricExporter({ timeoutMillis });
    case 'grpc':
      return new (await import('@opentelemetry/exporter-metrics-otlp-grpc')).OTLPMetricExporter({ timeoutMillis });
  }
}

/** As OpenTelemetry writes them; who turns them into Prometheus' names adds what the names have here already. */
const units = { '': '', seconds: 's', bytes: 'By', records: '{record}' } as const;

function metricData({ name, definition, samples }: Family, startTime: HrTime, endTime: HrTime): MetricData {
  const { kind, unit, help, buckets = [] } = definition;
  const descriptor = { name: name.replace(/_total$/, ''), description: help, unit: units[unit], valueType: DOUBLE };
  const base = { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE };
  const points = <T>(value: (sample: Sample) => T): DataPoint<T>[] =>
    samples.map((sample) => ({ startTime, endTime, attributes: sample.labels, value: value(sample) }));
  const numbers = (): DataPoint<number>[] => points(({ value }) => value as number);
  switch (kind) {
    case 'counter':
      return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers() };
    case 'gauge':
      return { ...base, dataPointType: DataPointType.GAUGE, dataPoints: numbers() };
    case 'histogram':
      return {
        ...base,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: points(({ value }) => distribution(value as Histogram, buckets)),
      };
  }
}

/** ValueType.DOUBLE */
const DOUBLE = 1;

function distribution(value: Histogram, bounds: readonly number[]) {
  const counts = [...value.slice(0, bounds.length + 1)];
  return {
    sum: value[bounds.length + 1] ?? 0,
    count: counts.reduce((sum, count) => sum + count, 0),
    buckets: { boundaries: [...bounds], counts },
  };
}

/** Seconds and nanoseconds. */
function time(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
