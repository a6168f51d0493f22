import type { HookLimits } from '@rocketmq-connect/pipeline/host-protocol';

/** Times and limits of a runner. */
export interface RunnerSettings {
  /** A runner that is not heard of for this long is given up. */
  readonly leaseTtlMs: number;
  readonly commitIntervalMs: number;
  readonly taskStartTimeoutMs: number;
  /** A task that ignores its stop for this long is ended with its host. */
  readonly taskStopTimeoutMs: number;
  /** After this a last commit that nobody takes is given up, and the unit released without it. */
  readonly releaseTimeoutMs: number;
  /** Before it stops, a runner gives the scheduler so long to place elsewhere what it has; 0: nobody else could take it. */
  readonly handOverTimeoutMs: number;
  readonly planTimeoutMs: number;
  readonly hookLimits: Omit<HookLimits, 'stopMs'>;
  /** For what a person waits for: validating, describing. */
  readonly askTimeoutMs: number;
  /** Questions asked at a time, one host each. */
  readonly asksMax: number;
  /** Hosts that tasks share; started on demand. */
  readonly hostCount: number;
  /** A host without work ends after this. */
  readonly hostIdleMs: number;
  readonly hostKillTimeoutMs: number;
  /** A host that answers nothing for this long is killed under its units, where it was to be left in order. */
  readonly hostPingTimeoutMs: number;
  /** A commit that is not answered in this time is sent again, on another stream. */
  readonly commitAnswerTimeoutMs: number;
}

export const defaultRunnerSettings: RunnerSettings = {
  leaseTtlMs: 10_000,
  commitIntervalMs: 5_000,
  taskStartTimeoutMs: 60_000,
  taskStopTimeoutMs: 5_000,
  releaseTimeoutMs: 30_000,
  handOverTimeoutMs: 3_000,
  planTimeoutMs: 60_000,
  hookLimits: { pollMs: 300_000, putMs: 300_000, flushMs: 300_000 },
  // Below the 10 s after which a caller gives up: the answer names what hangs, a broken call does not.
  askTimeoutMs: 9_000,
  asksMax: 4,
  hostCount: 2,
  hostIdleMs: 10_000,
  hostKillTimeoutMs: 1_000,
  hostPingTimeoutMs: 1_000,
  commitAnswerTimeoutMs: 10_000,
};
