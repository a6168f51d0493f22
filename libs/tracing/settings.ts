import { ConfigError } from '@rocketmq-connect/sdk';
import type { SamplerSettings } from './sampler.ts';

/** What the standard OTEL_* variables say of traces. What they say of an exporter's endpoint, headers and the like is the exporter's. */
export interface TracingSettings {
  readonly exporter: 'otlp' | 'zipkin' | 'console';
  /** Of OTLP. */
  readonly protocol: 'http/protobuf' | 'http/json' | 'grpc';
  /** Of one export with its repetitions, ms. They keep a process from its end, so it is less than OpenTelemetry's 10 s unless told. */
  readonly otlpTimeoutMs: number;
  readonly sampler: SamplerSettings;
  readonly queue: QueueSettings;
}

/** OTEL_BSP_*: how finished spans wait for their export. */
export interface QueueSettings {
  readonly delayMs: number;
  readonly spansMax: number;
  readonly batchMax: number;
  readonly timeoutMs: number;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Null: nothing is traced, because no exporter is asked for: OTEL_TRACES_EXPORTER names none and no OTLP endpoint is given, or
 * OTEL_SDK_DISABLED is true. Throws `ConfigError` for what is not understood.
 */
export function tracingSettings(env: Environment): TracingSettings | null {
  const given = (name: string): string => env[name]?.trim() ?? '';
  if (given('OTEL_SDK_DISABLED').toLowerCase() === 'true') return null;
  const hasEndpoint = given('OTEL_EXPORTER_OTLP_ENDPOINT') !== '' || given('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') !== '';
  const exporter = choice(env, 'OTEL_TRACES_EXPORTER', ['otlp', 'zipkin', 'console', 'none'], hasEndpoint ? 'otlp' : 'none');
  if (exporter === 'none') return null;
  const otlp = (what: string): string =>
    given(`OTEL_EXPORTER_OTLP_TRACES_${what}`) === '' ? `OTEL_EXPORTER_OTLP_${what}` : `OTEL_EXPORTER_OTLP_TRACES_${what}`;
  return {
    exporter,
    protocol: choice(env, otlp('PROTOCOL'), ['http/protobuf', 'http/json', 'grpc'], 'http/protobuf'),
    otlpTimeoutMs: count(env, otlp('TIMEOUT'), 3_000, 1),
    sampler: sampler(env),
    queue: {
      delayMs: count(env, 'OTEL_BSP_SCHEDULE_DELAY', 5_000, 0),
      spansMax: count(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 2_048, 1),
      batchMax: count(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512, 1),
      timeoutMs: count(env, 'OTEL_BSP_EXPORT_TIMEOUT', 30_000, 1),
    },
  };
}

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'unset',
] as const;

function sampler(env: Environment): SamplerSettings {
  const name = choice(env, 'OTEL_TRACES_SAMPLER', SAMPLERS, 'unset');
  if (name === 'unset') return { root: 'perSecond', ratio: 1, parentBased: true };
  const parentBased = name.startsWith('parentbased_');
  if (name.endsWith('always_on')) return { root: 'always', ratio: 1, parentBased };
  if (name.endsWith('always_off')) return { root: 'never', ratio: 0, parentBased };
  const text = env['OTEL_TRACES_SAMPLER_ARG']?.trim() ?? '';
  const ratio = text === '' ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return { root: 'ratio', ratio, parentBased };
  throw new ConfigError(`OTEL_TRACES_SAMPLER_ARG is '${text}'`, {
    field: 'OTEL_TRACES_SAMPLER_ARG',
    remedy: 'give the share of traces to sample, from 0 to 1, e.g. 0.01',
  });
}

export function choice<T extends string>(env: Environment, name: string, known: readonly T[], byDefault: T): T {
  const text = env[name]?.trim().toLowerCase() ?? '';
  if (text === '') return byDefault;
  const found = known.find((each) => each === text && each !== 'unset');
  if (found !== undefined) return found;
  const shown = known.filter((each) => each !== 'unset').join(', ');
  throw new ConfigError(`${name} is '${text}', which is not supported`, { field: name, remedy: `use one of ${shown}` });
}

export function count(env: Environment, name: string, byDefault: number, least: number): number {
  const text = env[name]?.trim() ?? '';
  const value = text === '' ? byDefault : Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new ConfigError(`${name} is '${text}'`, { field: name, remedy: `give a whole number, ${least} or more` });
}
