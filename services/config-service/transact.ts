import type { Txn, TxnResult } from '@rocketmq-connect/metadata-store';
import { ConnectError, sleep, toPlainError } from '@rocketmq-connect/sdk';
import type { ConfigContext } from './context.ts';

/** What was decided from a fresh read. */
export type Decision<T> =
  /** Nothing to write. */
  | { readonly answer: T }
  | {
      readonly txn: Txn;
      readonly done: (result: TxnResult) => T;
      /** After an unknown outcome: the answer if a linearizable read shows that the write happened, else undefined. */
      readonly readBack: () => Promise<T | undefined>;
    };

const attemptsMax = 12;

/**
 * Reads, decides, writes; a failed compare means read again and decide again, never overwrite. After an unknown outcome the write is read
 * back. That it is not there proves nothing, since it may still land: so it is looked for again before each further write.
 */
export async function transact<T>(context: ConfigContext, decide: () => Promise<Decision<T>>): Promise<T> {
  const unknown: (() => Promise<T | undefined>)[] = [];
  let unknownError: unknown;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (attempt > 0) await sleep(context.clock, Math.min(500, 5 * 2 ** attempt) * (0.5 + context.random() / 2));
    let decision: Decision<T>;
    try {
      decision = await decide();
    } catch (error) {
      const landed = await firstAnswer(unknown);
      if (landed !== undefined) return landed;
      throw error;
    }
    // Had an earlier write landed before the read that was decided from, it shows now; if it lands later, the compare fails.
    const before = await firstAnswer(unknown);
    if (before !== undefined) return before;
    if ('answer' in decision) return decision.answer;
    try {
      const result = await context.store.txn(decision.txn);
      if (result.succeeded) return decision.done(result);
    } catch (error) {
      if (!isOutcomeUnknown(error)) throw error;
      unknown.push(decision.readBack);
      unknownError = error;
    }
  }
  const landed = await firstAnswer(unknown);
  if (landed !== undefined) return landed;
  throw (
    unknownError ??
    new ConnectError('unavailable', 'others changed the same thing at the same time, again and again', {
      code: 'CONTENDED',
      remedy: 'try again',
    })
  );
}

export function isOutcomeUnknown(error: unknown): boolean {
  return toPlainError(error).code === 'STORE_OUTCOME_UNKNOWN';
}

async function firstAnswer<T>(readBacks: readonly (() => Promise<T | undefined>)[]): Promise<T | undefined> {
  for (const readBack of readBacks) {
    const answer = await readBack();
    if (answer !== undefined) return answer;
  }
  return undefined;
}
