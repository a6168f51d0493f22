import type { HrTime } from '@opentelemetry/api';
import { emptyResource } from '@opentelemetry/resources';
import { AggregationTemporality, type DataPoint, DataPointType, type MetricData, type MetricProducer } from '@opentelemetry/sdk-metrics';
import type { Clock } from '@rocketmq-connect/sdk';
import type { Histogram } from './metrics/histogram.ts';
import type { Family, Metrics, Sample } from './metrics/registry.ts';

/** All metrics of a process, for OpenTelemetry's readers. Sums count from now. */
export function metricProducer(metrics: Metrics, clock: Clock, scope: { readonly name: string; readonly version: string }): MetricProducer {
  const startTime = time(clock.now());
  return {
    async collect() {
      const endTime = time(clock.now());
      const data = metrics.collect().map((family) => metricData(family, startTime, endTime));
      return { resourceMetrics: { resource: emptyResource(), scopeMetrics: [{ scope, metrics: data }] }, errors: [] };
    },
  };
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
