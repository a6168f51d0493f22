import { absent, keyRange, type MetadataStore, type StoreSetBackError } from '@rocketmq-connect/metadata-store';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import { LeaseKeeper } from './lease-keeper.ts';
import { PrefixCache } from './prefix-cache.ts';

export interface ElectionOptions {
  readonly store: MetadataStore;
  /** The one key that the leader holds. */
  readonly key: string;
  /** What the leader writes there: who it is. */
  readonly value: string;
  readonly clock: Clock;
  readonly ttlMs: number;
  /** Leads from now on. Every write must compare the key's create revision: see `leader`. */
  readonly onElected: (createRevision: bigint) => void;
  /** Leads no more. Writes of it that are still on their way fail their compare. */
  readonly onLost: (reason: string) => void;
  readonly onSetBack: (error: StoreSetBackError) => void;
  /** For the log. */
  readonly onTrouble?: (error: Error) => void;
}

const RETRY_MS = 500;

/**
 * Leadership by one key, created if absent under a lease. A candidate leads only while that key is its own: as the store answered, and
 * no longer than the deadline of the lease by its own clock (invariant 6).
 */
export class Election {
  readonly #options: ElectionOptions;
  readonly #cache: PrefixCache;
  #leading: { readonly keeper: LeaseKeeper; readonly createRevision: bigint } | undefined;
  #attempt: Promise<void> | undefined;
  #running = false;
  #cancelRetry: () => void = () => undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
    const { store, key, clock, onSetBack, onTrouble } = options;
    this.#cache = new PrefixCache({
      store,
      range: keyRange(key),
      clock,
      onSetBack: (error) => {
        void this.stop();
        onSetBack(error);
      },
      ...(onTrouble === undefined ? {} : { onTrouble }),
    });
    this.#cache.onChange(() => this.#look());
    void this.#cache.synced.then(() => this.#look());
  }

  /** Stands for election until `stop`. */
  start(): void {
    this.#running = true;
    this.#cache.start();
    this.#look();
  }

  /** Gives leadership up at once, so that the next candidate waits for no lease. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#cache.stop();
    this.#cancelRetry();
    await this.#attempt;
    await this.#step('stopped');
  }

  /** The create revision of the own leader key, to be compared in every write of the leader; null when not leading. */
  leader(): bigint | null {
    return this.#leading?.keeper.live ? this.#leading.createRevision : null;
  }

  /** By level: compares what the cache shows with what should be. */
  #look(): void {
    if (!this.#running || this.#cache.revision === 0n) return;
    const shown = this.#cache.entries().get(this.#options.key);
    if (this.#leading !== undefined) {
      const { createRevision, keeper } = this.#leading;
      // What the cache shows of the time before the own key proves nothing.
      if (this.#cache.revision >= createRevision && shown?.createRevision !== createRevision) keeper.lost('the leader key is gone');
    } else if (shown === undefined) {
      this.#attempt ??= this.#stand().finally(() => {
        this.#attempt = undefined;
      });
    }
  }

  async #stand(): Promise<void> {
    const { store, key, value, clock, ttlMs, onElected, onTrouble } = this.#options;
    let keeper: LeaseKeeper | undefined;
    try {
      keeper = await LeaseKeeper.open(store, ttlMs, { clock, killTimeMs: 0, onEnding: (reason) => void this.#step(reason) });
      const { succeeded, revision } = await store.txn({
        compare: [absent(key)],
        then: [{ op: 'put', key, value, leaseId: keeper.lease.id }],
      });
      if (succeeded && keeper.live && this.#running) {
        this.#leading = { keeper, createRevision: revision };
        onElected(revision);
        return;
      }
      await keeper.release();
    } catch (error) {
      // The put may still be on its way: without its lease it can never land, and what may have landed goes with it.
      await keeper?.release();
      if (!(error instanceof ConnectError)) throw error;
      onTrouble?.(error);
    }
    this.#lookAgain();
  }

  // Also when the cache lags behind the leader that refused us: it will show it, and its absence later.
  #lookAgain(): void {
    this.#cancelRetry();
    if (this.#running) this.#cancelRetry = this.#options.clock.after(RETRY_MS, () => this.#look());
  }

  async #step(reason: string): Promise<void> {
    const leading = this.#leading;
    if (leading === undefined) return;
    this.#leading = undefined;
    this.#options.onLost(reason);
    await leading.keeper.release();
    this.#lookAgain();
  }
}
