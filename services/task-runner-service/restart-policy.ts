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
  /** After which failures: those that may pass by themselves, all, none. */
  readonly after: 'retriable' | 'all' | 'none';
}

export const defaultRestartPolicy: RestartPolicy = {
  firstDelayMs: 1000,
  maxDelayMs: 60_000,
  stableAfterMs: 120_000,
  maxRestarts: -1,
  after: 'retriable',
};

/** The policy that a connector's configuration asks for (`errors.restart*`). What cannot be read is taken for not given. */
export function restartPolicyOf(byDefault: RestartPolicy, config: Readonly<Record<string, string>>): RestartPolicy {
  const after = config['errors.restart']?.trim();
  const maxDelayMs = integerOr(config['errors.restart.delay.max.ms'], 1, byDefault.maxDelayMs);
  return {
    ...byDefault,
    firstDelayMs: Math.min(byDefault.firstDelayMs, maxDelayMs),
    maxDelayMs,
    maxRestarts: integerOr(config['errors.restart.max'], -1, byDefault.maxRestarts),
    after: after === 'all' || after === 'none' || after === 'retriable' ? after : byDefault.after,
  };
}

function integerOr(text: string | undefined, least: number, fallback: number): number {
  const number = Number(text?.trim() || Number.NaN);
  return Number.isSafeInteger(number) && number >= least ? number : fallback;
}

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
 * a person (configuration, data, a fatal error) stays failed, unless the connector wants it otherwise. Jitter of ±20 % keeps tasks of one dead system apart.
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
  const mayPass = failure === 'retriable' || failure === 'unavailable' || failure === 'host';
  const isMeant = policy.after === 'all' || (policy.after === 'retriable' && mayPass);
  if (!isMeant || (policy.maxRestarts >= 0 && restarts >= policy.maxRestarts)) return { restartInMs: null, restarts };
  const delay = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** Math.min(restarts, 30));
  return { restartInMs: Math.min(policy.maxDelayMs, delay * (0.8 + 0.4 * random())), restarts: restarts + 1 };
}
