import { randomBytes } from 'node:crypto';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { Clock } from '@rocketmq-connect/sdk';
import { holds } from './compare.ts';
import { type OpenDatabase, openDatabase } from './embedded/database.ts';
import { failureOf } from './embedded/failure.ts';
import { LeaseTable } from './embedded/leases.ts';
import { Tables } from './embedded/tables.ts';
import { CompactedError, LeaseGoneError, StoreUnavailableError } from './errors.ts';
import type { KeyRange, KeyValue, Lease, MetadataStore, Operation, Txn, TxnResult, Watch, WatchEvent, WatchListener } from './index.ts';
import { checkFromRevision, checkKey, checkRange, checkTtl, checkTxn } from './limits.ts';
import { Watchers } from './watchers.ts';

export interface EmbeddedStoreOptions {
  readonly clock?: Clock;
  /** The file grows no further; writes then fail with code `STORE_FULL`. Default 2 GiB, as in etcd. */
  readonly quotaBytes?: number;
}

/**
 * The metadata store of one process, in one SQLite file of a directory that it locks for itself. Leases do not outlive the process: they
 * and their keys are dropped when the store is opened, so that after a kill a restart waits for no old lease.
 *
 * A write is in the write-ahead log of the operating system when it is answered, so it survives the death of the process, but it is
 * forced to the disk only at the next checkpoint. A power cut may take the last transactions, never part of one. That is
 * enough: what metadata refers to (records, files) is made durable before, so what is lost only repeats work.
 */
export class EmbeddedStore implements MetadataStore {
  readonly #database: OpenDatabase;
  readonly #tables: Tables;
  readonly #leases: LeaseTable;
  readonly #watchers = new Watchers();
  readonly #history = new HistoryWindows();
  #revision: bigint;
  #compactRevision: bigint;
  #closed = false;

  /**
   * Throws `ConfigError` with code `DATA_DIR_LOCKED`, `DATA_DIR_NEWER` or `DATA_DIR_UNUSABLE`, `FatalError` with code
   * `DATA_DIR_CORRUPT`, `StoreUnavailableError` with code `STORE_FULL` or `STORE_IO`.
   */
  static async open(directory: string, options: EmbeddedStoreOptions = {}): Promise<EmbeddedStore> {
    const database = openDatabase(directory, options.quotaBytes ?? 2 ** 31);
    try {
      return new EmbeddedStore(database, options.clock ?? systemClock);
    } catch (error) {
      database.db.close();
      throw failureOf(error, database.path);
    }
  }

  private constructor(database: OpenDatabase, clock: Clock) {
    this.#database = database;
    this.#tables = new Tables(database);
    const { revision, compactRevision } = this.#tables.begin();
    this.#revision = revision;
    this.#compactRevision = compactRevision;
    this.#history.begin(revision);
    this.#leases = new LeaseTable(clock, (leaseId) => this.#guard(() => this.#dropKeys(leaseId)));
    const leased = this.#tables.leasedKeys();
    if (leased.length > 0) this.#write((tables, revision, events) => leased.forEach((key) => void tables.remove(key, revision, events)));
  }

  async get(key: string): Promise<{ kv: KeyValue | null; revision: bigint }> {
    checkKey(key);
    return this.#guard(() => ({ kv: this.#tables.read(key)[0] ?? null, revision: this.#revision }));
  }

  async range(range: KeyRange): Promise<{ kvs: readonly KeyValue[]; revision: bigint }> {
    checkRange(range);
    return this.#guard(() => ({ kvs: this.#tables.range(range), revision: this.#revision }));
  }

  async txn(txn: Txn): Promise<TxnResult> {
    checkTxn(txn);
    return this.#guard(() => {
      // Nothing else writes meanwhile: calls are synchronous, and the file is locked for this process.
      const succeeded = txn.compare.every((c) => holds(c, 'key' in c ? this.#tables.read(c.key) : this.#tables.range(c.range)));
      const operations = succeeded ? txn.then : (txn.otherwise ?? []);
      this.#checkLeases(operations);
      const perform = (tables: Tables, revision: bigint, events: WatchEvent[]) =>
        operations.map((operation) => run(tables, operation, revision, events));
      // What only reads must not wait for space on the disk, as a transaction that also forgets history may.
      const responses = operations.every(isRead) ? perform(this.#tables, this.#revision, []) : this.#write(perform);
      return { succeeded, revision: this.#revision, responses };
    });
  }

  watch(range: KeyRange, fromRevision: bigint, listener: WatchListener): Watch {
    checkRange(range);
    checkFromRevision(fromRevision);
    try {
      const backlog = this.#guard(() => {
        if (fromRevision < this.#compactRevision) throw new CompactedError(this.#compactRevision);
        return fromRevision > this.#revision ? [] : this.#tables.events(range, fromRevision);
      });
      return this.#watchers.add(range, fromRevision, backlog, listener);
    } catch (error) {
      return this.#watchers.refuse(listener, error as Error);
    }
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkTtl(ttlMs);
    this.#guard(() => undefined);
    const id = randomBytes(8).readBigUInt64BE() >> 1n || 1n;
    this.#leases.grant(id, ttlMs);
    return {
      id,
      ttlMs,
      keepAlive: async () => this.#guard(() => this.#leases.keepAlive(id)),
      revoke: async () => this.#guard(() => this.#leases.revoke(id)),
    };
  }

  /** Forgets the history before `revision`, by default all of it. Happens by itself after some thousand revisions. */
  compact(revision: bigint = this.#revision + 1n): void {
    this.#guard(() => {
      this.#history.forgetBefore(revision > this.#revision ? this.#revision + 1n : revision);
      this.#write(() => undefined);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchers.endAll();
    this.#leases.close();
    try {
      this.#tables.end();
    } finally {
      this.#database.db.close();
    }
  }

  // All events of a write are of one revision, the next; without any, the revision stays.
  #write<T>(body: (tables: Tables, revision: bigint, events: WatchEvent[]) => T): T {
    const revision = this.#revision + 1n;
    const events: WatchEvent[] = [];
    const compactRevision = this.#history.due;
    const result = this.#tables.transaction(() => {
      if (compactRevision > this.#compactRevision) this.#tables.compact(compactRevision);
      const value = body(this.#tables, revision, events);
      if (events.length > 0) this.#tables.append(revision, events);
      return value;
    });
    if (compactRevision > this.#compactRevision) this.#compactRevision = compactRevision;
    if (events.length > 0) {
      this.#revision = revision;
      this.#history.wrote(revision, events);
      this.#watchers.publish(events);
    }
    return result;
  }

  #dropKeys(leaseId: bigint): void {
    this.#write((tables, revision, events) => {
      for (const key of tables.keysOf(leaseId)) tables.remove(key, revision, events);
    });
  }

  #checkLeases(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.op === 'put' && operation.leaseId && !this.#leases.live(operation.leaseId)) throw new LeaseGoneError(operation.leaseId);
    }
  }

  #guard<T>(body: () => T): T {
    if (this.#closed) throw new StoreUnavailableError('the store is closed');
    try {
      return body();
    } catch (error) {
      const failure = failureOf(error, this.#database.path);
      // History is what can be given up: the next write begins by forgetting it, so that there is room again.
      if (failure instanceof StoreUnavailableError && failure.code === 'STORE_FULL') this.#history.forgetBefore(this.#revision + 1n);
      throw failure;
    }
  }
}

/** How much history is kept: between one and two windows, of 2,000 revisions or 4 MiB each, whichever is full first. */
class HistoryWindows {
  /** History before this revision is to be forgotten. */
  due = 0n;
  #startOfWindow = 0n;
  #revisions = 0;
  #bytes = 0;

  begin(revision: bigint): void {
    this.#startOfWindow = revision + 1n;
  }

  wrote(revision: bigint, events: readonly WatchEvent[]): void {
    this.#revisions++;
    for (const event of events)
      this.#bytes += 100 + (event.type === 'put' ? event.kv.key.length + event.kv.value.length : event.key.length);
    if (this.#revisions < 2_000 && this.#bytes < 4 * 1024 * 1024) return;
    this.forgetBefore(this.#startOfWindow);
    this.#startOfWindow = revision + 1n;
    this.#revisions = 0;
    this.#bytes = 0;
  }

  forgetBefore(revision: bigint): void {
    if (revision > this.due) this.due = revision;
  }
}

function isRead({ op }: Operation): boolean {
  return op === 'get' || op === 'range';
}

function run(tables: Tables, operation: Operation, revision: bigint, events: WatchEvent[]): readonly KeyValue[] {
  switch (operation.op) {
    case 'get':
      return tables.read(operation.key);
    case 'range':
      return tables.range(operation.range);
    case 'put':
      tables.put(operation.key, operation.value, operation.leaseId ?? 0n, revision, events);
      return [];
    case 'delete':
      return tables.remove(operation.key, revision, events);
    case 'deleteRange':
      return tables.range(operation.range).flatMap((kv) => tables.remove(kv.key, revision, events));
  }
}
