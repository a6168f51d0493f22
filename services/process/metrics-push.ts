import type { Clock } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { metricsExportSettings } from '@rocketmq-connect/telemetry/metrics/export-settings';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import type { Environment } from '@rocketmq-connect/tracing/settings';
import type { ProcessIdentity } from './tracing.ts';

const SAY_EVERY_MS = 600_000;
/** A process that ends waits no longer for a collector. */
const CLOSE_MS = 2_000;

/** Sends metrics by OTLP, where the standard OTEL_* variables ask for it. Throws `ConfigError` for those that are not understood. */
export async function pushMetrics(
  env: Environment,
  { service, id, cluster, version }: ProcessIdentity,
  metrics: Metrics,
  clock: Clock,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  const settings = metricsExportSettings(env);
  if (settings === null) return { close: async () => undefined };
  const { openMetricsExport } = await import('@rocketmq-connect/telemetry/metrics-export');
  let nextMs = Number.NEGATIVE_INFINITY;
  const onFailed = (error: unknown): void => {
    const nowMs = clock.monotonic();
    if (nowMs < nextMs) return;
    nextMs = nowMs + SAY_EVERY_MS;
    log.warn('metrics cannot be sent: is the collector of OTEL_EXPORTER_* reached?', { reason: String(error) });
  };
  const resource = { 'service.name': service, 'service.namespace': cluster, 'service.instance.id': id, 'service.version': version };
  const push = await openMetricsExport({ settings, metrics, resource, version, clock, onFailed });
  return {
    async close() {
      await Promise.race([push.close(), new Promise<void>((resolve) => clock.after(CLOSE_MS, resolve))]);
    },
  };
}
