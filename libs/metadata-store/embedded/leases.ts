import type { Clock } from '@rocketmq-connect/sdk';

interface Entry {
  readonly ttlMs: number;
  expiresMs: number;
  cancelTimer: () => void;
}

/** The leases of an embedded store: in memory only, since none outlives the process. */
export class LeaseTable {
  readonly #clock: Clock;
  readonly #dropKeys: (leaseId: bigint) => void;
  readonly #leases = new Map<bigint, Entry>();

  /** `dropKeys` deletes the keys of a lease in one revision, and throws when the store cannot be written. */
  constructor(clock: Clock, dropKeys: (leaseId: bigint) => void) {
    this.#clock = clock;
    this.#dropKeys = dropKeys;
  }

  grant(leaseId: bigint, ttlMs: number): void {
    const entry: Entry = { ttlMs, expiresMs: this.#clock.monotonic() + ttlMs, cancelTimer: () => undefined };
    this.#leases.set(leaseId, entry);
    this.#arm(leaseId, entry, ttlMs);
  }

  /** An expired lease is gone at its time, whenever its timer gets to run. */
  live(leaseId: bigint): boolean {
    return this.#clock.monotonic() < (this.#leases.get(leaseId)?.expiresMs ?? 0);
  }

  /** The TTL, or 0 when the lease is gone. */
  keepAlive(leaseId: bigint): number {
    const entry = this.#leases.get(leaseId);
    if (entry === undefined || !this.live(leaseId)) return 0;
    entry.expiresMs = this.#clock.monotonic() + entry.ttlMs;
    return entry.ttlMs;
  }

  revoke(leaseId: bigint): void {
    const entry = this.#leases.get(leaseId);
    if (entry === undefined) return;
    this.#dropKeys(leaseId);
    entry.cancelTimer();
    this.#leases.delete(leaseId);
  }

  close(): void {
    for (const entry of this.#leases.values()) entry.cancelTimer();
    this.#leases.clear();
  }

  #arm(leaseId: bigint, entry: Entry, ms: number): void {
    entry.cancelTimer = this.#clock.after(ms, () => {
      const leftMs = entry.expiresMs - this.#clock.monotonic();
      if (leftMs > 0) this.#arm(leaseId, entry, leftMs);
      else this.#expire(leaseId, entry);
    });
  }

  // While the store cannot be written (a full disk) the keys stay and nobody can renew them: tried again until they are gone.
  #expire(leaseId: bigint, entry: Entry): void {
    try {
      this.revoke(leaseId);
    } catch (error) {
      process.emitWarning(`an expired lease could not be dropped yet: ${error}`);
      this.#arm(leaseId, entry, 1_000);
    }
  }
}
