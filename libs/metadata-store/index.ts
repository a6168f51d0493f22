/**
 * The etcd v3 model and nothing more. Keys and values are UTF-8 strings; keys sort by their bytes. Revisions only grow; every
 * transaction that writes takes exactly one revision, shared by all its writes.
 */
export interface MetadataStore {
  /** Linearizable. `kv` is null for an absent key. */
  get(key: string): Promise<{ readonly kv: KeyValue | null; readonly revision: bigint }>;
  /** Linearizable; sorted by key. */
  range(range: KeyRange): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: bigint }>;
  /**
   * All compares hold → `then` is applied, else `otherwise`. At most 100 operations and 128 compares, no key twice, request < 1 MiB,
   * else `ConfigError`. Never retried by an adapter. Fails with `OutcomeUnknownError` when it may have been applied, with
   * `LeaseGoneError` when a put that would run names a lease that is gone. Operations run in order and see the writes before them.
   */
  txn(txn: Txn): Promise<TxnResult>;
  /**
   * Every change of a key in the range with revision ≥ `fromRevision`, in order, whole transactions at a time. Ends with
   * `CompactedError` when that history is gone: list again, watch again.
   */
  watch(range: KeyRange, fromRevision: bigint, listener: WatchListener): Watch;
  /** Opens a lease. Keys put under it vanish when it is revoked or not kept alive for its TTL. A store may grant more than was asked. */
  grantLease(ttlMs: number): Promise<Lease>;
  /** Ends the watches of this client silently; later calls fail with `StoreUnavailableError`. Its leases live on until they expire. */
  close(): Promise<void>;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** 1 when created, +1 at each change. */
  readonly version: bigint;
  /** 0n without a lease. */
  readonly leaseId: bigint;
}

/** `[start, end)`. Make them with `prefixRange`, `keyRange` or `spanRange`. */
export interface KeyRange {
  readonly start: string;
  readonly end: string;
}

export interface Lease {
  readonly id: bigint;
  readonly ttlMs: number;
  /** Extends the lease; resolves to the TTL that the store granted in ms, 0 when the lease is gone. Rejects when the store cannot be reached. */
  keepAlive(): Promise<number>;
  /** Deletes the lease and its keys. Idempotent. */
  revoke(): Promise<void>;
}

export type CompareTarget =
  | { readonly target: 'createRevision'; readonly value: bigint }
  | { readonly target: 'modRevision'; readonly value: bigint }
  | { readonly target: 'value'; readonly value: string };

/**
 * `key` absent is `createRevision = 0`. Over a `range`, every present key must satisfy it; an empty range counts as one absent key, so
 * it satisfies `createRevision = 0`. No compare of a value holds for what is absent, not even `notEqual`.
 */
export type Compare = CompareTarget &
  ({ readonly key: string } | { readonly range: KeyRange }) & {
    readonly result?: 'equal' | 'notEqual' | 'less' | 'greater';
  };

export type Operation =
  | { readonly op: 'put'; readonly key: string; readonly value: string; readonly leaseId?: bigint }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'deleteRange'; readonly range: KeyRange }
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'range'; readonly range: KeyRange };

export interface Txn {
  readonly compare: readonly Compare[];
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

export interface TxnResult {
  readonly succeeded: boolean;
  /** The store's revision after the transaction. */
  readonly revision: bigint;
  /** One entry per operation that ran; the keys a `get` or `range` read, the keys (before) that a delete removed, none for a put. */
  readonly responses: readonly (readonly KeyValue[])[];
}

export type WatchEvent =
  | { readonly type: 'put'; readonly kv: KeyValue }
  /** `revision` of the deletion. */
  | { readonly type: 'delete'; readonly key: string; readonly revision: bigint };

export interface WatchListener {
  /** Events of one or more whole revisions; `revision` is the last of them. Called later, never inside the call that wrote them. */
  onEvents(events: readonly WatchEvent[], revision: bigint): void;
  /** The watch is over; nothing follows. Also when `onEvents` threw, with what it threw. */
  onEnd(error: Error): void;
}

export interface Watch {
  cancel(): void;
}

/** What a transaction that may have been applied fails with: read back before deciding anything. */
export { CompactedError, LeaseGoneError, OutcomeUnknownError, StoreSetBackError, StoreUnavailableError } from './errors.ts';
export { TXN_LIMITS } from './limits.ts';
export { absent, createdAt, keyRange, modifiedAt, prefixRange, rangeEmpty, spanRange } from './ranges.ts';
