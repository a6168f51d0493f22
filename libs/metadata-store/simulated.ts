import type { Clock } from '@rocketmq-connect/sdk';
import type { KeyRange, KeyValue, Txn, WatchEvent } from './index.ts';
import { SimulatedClient } from './simulated/client.ts';
import { applyTxn, compact, dropLease, emptyMemory, eventsSince, type MemoryState, readRange } from './simulated/memory.ts';

export type { SimulatedClient } from './simulated/client.ts';

/** A call that a client is about to make. */
export interface StoreCall {
  readonly client: string;
  readonly method: 'get' | 'range' | 'txn' | 'grantLease' | 'keepAlive' | 'revoke';
  readonly txn?: Txn;
}

/** What happens to a call; nothing means that it passes. */
export interface StoreFault {
  /** Passes before the store sees the call. */
  readonly delayMs?: number;
  /** Passes between its effect and its answer. */
  readonly answerDelayMs?: number;
  /**
   * `unavailable`: refused, nothing happens. The others fail with `OutcomeUnknownError` (reads with `StoreUnavailableError`): the write
   * happened, it never will, or it happens `laterMs` (default 1,000) after the failure.
   */
  readonly outcome?: 'unavailable' | 'unknownApplied' | 'unknownNotApplied' | 'unknownAppliedLater';
  readonly laterMs?: number;
}

/**
 * An etcd in memory on an injected clock, with injected faults. It is the server; processes talk to it through `client(name)`, and each
 * client can be cut off, slowed or made deaf on its own. Its methods without `client` are the test's own eye and hand: at once, no fault.
 */
export class SimulatedStore {
  /** Asked before each call of each client. */
  faults: ((call: StoreCall) => StoreFault | undefined) | undefined;
  readonly clock: Clock;
  #state: MemoryState = emptyMemory();
  readonly #clients = new Map<string, SimulatedClient>();
  readonly #observers = new Set<(events: readonly WatchEvent[], revision: bigint) => void>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The client of that name: the same one each time, until it is closed. */
  client(name: string): SimulatedClient {
    let client = this.#clients.get(name);
    if (client === undefined || client.closed) {
      client = new SimulatedClient(this, name);
      this.#clients.set(name, client);
    }
    return client;
  }

  get revision(): bigint {
    return this.#state.revision;
  }

  peek(range: KeyRange): KeyValue[] {
    return readRange(this.#state, range);
  }

  /** Sees each revision in the moment it is written: where invariants are checked. What it throws fails the writer. */
  observe(observer: (events: readonly WatchEvent[], revision: bigint) => void): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /** Forgets the history before `revision`, by default all of it. */
  compact(revision: bigint = this.#state.revision + 1n): void {
    compact(this.#state, revision > this.#state.revision ? this.#state.revision + 1n : revision);
  }

  /** Lets a lease expire now. */
  expireLease(leaseId: bigint): void {
    this.#write(() => dropLease(this.#state, leaseId));
  }

  backup(): MemoryState {
    return structuredClone(this.#state);
  }

  /** What an operator does with a backup: revisions go back, all connections break, leases begin anew. */
  restore(backup: MemoryState): void {
    this.#state = structuredClone(backup);
    for (const lease of this.#state.leases.values()) lease.expiresMs = this.clock.monotonic() + lease.ttlMs;
    for (const leaseId of this.#state.leases.keys()) this.#expireInTime(leaseId);
    for (const client of this.#clients.values()) client.cutWatches();
  }

  /** For clients. */
  txn(txn: Txn) {
    return this.#write(() => applyTxn(this.#state, txn));
  }

  /** For clients. */
  eventsSince(fromRevision: bigint): readonly WatchEvent[] {
    return eventsSince(this.#state, fromRevision);
  }

  /** For clients. */
  grant(ttlMs: number): bigint {
    const leaseId = ++this.#state.lastLeaseId;
    this.#state.leases.set(leaseId, { ttlMs, expiresMs: this.clock.monotonic() + ttlMs });
    this.#expireInTime(leaseId);
    return leaseId;
  }

  /** For clients: the TTL, or 0 when the lease is gone. */
  keepAlive(leaseId: bigint): number {
    const lease = this.#state.leases.get(leaseId);
    if (lease === undefined) return 0;
    lease.expiresMs = this.clock.monotonic() + lease.ttlMs;
    return lease.ttlMs;
  }

  #expireInTime(leaseId: bigint): void {
    const lease = this.#state.leases.get(leaseId);
    if (lease === undefined) return;
    const leftMs = lease.expiresMs - this.clock.monotonic();
    if (leftMs <= 0) this.expireLease(leaseId);
    else this.clock.after(leftMs, () => this.#state.leases.get(leaseId) === lease && this.#expireInTime(leaseId));
  }

  #write<T>(body: () => T): T {
    const before = this.#state.revision;
    const result = body();
    if (this.#state.revision > before) {
      const events = this.#state.history.at(-1)?.events ?? [];
      for (const client of this.#clients.values()) client.deliver(events);
      for (const observer of this.#observers) observer(events, this.#state.revision);
    }
    return result;
  }
}
