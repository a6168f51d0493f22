import type { CommitContent, QueueMark } from '@rocketmq-connect/pipeline/host-protocol';
import { type CommitRequest, type CommitResponse, CommitResult } from '@rocketmq-connect/proto/commit';
import type { StoredCommit, StoredStatus } from '@rocketmq-connect/proto/storage';
import { type Clock, type Random, sleep, type TaskLogger } from '@rocketmq-connect/sdk';
import { fromStoredMarks, isUnchanged, lowestMarks, splitIntoPieces, toStoredMark } from './pieces.ts';

/**
 * `fenced`: the token is not the owner's any more. `refused`: this content can never be stored. `closed`: the session ended, nothing is
 * known of the rest.
 */
export type CommitOutcome = { readonly type: 'stored' | 'fenced' | 'closed' } | { readonly type: 'refused'; readonly message: string };

const stored: CommitOutcome = { type: 'stored' };
const fenced: CommitOutcome = { type: 'fenced' };
const closed: CommitOutcome = { type: 'closed' };

export interface CommitterOptions {
  readonly connector: string;
  readonly task: number;
  readonly generation: string;
  readonly token: bigint;
  readonly send: (piece: CommitRequest) => Promise<CommitResponse>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: TaskLogger;
  /** Frozen content was stored, all of it. */
  readonly onStored: () => void;
}

/**
 * The conversation of one owned task with config-service. Lives as long as the token, so over restarts in place: one piece is
 * outstanding at a time, its content frozen, repeated until it is answered (invariants 3 and 4).
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #end = new AbortController();
  #sequence = 0n;
  /** What the store has of this token; null: no commit yet. Marks of an earlier owner do not count: its clean end made them void. */
  #storedMarks: readonly QueueMark[] | null = null;
  /** What holds until the next content is stored whole. */
  #holdingMarks: readonly QueueMark[] = [];
  #fenced = false;
  #tail: Promise<CommitOutcome> = Promise.resolve(stored);

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /**
   * Before each incarnation: this task's last commit as the store has it, and the marks of unclean ends that the incarnation starts from.
   */
  observe(last: StoredCommit | undefined, uncleanMarks: readonly QueueMark[]): void {
    const lastMarks = fromStoredMarks(last?.marks ?? []);
    this.#holdingMarks = lowestMarks([...uncleanMarks.map((mark) => ({ ...mark, inherited: true as const })), ...lastMarks]);
    if (last?.token !== this.#options.token) return;
    this.#storedMarks = lastMarks;
    if (last.sequence > this.#sequence) this.#sequence = last.sequence;
  }

  /** Stores frozen content; resolves when all its pieces are answered. */
  commit(content: CommitContent): Promise<CommitOutcome> {
    return this.#enqueue(async () => {
      if (isUnchanged(content, this.#storedMarks ?? [])) return stored;
      return this.#sendAll(content, null);
    });
  }

  /** Stores the last content and gives the owner key back with it. `fenced` also means that the key is not ours any more. */
  release(content: CommitContent, status: StoredStatus): Promise<CommitOutcome> {
    return this.#enqueue(() => this.#sendAll(content, status));
  }

  /** Resolves when nothing is outstanding. */
  settled(): Promise<CommitOutcome> {
    return this.#tail;
  }

  /** Sends nothing more. */
  close(): void {
    this.#end.abort();
  }

  #enqueue(work: () => Promise<CommitOutcome>): Promise<CommitOutcome> {
    this.#tail = this.#tail.then(() => {
      if (this.#fenced) return fenced;
      return this.#end.signal.aborted ? closed : work();
    });
    return this.#tail;
  }

  async #sendAll(content: CommitContent, releaseStatus: StoredStatus | null): Promise<CommitOutcome> {
    const pieces = splitIntoPieces(content, this.#holdingMarks);
    for (const [i, piece] of pieces.entries()) {
      const release = releaseStatus !== null && i === pieces.length - 1;
      const outcome = await this.#sendUntilAnswered({
        connector: this.#options.connector,
        task: this.#options.task,
        generation: this.#options.generation,
        token: this.#options.token,
        sequence: ++this.#sequence,
        offsets: piece.offsets,
        sinkStates: piece.sinkStates,
        marks: piece.marks.map(toStoredMark),
        topics: [...piece.topics],
        release,
        releaseStatus: release ? releaseStatus : undefined,
        traceparent: content.traceparent ?? '',
      });
      if (outcome.type !== 'stored') return outcome;
      this.#storedMarks = piece.marks;
      this.#holdingMarks = piece.marks;
    }
    this.#options.onStored();
    return stored;
  }

  async #sendUntilAnswered(piece: CommitRequest): Promise<CommitOutcome> {
    const { clock, random, log } = this.#options;
    for (let attempt = 0; !this.#end.signal.aborted; attempt++) {
      try {
        const { result, message } = await this.#options.send(piece);
        if (result === CommitResult.OK) return stored;
        if (result === CommitResult.FENCED || result === CommitResult.STALE) {
          log.warn(`the commit of sequence ${piece.sequence} was refused: ${message || result}`, { token: String(piece.token) });
          this.#fenced = true;
          return fenced;
        }
        if (result === CommitResult.REFUSED) return { type: 'refused', message };
        log.debug('config-service asks to repeat a commit', { sequence: String(piece.sequence), reason: message });
      } catch (error) {
        if (attempt === 3) log.warn('commits do not reach config-service, repeating', { error: (error as Error).message });
      }
      const delay = Math.min(2000, 50 * 2 ** Math.min(attempt, 10)) * (0.5 + random() / 2);
      await sleep(clock, delay, this.#end.signal).catch(() => undefined);
    }
    return closed;
  }
}
