import { compareBytes } from '../byte-order.ts';
import { holds } from '../compare.ts';
import { CompactedError, LeaseGoneError } from '../errors.ts';
import type { Compare, KeyRange, KeyValue, Operation, Txn, TxnResult, WatchEvent } from '../index.ts';

/** What is stored, with its whole history: etcd's model as plain data. `structuredClone` of it is a backup. */
export interface MemoryState {
  revision: bigint;
  /** History before this revision is gone. */
  compactRevision: bigint;
  lastLeaseId: bigint;
  readonly kvs: Map<string, KeyValue>;
  /** One entry per revision that wrote. */
  history: { readonly revision: bigint; readonly events: readonly WatchEvent[] }[];
  readonly leases: Map<bigint, MemoryLease>;
}

export interface MemoryLease {
  readonly ttlMs: number;
  expiresMs: number;
}

export function emptyMemory(): MemoryState {
  // An empty etcd answers revision 1; the first write takes 2.
  return { revision: 1n, compactRevision: 0n, lastLeaseId: 0n, kvs: new Map(), history: [], leases: new Map() };
}

export function readRange(state: MemoryState, range: KeyRange): KeyValue[] {
  const found: KeyValue[] = [];
  for (const kv of state.kvs.values()) {
    if (compareBytes(kv.key, range.start) >= 0 && compareBytes(kv.key, range.end) < 0) found.push(kv);
  }
  return found.sort((a, b) => compareBytes(a.key, b.key));
}

/** Applies a checked transaction. Throws `LeaseGoneError` before anything is written. */
export function applyTxn(state: MemoryState, txn: Txn): TxnResult {
  const succeeded = txn.compare.every((compare) => holds(compare, present(state, compare)));
  const operations = succeeded ? txn.then : (txn.otherwise ?? []);
  for (const operation of operations) {
    if (operation.op === 'put' && operation.leaseId && !state.leases.has(operation.leaseId)) throw new LeaseGoneError(operation.leaseId);
  }
  const responses = write(state, (events) => operations.map((operation) => run(state, operation, events)));
  return { succeeded, revision: state.revision, responses };
}

/** Deletes a lease and, in one revision, its keys. */
export function dropLease(state: MemoryState, leaseId: bigint): void {
  if (!state.leases.delete(leaseId)) return;
  const keys = [...state.kvs.values()].filter((kv) => kv.leaseId === leaseId).map((kv) => kv.key);
  write(state, (events) => {
    for (const key of keys.sort(compareBytes)) remove(state, key, events);
  });
}

/** Forgets the history before `revision`; what is forgotten stays so. */
export function compact(state: MemoryState, revision: bigint): void {
  if (revision <= state.compactRevision) return;
  state.compactRevision = revision;
  state.history = state.history.filter((entry) => entry.revision >= revision);
}

/** All events of `fromRevision` and later. Throws `CompactedError` when some of them are gone. */
export function eventsSince(state: MemoryState, fromRevision: bigint): WatchEvent[] {
  if (fromRevision < state.compactRevision) throw new CompactedError(state.compactRevision);
  return state.history.filter((entry) => entry.revision >= fromRevision).flatMap((entry) => entry.events);
}

// Revision + 1 becomes the store's only if something was written.
function write<T>(state: MemoryState, body: (events: WatchEvent[]) => T): T {
  const events: WatchEvent[] = [];
  const result = body(events);
  if (events.length > 0) {
    state.revision++;
    state.history.push({ revision: state.revision, events });
  }
  return result;
}

function present(state: MemoryState, compare: Compare): readonly KeyValue[] {
  return 'key' in compare ? read(state, compare.key) : readRange(state, compare.range);
}

function read(state: MemoryState, key: string): readonly KeyValue[] {
  const kv = state.kvs.get(key);
  return kv === undefined ? [] : [kv];
}

function run(state: MemoryState, operation: Operation, events: WatchEvent[]): readonly KeyValue[] {
  switch (operation.op) {
    case 'get':
      return read(state, operation.key);
    case 'range':
      return readRange(state, operation.range);
    case 'put':
      put(state, operation.key, operation.value, operation.leaseId ?? 0n, events);
      return [];
    case 'delete':
      return remove(state, operation.key, events);
    case 'deleteRange':
      return readRange(state, operation.range).flatMap((kv) => remove(state, kv.key, events));
  }
}

function put(state: MemoryState, key: string, value: string, leaseId: bigint, events: WatchEvent[]): void {
  const before = state.kvs.get(key);
  const modRevision = state.revision + 1n;
  const kv: KeyValue = {
    key,
    value,
    createRevision: before?.createRevision ?? modRevision,
    modRevision,
    version: (before?.version ?? 0n) + 1n,
    leaseId,
  };
  state.kvs.set(key, kv);
  events.push({ type: 'put', kv });
}

function remove(state: MemoryState, key: string, events: WatchEvent[]): readonly KeyValue[] {
  const before = read(state, key);
  if (state.kvs.delete(key)) events.push({ type: 'delete', key, revision: state.revision + 1n });
  return before;
}
