import type { LostOwner } from '../support/ownership-watch.ts';

/** A line that came out of the sink more than once. */
export interface Double {
  /** Its source task and what its copies went through. */
  readonly file: number;
  readonly copies: number;
  /** When each copy in the topic was stored, earliest first, wall clock. */
  readonly storedAtMs: readonly number[];
}

/** What happened, wall clock. */
export interface Events {
  /** Owners that died or lost their session. */
  readonly lost: readonly LostOwner[];
  /** Sends that were out then have an unknown outcome. */
  readonly brokerAwayAtMs: readonly number[];
}

export type Cause = 'a send of unknown outcome' | 'a lost session of the source task' | 'a lost session of a sink task';

/** A send is repeated or looked for this long. */
const SEND_MS = 15_000;
/** Before a session is seen to be lost, what its owner sent last may be this old. */
const SESSION_MS = 15_000;

/**
 * Why a line was doubled; undefined where nothing explains it. Copies in the topic come from a source task that lost its session, or from a
 * send whose outcome nobody knew, between their times; copies of one message come from a sink task that lost its session.
 */
export function causeOf({ file, copies, storedAtMs }: Double, { lost, brokerAwayAtMs }: Events): Cause | undefined {
  const [first = 0] = storedAtMs;
  const last = storedAtMs.at(-1) ?? 0;
  if (copies > storedAtMs.length) {
    return lost.some(({ unit, atMs }) => unit.startsWith('tasks/out/') && atMs > first) ? 'a lost session of a sink task' : undefined;
  }
  const between = (atMs: number, slackMs: number): boolean => atMs > first - slackMs && atMs < last + slackMs;
  // The source has a task for each file.
  if (lost.some(({ unit, atMs }) => unit === `tasks/in/${file}` && between(atMs, SESSION_MS))) return 'a lost session of the source task';
  return brokerAwayAtMs.some((atMs) => between(atMs, SEND_MS)) ? 'a send of unknown outcome' : undefined;
}
