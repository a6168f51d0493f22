import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { noTracer, type SpanData, type Tracer } from '@rocketmq-connect/tracing';
import { ProcessTracer } from '@rocketmq-connect/tracing/process-tracer';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import { type Environment, tracingSettings } from '@rocketmq-connect/tracing/settings';
import type { SpanQueue } from '@rocketmq-connect/tracing/span-queue';

/** The traces of a process. */
export interface Tracing {
  readonly tracer: Tracer;
  /** For task hosts, which sample their batches themselves; null: nothing is traced. */
  readonly sampler: SamplerSettings | null;
  /** Finished spans of a task host, and how many it dropped since the last ones. */
  take(spans: readonly SpanData[], dropped: number): void;
  /** Loads what sends spans away. */
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
export function createTracing(env: Environment, clock: Clock, random: Random, metrics: Metrics): Tracing {
  const settings = tracingSettings(env);
  if (settings === null) return noTracing;
  let queue: SpanQueue | null = null;
  const take = (spans: readonly SpanData[], dropped: number): void => {
    if (dropped > 0) queue?.addDropped(dropped);
    for (const span of spans) queue?.add(span);
  };
  return {
    tracer: new ProcessTracer({ sampler: settings.sampler, clock, random, onEnd: (span) => queue?.add(span) }),
    sampler: settings.sampler,
    take,
    async open({ service, id, cluster, version }, log) {
      const { openSpanExport } = await import('@rocketmq-connect/telemetry/span-export');
      const resource = {
        'service.name': service,
        'service.namespace': cluster,
        'service.instance.id': id,
        'service.version': version,
      };
      const say = lossLog(log, clock);
      queue = await openSpanExport({
        settings,
        resource,
        version,
        clock,
        onDone: (outcome, count, error) => {
          metrics.add('rocketmq_connect_spans_total', { outcome }, count);
          if (outcome !== 'sent') say(count, error);
        },
      });
    },
    async close() {
      const closing = new Promise<void>((resolve) => clock.after(CLOSE_MS, resolve));
      await Promise.race([queue?.flush(), closing]);
    },
  };
}

const noTracing: Tracing = {
  tracer: noTracer,
  sampler: null,
  take: () => undefined,
  open: async () => undefined,
  close: async () => undefined,
};

/** Nothing waits for traces, and no line is written per lost batch. */
function lossLog(log: Logger, clock: Clock): (count: number, error: unknown) => void {
  let lost = 0;
  let nextMs = Number.NEGATIVE_INFINITY;
  return (count, error) => {
    lost += count;
    const nowMs = clock.monotonic();
    if (nowMs < nextMs) return;
    nextMs = nowMs + SAY_EVERY_MS;
    const reason = error instanceof Error ? error.message : String(error);
    log.warn('spans were lost: is the collector of OTEL_EXPORTER_* reached?', { lost, reason });
  };
}
