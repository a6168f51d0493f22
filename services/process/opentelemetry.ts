import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { metricsExportSettings } from '@rocketmq-connect/telemetry/metrics/export-settings';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import type { OpenTelemetry } from '@rocketmq-connect/telemetry/opentelemetry';
import { noTracer, type SpanData, type Tracer } from '@rocketmq-connect/tracing';
import { ProcessTracer } from '@rocketmq-connect/tracing/process-tracer';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import { type Environment, tracingSettings } from '@rocketmq-connect/tracing/settings';

/** The traces of a process. */
export interface Tracing {
  readonly tracer: Tracer;
  /** For task hosts, which sample their batches themselves; null: nothing is traced. */
  readonly sampler: SamplerSettings | null;
  /** Finished spans of a task host, and how many it dropped since the last ones. */
  take(spans: readonly SpanData[], dropped: number): void;
}

/** What a process tells OpenTelemetry. */
export interface ProcessTelemetry extends Tracing {
  /** Loads what sends spans and metrics away. */
  open(process: ProcessIdentity, log: Logger): Promise<void>;
  /** Sends what still waits. */
  close(): Promise<void>;
}

export interface ProcessIdentity {
  readonly service: string;
  readonly id: string;
  readonly cluster: string;
  readonly version: string;
}

/** A loss is said no more often than this. */
const SAY_EVERY_MS = 60_000;
/** A process that ends waits no longer for a collector. */
const CLOSE_MS = 2_000;

/** By the standard OTEL_* variables: docs/observability.md. Throws `ConfigError` for those that are not understood. */
export function createTelemetry(env: Environment, clock: Clock, random: Random, metrics: Metrics): ProcessTelemetry {
  const tracing = tracingSettings(env);
  const metricsExport = metricsExportSettings(env);
  let sdk: OpenTelemetry | null = null;
  const onEnd = (span: SpanData): void => sdk?.add(span);
  const count = (outcome: string, spans: number): void => metrics.add('rocketmq_connect_spans_total', { outcome }, spans);
  return {
    tracer: tracing === null ? noTracer : new ProcessTracer({ sampler: tracing.sampler, clock, random, onEnd }),
    sampler: tracing?.sampler ?? null,
    take(spans, dropped) {
      if (dropped > 0) count('dropped', dropped);
      for (const span of spans) onEnd(span);
    },
    async open({ service, id, cluster, version }, log) {
      if (tracing === null && metricsExport === null) return;
      const { openTelemetry } = await import('@rocketmq-connect/telemetry/opentelemetry');
      const sayLost = lossLog(clock, (lost, reason) =>
        log.warn('spans were lost: is the collector of OTEL_EXPORTER_* reached?', { lost, reason }),
      );
      const sayNotSent = lossLog(clock, (times, reason) =>
        log.warn('metrics cannot be sent: is the collector of OTEL_EXPORTER_* reached?', { times, reason }),
      );
      sdk = await openTelemetry({
        tracing,
        metricsExport,
        metrics,
        resource: {
          'service.name': service,
          'service.namespace': cluster,
          'service.instance.id': id,
          'service.version': version,
        },
        version,
        clock,
        onSpans(outcome, spans, error) {
          count(outcome, spans);
          if (outcome !== 'sent') sayLost(spans, error);
        },
        onMetricsFailed: (error) => sayNotSent(1, error),
      });
    },
    async close() {
      const closing = new Promise<void>((resolve) => clock.after(CLOSE_MS, resolve));
      // What could not be sent has been said.
      await Promise.race([sdk?.close().catch(() => undefined), closing]);
    },
  };
}

/** Nothing waits for a collector, and no line is written per lost batch. */
function lossLog(clock: Clock, say: (lost: number, reason: string) => void): (count: number, error: unknown) => void {
  let lost = 0;
  let nextMs = Number.NEGATIVE_INFINITY;
  return (count, error) => {
    lost += count;
    const nowMs = clock.monotonic();
    if (nowMs < nextMs) return;
    nextMs = nowMs + SAY_EVERY_MS;
    say(lost, error instanceof Error ? error.message : String(error));
  };
}
