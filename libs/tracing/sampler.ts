import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { TraceContext } from './index.ts';
import { newTraceId } from './trace-context.ts';

/** OTEL_TRACES_SAMPLER and its argument, as plain data that a task host can be given. */
export interface SamplerSettings {
  /** Of traces that begin here. `perSecond`: of batches, the first in each second of a task; every request. */
  readonly root: 'always' | 'never' | 'ratio' | 'perSecond';
  readonly ratio: number;
  /** Whoever began the trace has decided. */
  readonly parentBased: boolean;
}

/** The trace id of a trace that begins now, or null: it is not sampled. */
export type RootSampler = () => string | null;

/** Decides for requests and calls. */
export function rootSampler({ root, ratio }: SamplerSettings, random: Random): RootSampler {
  if (root === 'never') return () => null;
  if (root === 'ratio') return () => sampledId(ratio, random);
  return () => newTraceId(random);
}

/** Decides for the batches of one task. */
export function batchSampler(settings: SamplerSettings, random: Random, clock: Clock): RootSampler {
  if (settings.root !== 'perSecond') return rootSampler(settings, random);
  let nextMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = clock.monotonic();
    if (nowMs < nextMs) return null;
    nextMs = nowMs + SECOND_MS;
    return newTraceId(random);
  };
}

/** Whether a span below one of another process is sampled. */
export function isSampledBelow({ root, ratio, parentBased }: SamplerSettings, parent: TraceContext): boolean {
  if (parentBased) return parent.sampled;
  if (root === 'never') return false;
  return root !== 'ratio' || randomnessOf(parent.traceId) >= thresholdOf(ratio);
}

const SECOND_MS = 1000;
/** The last 56 bits of a trace id are random; these of its digits are as many as a number holds exactly, and decide. */
const FROM = 18;
const TO = 30;
const RANGE = 16 ** (TO - FROM);

/** One random number says no, so that what is not sampled costs no more; the id of a sampled trace agrees with the ratio. */
function sampledId(ratio: number, random: Random): string | null {
  const drawn = random();
  if (drawn >= ratio) return null;
  const threshold = thresholdOf(ratio);
  const decisive = Math.min(RANGE - 1, Math.floor(threshold + (drawn / ratio) * (RANGE - threshold)));
  const id = newTraceId(random);
  return id.slice(0, FROM) + decisive.toString(16).padStart(TO - FROM, '0') + id.slice(TO);
}

function thresholdOf(ratio: number): number {
  return RANGE - Math.round(ratio * RANGE);
}

function randomnessOf(traceId: string): number {
  return Number.parseInt(traceId.slice(FROM, TO), 16);
}
