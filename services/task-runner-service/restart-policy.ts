import type { ErrorKind, Random } from '@rocketmq-connect/sdk';

/** Why a unit's code ended: an error of the plugin or pipeline by its kind, or its host died under it. */
export type FailureKind = ErrorKind | 'host';

export interface RestartPolicy {
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** A unit that ran this long starts counting anew. */
  readonly stableAfterMs: number;
  /** -1: no limit. */
  readonly maxRestarts: number;
}

export const defaultRestartPolicy: RestartPolicy = { firstDelayMs: 1000, maxDelayMs: 60_000, stableAfterMs: 120_000, maxRestarts: -1 };

/** Restarts since the unit was last stable. */
export interface RestartHistory {
  readonly restarts: number;
  /** Monotonic ms at which its code last started; null: it did not. */
  readonly startedAtMs: number | null;
}

export interface RestartDecision {
  /** null: it stays FAILED until its configuration changes or a user restarts it. */
  readonly restartInMs: number | null;
  readonly restarts: number;
}

/**
 * Exponential backoff, by error class: what may pass by itself (an outside system is away, the host died) restarts; what needs
 * a person (configuration, data, a fatal error) stays failed. Jitter of ±20 % keeps tasks of one dead system apart.
 */
export function decideRestart(
  policy: RestartPolicy,
  failure: FailureKind,
  history: RestartHistory,
  monotonicMs: number,
  random: Random,
): RestartDecision {
  const stable = history.startedAtMs !== null && monotonicMs - history.startedAtMs >= policy.stableAfterMs;
  const restarts = stable ? 0 : history.restarts;
  const passes = failure === 'retriable' || failure === 'unavailable' || failure === 'host';
  if (!passes || (policy.maxRestarts >= 0 && restarts >= policy.maxRestarts)) return { restartInMs: null, restarts };
  const delay = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** Math.min(restarts, 30));
  return { restartInMs: Math.min(policy.maxDelayMs, delay * (0.8 + 0.4 * random())), restarts: restarts + 1 };
}
