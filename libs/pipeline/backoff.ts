import type { Random } from '@rocketmq-connect/sdk';

const FIRST_MS = 100;

/** How long to wait before attempt `attempt` (1 is the first repetition): doubles up to a limit, with jitter so that tasks do not march in step. */
export function backoffMs(attempt: number, maxMs: number, random: Random): number {
  const whole = Math.min(maxMs, FIRST_MS * 2 ** Math.min(attempt - 1, 20));
  return whole * (0.75 + random() / 4);
}
