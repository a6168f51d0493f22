import {
  absent,
  type KeyValue,
  type MetadataStore,
  modifiedAt,
  OutcomeUnknownError,
  type TxnResult,
} from '@rocketmq-connect/metadata-store';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { type Clock, ConfigError, ConnectError, sleep } from '@rocketmq-connect/sdk';
import { decodeStored, encodeStored } from './codec.ts';
import type { ClusterKeys } from './keys.ts';
import { type KeptLease, LeaseKeeper, type OpenLease } from './lease-keeper.ts';

/** The word of shared memory that task hosts look at before each send, put and commit. */
export interface DeadlineWord {
  /** Monotonic ms; 0: no session, nothing may run. */
  set(deadlineMs: number): void;
}

export interface SessionOptions {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  /** `runner.session` is new for each session: it tells them apart in owner keys. */
  readonly runner: StoredRunner;
  readonly ttlMs: number;
  readonly deadline: DeadlineWord;
  /** How the lease is kept, if not in this thread. */
  readonly openLease?: OpenLease;
  /**
   * Once: end everything that runs under the session, now; there is at most `SESSION_KILL_TIME_MS` until the deadline. When all hosts are
   * gone, call `confirmEnded` and open another session.
   */
  readonly onEnding: (reason: string) => void;
  /** The store could not be reached, or the id is taken for now; opening goes on. For the log. */
  readonly onTrouble?: (error: Error) => void;
  /** Gives up opening; not the session, once it is open. */
  readonly signal?: AbortSignal;
}

/** How long before the deadline the end of a session is latched: what ending the hosts may take. */
export const SESSION_KILL_TIME_MS = 1_000;
/** Below it too little time is left between keep-alives and the latch. */
export const SESSION_TTL_MIN_MS = 3_000;

const RETRY_MS = 200;
const RETRY_MS_MAX = 2_000;

/**
 * Opens a runner's session: a lease, and `runners/{id}` put under it (invariants 1 and 6). Goes on trying while the store cannot be
 * reached. Rejects with `ConfigError` code `RUNNER_ID_TAKEN`, naming the holder, when another process still has the id after TTL + 2 s.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { store, keys, clock, runner, ttlMs, signal } = options;
  if (ttlMs < SESSION_TTL_MIN_MS) {
    throw new ConfigError(`a session of ${ttlMs} ms is too short`, {
      field: 'ttlMs',
      remedy: `give at least ${SESSION_TTL_MIN_MS} ms`,
    });
  }
  const key = keys.runner(runner.id);
  let takenSinceMs: number | undefined;
  let retryMs = RETRY_MS;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const { kv } = await store.get(key);
      const session = kv === null ? await Session.register(options, key) : kv;
      if (session instanceof Session) return session;
      const taken = idTaken(runner.id, session);
      if (takenSinceMs === undefined) options.onTrouble?.(taken);
      takenSinceMs ??= clock.monotonic();
      if (clock.monotonic() - takenSinceMs >= ttlMs + 2_000) throw taken;
      retryMs = RETRY_MS;
    } catch (error) {
      if (!(error instanceof ConnectError) || error.kind !== 'unavailable') throw error;
      options.onTrouble?.(error);
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    }
    await sleep(clock, retryMs, signal);
  }
}

/** A runner's time in the cluster: while it lasts, its process may own units. */
export class Session {
  readonly runner: string;
  readonly session: string;
  readonly leaseId: bigint;
  readonly #options: SessionOptions;
  readonly #keeper: KeptLease;
  #registration: KeyValue;
  #reregistering: Promise<KeyValue> | undefined;
  #over = false;

  /** One attempt; resolves to the holder when the id is taken. */
  static async register(options: SessionOptions, key: string): Promise<Session | KeyValue> {
    const { store, clock, runner, deadline } = options;
    let session: Session | undefined;
    let endedEarly: string | undefined;
    const openLease = options.openLease ?? ((ttlMs, kept) => LeaseKeeper.open(store, ttlMs, { ...kept, clock }));
    const keeper = await openLease(options.ttlMs, {
      killTimeMs: SESSION_KILL_TIME_MS,
      onDeadline: (deadlineMs) => deadline.set(deadlineMs),
      onEnding: (reason) => {
        if (session === undefined) endedEarly = reason;
        else options.onEnding(reason);
      },
    });
    const giveUp = (): Promise<void> => {
      deadline.set(0);
      return keeper.release();
    };
    const value = encodeStored(StoredRunner, runner);
    try {
      const { succeeded, revision, responses } = await store.txn({
        compare: [absent(key)],
        then: [{ op: 'put', key, value, leaseId: keeper.id }],
        otherwise: [{ op: 'get', key }],
      });
      const holder = responses[0]?.[0];
      if (!succeeded && holder !== undefined) {
        await giveUp();
        return holder;
      }
      if (endedEarly !== undefined || !keeper.live) throw new OutcomeUnknownError(`the session ended while it was opened: ${endedEarly}`);
      const kv: KeyValue = { key, value, createRevision: revision, modRevision: revision, version: 1n, leaseId: keeper.id };
      session = new Session(options, keeper, kv);
      return session;
    } catch (error) {
      // The put may still be on its way. Without its lease it can never land.
      await giveUp();
      throw error;
    }
  }

  private constructor(options: SessionOptions, keeper: KeptLease, registration: KeyValue) {
    this.runner = options.runner.id;
    this.session = options.runner.session;
    this.leaseId = keeper.id;
    this.#options = options;
    this.#keeper = keeper;
    this.#registration = registration;
  }

  /** `runners/{id}` as it stands: a claim compares its mod revision. */
  registration(): KeyValue {
    return this.#registration;
  }

  /** Whether the session lasts, by the clock of now. */
  get live(): boolean {
    return !this.#over && this.#keeper.live;
  }

  /**
   * Puts `runners/{id}` again and does not return before that is certain: a claim of unknown outcome that was compared with the
   * registration before can then no longer land, so what its key shows is final. Rejects when the session is over.
   */
  reregister(): Promise<KeyValue> {
    // One that is under way serves too: whoever calls now has compared with a registration that it replaces.
    this.#reregistering ??= this.#putAgain().finally(() => {
      this.#reregistering = undefined;
    });
    return this.#reregistering;
  }

  /**
   * Tells the scheduler that the runner is about to stop, so that it places elsewhere what the runner has. The session lasts on. Rejects when it
   * is over.
   */
  async leave(): Promise<void> {
    // One that is under way does not say it yet.
    await this.#reregistering?.catch(() => undefined);
    const leaving = encodeStored(StoredRunner, { ...this.#options.runner, leaving: true });
    this.#registration = { ...this.#registration, value: leaving };
    await this.reregister();
  }

  /** The session has ended by itself and all hosts are gone: gives everything it owned free at once, instead of at the lease's end. */
  async confirmEnded(): Promise<void> {
    if (this.live) throw new Error('confirmEnded of a session that lasts: close it instead');
    await this.#finish();
  }

  /** Ends the session on purpose. Only when nothing runs under it any more (invariant 1). */
  async close(): Promise<void> {
    await this.#finish();
  }

  async #finish(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#options.deadline.set(0);
    await this.#keeper.release();
  }

  async #putAgain(): Promise<KeyValue> {
    const { store, clock, keys, runner } = this.#options;
    const key = keys.runner(runner.id);
    const { value, createRevision, modRevision } = this.#registration;
    for (;;) {
      if (!this.live) throw sessionOver(runner.id);
      try {
        // Compared with the mod revision, so that of several attempts one lands, and none later than the answer to another.
        const answer = await store.txn({
          compare: [modifiedAt(key, modRevision)],
          then: [{ op: 'put', key, value, leaseId: this.leaseId }],
          otherwise: [{ op: 'get', key }],
        });
        const kv = registrationAfter(answer, this.#registration);
        if (kv?.createRevision === createRevision) {
          this.#registration = kv;
          return kv;
        }
        this.#keeper.lost('the registration of the runner is gone');
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        if (error.kind !== 'unavailable') this.#keeper.lost(error.message);
        else await sleep(clock, RETRY_MS);
      }
    }
  }
}

function registrationAfter({ succeeded, revision, responses }: TxnResult, before: KeyValue): KeyValue | undefined {
  return succeeded ? { ...before, modRevision: revision, version: before.version + 1n } : responses[0]?.[0];
}

function idTaken(id: string, holder: KeyValue): ConfigError {
  const { session, endpoint } = decodeStored(StoredRunner, holder);
  return new ConfigError(`the runner id ${id} is taken by another process (session ${session}, endpoint ${endpoint || 'unknown'})`, {
    code: 'RUNNER_ID_TAKEN',
    field: 'id',
    remedy: 'give each runner an id of its own with --id, or stop the other process',
  });
}

function sessionOver(id: string): ConnectError {
  return new ConnectError('unavailable', `the session of runner ${id} is over`, { code: 'SESSION_OVER' });
}
