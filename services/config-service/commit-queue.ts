import { decodeStored } from '@rocketmq-connect/cluster';
import { type CommitRequest, type CommitResponse, CommitResult } from '@rocketmq-connect/proto/commit';
import { StoredDeleted, StoredSpec } from '@rocketmq-connect/proto/storage';
import { toPlainError } from '@rocketmq-connect/sdk';
import type { TraceContext } from '@rocketmq-connect/tracing';
import { bytesOf, checkPiece, decideByFence, type Fence, type Piece, pieceOf, writesOf } from './commit-piece.ts';
import type { ConfigContext } from './context.ts';
import { isOutcomeUnknown } from './transact.ts';

/** How long a commit waits for others to share its transaction. */
const windowMs = 50;
const urgentWindowMs = 2;
const batch = { tasks: 40, operations: 100, bytes: 900 * 1024 } as const;
const attemptsMax = 5;

/**
 * Commits pieces in the order in which they came per task, those of up to 40 tasks in one transaction. If that is refused each piece is
 * tried alone, so that one fenced task costs the others nothing. Every piece is answered; RETRY means that nothing is known of it.
 */
export class CommitQueue {
  readonly #context: ConfigContext;
  readonly #plugins = new Map<string, string>();
  #pending: Pending[] = [];
  #running = false;
  #armed: { readonly waitMs: number; readonly cancel: () => void } | undefined;

  constructor(context: ConfigContext) {
    this.#context = context;
  }

  /** `span`: what the piece is traced by; the queue itself must not be called within it, since it works for others at once. */
  submit(request: CommitRequest, span?: TraceContext): Promise<CommitResponse> {
    return new Promise((resolve) => {
      const answer = (result: CommitResult, message = ''): void => {
        const { connector, task, token, sequence } = request;
        resolve({ connector, task, token, sequence, result, message });
      };
      try {
        checkPiece(request);
      } catch (error) {
        const { message, remedy } = toPlainError(error);
        return answer(CommitResult.REFUSED, remedy === undefined ? message : `${message}; ${remedy}`);
      }
      this.#pending.push({ piece: pieceOf(this.#context.keys, request), answer, span });
      this.#arm();
    });
  }

  #arm(): void {
    if (this.#running || this.#pending.length === 0) return;
    const waitMs = this.#isDue() ? urgentWindowMs : windowMs;
    if (this.#armed !== undefined && this.#armed.waitMs <= waitMs) return;
    this.#armed?.cancel();
    this.#armed = { waitMs, cancel: this.#context.clock.after(waitMs, () => void this.#run()) };
  }

  #isDue(): boolean {
    return this.#pending.length >= batch.tasks || this.#pending.some(({ piece }) => isUrgent(piece.request));
  }

  async #run(): Promise<void> {
    this.#running = true;
    this.#armed = undefined;
    do await this.#commit(this.#take());
    while (this.#isDue());
    this.#running = false;
    this.#arm();
  }

  /** The next pieces that fit in one transaction: at most one per task, no key twice. */
  #take(): Pending[] {
    const taken: Pending[] = [];
    const left: Pending[] = [];
    const fences = new Set<string>();
    let operations = 0;
    let bytes = 0;
    for (const pending of this.#pending) {
      const { request, fenceKey } = pending.piece;
      const ops = request.offsets.length + Object.keys(request.sinkStates).length + 3;
      const size = bytesOf(request);
      const fits = taken.length < batch.tasks && operations + ops <= batch.operations && bytes + size <= batch.bytes;
      // What follows a piece of the same task that waits must wait too: `fences` has the tasks of both.
      if (!fences.has(fenceKey) && (fits || taken.length === 0)) {
        taken.push(pending);
        operations += ops;
        bytes += size;
      } else left.push(pending);
      fences.add(fenceKey);
    }
    this.#pending = left;
    return taken;
  }

  /** What is done for several pieces at once is below the first that is traced, and linked to the others. */
  #commit(taken: readonly Pending[]): Promise<void> {
    const [first, ...links] = taken.flatMap(({ span }) => (span?.sampled ? [span] : []));
    if (first === undefined) return this.#commitTogether(taken);
    const attributes = { 'rmqc.pieces': taken.length };
    return this.#context.tracer.span('commit pieces', { kind: 'internal', parent: first, links, attributes }, () =>
      this.#commitTogether(taken),
    );
  }

  async #commitTogether(taken: readonly Pending[]): Promise<void> {
    const { store, keys } = this.#context;
    try {
      const writable = await this.#withoutAnswered(taken);
      if (writable.length === 0) return;
      const writes = writable.map(({ pending, fence, plugin }) => writesOf(keys, pending.piece, fence, plugin));
      const then = writes.flatMap((write) => write.then);
      const distinct = new Set(then.map((operation) => ('key' in operation ? operation.key : ''))).size === then.length;
      if (distinct) {
        const { succeeded } = await store.txn({ compare: writes.flatMap((write) => write.compare), then });
        if (succeeded) {
          for (const { pending } of writable) pending.answer(CommitResult.OK);
          return;
        }
      }
      for (const { pending } of writable) await this.#commitAlone(pending);
    } catch (error) {
      await this.#answerUnknown(taken, error);
    }
  }

  /** One piece, decided again after each lost race. */
  async #commitAlone(pending: Pending): Promise<void> {
    const { store, keys } = this.#context;
    try {
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const [writable] = await this.#withoutAnswered([pending]);
        if (writable === undefined) return;
        const { succeeded } = await store.txn(writesOf(keys, pending.piece, writable.fence, writable.plugin));
        if (succeeded) return pending.answer(CommitResult.OK);
      }
      pending.answer(CommitResult.RETRY, 'others changed the fence of this task at the same time');
    } catch (error) {
      await this.#answerUnknown([pending], error);
    }
  }

  /** Answers what the fences decide; the rest may be written. The fences are of one linearizable read (Invariant 3). */
  async #withoutAnswered(taken: readonly Pending[]): Promise<Writable[]> {
    const fences = await this.#readFences(taken);
    const writable: Writable[] = [];
    for (const [index, pending] of taken.entries()) {
      const fence = fences[index] ?? { owner: undefined, last: undefined };
      const result = decideByFence(pending.piece, fence);
      if (result === null) writable.push({ pending, fence, plugin: await this.#pluginOf(pending.piece) });
      else pending.answer(result, reasonFor(result));
    }
    return writable;
  }

  async #readFences(taken: readonly Pending[]): Promise<Fence[]> {
    const { responses } = await this.#context.store.txn({
      compare: [],
      then: taken.flatMap(({ piece }) => [
        { op: 'get' as const, key: piece.ownerKey },
        { op: 'get' as const, key: piece.fenceKey },
      ]),
    });
    return taken.map((_, index) => ({ owner: responses[2 * index]?.[0], last: responses[2 * index + 1]?.[0] }));
  }

  /** After a failure: what a new read shows as stored is OK, of the rest nothing is known. */
  async #answerUnknown(taken: readonly Pending[], error: unknown): Promise<void> {
    const reason = toPlainError(error).message;
    let fences: Fence[] = [];
    try {
      if (isOutcomeUnknown(error)) fences = await this.#readFences(taken);
    } catch {
      // The store is away; the sender repeats.
    }
    for (const [index, pending] of taken.entries()) {
      const fence = fences[index];
      const stored = fence !== undefined && decideByFence(pending.piece, fence) === CommitResult.OK;
      pending.answer(stored ? CommitResult.OK : CommitResult.RETRY, stored ? '' : reason);
    }
    if (toPlainError(error).kind !== 'unavailable') this.#context.log.error('a commit failed', { error: reason });
  }

  /** The connector's plugin, noted beside its offsets. It cannot change under one token: another class is another generation. */
  async #pluginOf({ request }: Piece): Promise<string> {
    const owner = `${request.token}/${request.connector}`;
    const known = this.#plugins.get(owner);
    if (known !== undefined) return known;
    const { store, keys } = this.#context;
    const spec = (await store.get(keys.spec(request.connector))).kv;
    // The last commit of a deleted connector may come after its spec is gone.
    const deleted = spec === null ? (await store.get(keys.deleted(request.connector))).kv : null;
    const plugin =
      spec !== null ? decodeStored(StoredSpec, spec).plugin : deleted !== null ? decodeStored(StoredDeleted, deleted).plugin : '';
    if (this.#plugins.size >= 10_000) this.#plugins.clear();
    if (plugin !== '') this.#plugins.set(owner, plugin);
    return plugin;
  }
}

/** Somebody waits for it: the next owner of the task, or the first record of a topic, which is sent when its mark is stored. */
function isUrgent({ release, offsets }: CommitRequest): boolean {
  return release || offsets.length === 0;
}

interface Pending {
  readonly piece: Piece;
  /** Has an effect the first time only. */
  readonly answer: (result: CommitResult, message?: string) => void;
  readonly span: TraceContext | undefined;
}

interface Writable {
  readonly pending: Pending;
  readonly fence: Fence;
  readonly plugin: string;
}

function reasonFor(result: CommitResult): string {
  if (result === CommitResult.FENCED) return 'the owner key of this task has another token, or is gone';
  return result === CommitResult.STALE ? 'a later sequence of this token is stored' : '';
}
