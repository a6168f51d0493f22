import { choice, count, type Environment } from '@rocketmq-connect/tracing/settings';

/** What the standard OTEL_* variables say of metrics; what they say of an endpoint, headers and the like is the exporter's. */
export interface MetricsExportSettings {
  readonly protocol: 'http/protobuf' | 'http/json' | 'grpc';
  readonly intervalMs: number;
  /** Of one export with its repetitions. */
  readonly timeoutMs: number;
}

/**
 * Null: no metrics are sent, for OTEL_METRICS_EXPORTER is not `otlp` and no OTLP endpoint is given, or OTEL_SDK_DISABLED is true. Throws
 * `ConfigError` for what is not understood.
 */
export function metricsExportSettings(env: Environment): MetricsExportSettings | null {
  const given = (name: string): string => env[name]?.trim() ?? '';
  if (given('OTEL_SDK_DISABLED').toLowerCase() === 'true') return null;
  const hasEndpoint = given('OTEL_EXPORTER_OTLP_ENDPOINT') !== '' || given('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT') !== '';
  // For Prometheus there is /metrics anyway.
  if (choice(env, 'OTEL_METRICS_EXPORTER', ['otlp', 'prometheus', 'none'], hasEndpoint ? 'otlp' : 'none') !== 'otlp') return null;
  const otlp = (what: string): string =>
    given(`OTEL_EXPORTER_OTLP_METRICS_${what}`) === '' ? `OTEL_EXPORTER_OTLP_${what}` : `OTEL_EXPORTER_OTLP_METRICS_${what}`;
  return {
    protocol: choice(env, otlp('PROTOCOL'), ['http/protobuf', 'http/json', 'grpc'], 'http/protobuf'),
    intervalMs: count(env, 'OTEL_METRIC_EXPORT_INTERVAL', 60_000, 100),
    timeoutMs: count(env, otlp('TIMEOUT'), 3_000, 1),
  };
}
