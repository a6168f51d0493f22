import type { ClusterKeys } from '@rocketmq-connect/cluster';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';

interface StoreWatchDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly log: Logger;
  /** With what is wrong, or null: it answers again. */
  readonly onChange: (trouble: string | null) => void;
}

/** Below the least TTL of a lease: an outage that ends leases is seen. */
const EVERY_MS = 2_000;

/** Looks whether the metadata store answers: without it a process can do nothing that counts. */
export class StoreWatch {
  readonly #deps: StoreWatchDeps;
  #trouble = false;
  #troubledAtMs: number;
  #stopped = false;
  #cancel: () => void = () => undefined;

  constructor(deps: StoreWatchDeps) {
    this.#deps = deps;
    this.#troubledAtMs = deps.clock.monotonic();
  }

  /** When it was last seen not to answer, monotonic ms. The start counts: what was before is not known. */
  get troubledAtMs(): number {
    return this.#troubledAtMs;
  }

  start(): void {
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #look(): Promise<void> {
    const { store, keys, clock } = this.#deps;
    let failure: ConnectError | null = null;
    try {
      await store.get(keys.layout);
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      failure = error;
    }
    if (this.#stopped) return;
    this.#looked(failure);
    this.#cancel = clock.after(EVERY_MS, () => void this.#look());
  }

  #looked(failure: ConnectError | null): void {
    const { clock, log, onChange } = this.#deps;
    if (failure !== null) this.#troubledAtMs = clock.monotonic();
    if (this.#trouble === (failure !== null)) return;
    this.#trouble = failure !== null;
    if (failure === null) log.info('the metadata store answers again');
    else log.error('the metadata store cannot be reached', { error: failure.message });
    onChange(failure?.message ?? null);
  }
}
