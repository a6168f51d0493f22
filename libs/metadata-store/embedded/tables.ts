import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { KeyRange, KeyValue, WatchEvent } from '../index.ts';
import type { OpenDatabase } from './database.ts';
import { corrupt } from './failure.ts';

/**
 * How far the revision jumps when the store was not closed cleanly: a power cut may have taken the last transactions, and a revision must
 * never be given twice, for owners' tokens are made of them (invariant 1). Far more than can lie between two checkpoints.
 */
const LOST_AT_MOST = 1_000_000n;

type Row = Readonly<Record<string, unknown>>;

/** The statements of a metadata database. Rows are checked as they are read. */
export class Tables {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #get: StatementSync;
  readonly #range: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #keysOf: StatementSync;
  readonly #append: StatementSync;
  readonly #events: StatementSync;
  readonly #setRevision: StatementSync;

  constructor({ db, path }: OpenDatabase) {
    this.#db = db;
    this.#path = path;
    const prepare = (sql: string): StatementSync => {
      const statement = db.prepare(sql);
      statement.setReadBigInts(true);
      return statement;
    };
    this.#get = prepare('SELECT * FROM kv WHERE key = ?');
    this.#range = prepare('SELECT * FROM kv WHERE key >= ? AND key < ? ORDER BY key');
    this.#put = prepare(`INSERT INTO kv VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value,
      mod_revision = excluded.mod_revision, version = excluded.version, lease_id = excluded.lease_id, crc = excluded.crc`);
    this.#delete = prepare('DELETE FROM kv WHERE key = ?');
    this.#keysOf = prepare('SELECT key FROM kv WHERE lease_id <> 0 AND lease_id = ? ORDER BY key');
    this.#append = prepare('INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#events = prepare('SELECT * FROM event WHERE revision >= ? AND key >= ? AND key < ? ORDER BY revision, sub');
    this.#setRevision = prepare('UPDATE state SET revision = ? WHERE id = 1');
  }

  /** To be called once, first: reads where the store stands and notes that it is in use. */
  begin(): { revision: bigint; compactRevision: bigint } {
    return this.transaction(() => {
      const state = this.#one('SELECT * FROM state');
      const written = this.#one('SELECT max(revision) AS event FROM event')['event'] as bigint | null;
      const stored = state['revision'] as bigint;
      if (written !== null && written > stored)
        throw corrupt(this.#path, `its revision ${stored} is below that of its last event, ${written}`);
      const revision = state['clean'] === 1n ? stored : stored + LOST_AT_MOST;
      this.#db.prepare('UPDATE state SET revision = ?, clean = 0').run(revision);
      return { revision, compactRevision: state['compact_revision'] as bigint };
    });
  }

  /** To be called once, last. */
  end(): void {
    this.#db.exec('UPDATE state SET clean = 1');
  }

  transaction<T>(body: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  read(key: string): readonly KeyValue[] {
    const row = this.#get.get(key);
    return row === undefined ? [] : [this.#keyValue(row, row['mod_revision'] as bigint)];
  }

  range(range: KeyRange): readonly KeyValue[] {
    return this.#range.all(range.start, range.end).map((row) => this.#keyValue(row, row['mod_revision'] as bigint));
  }

  keysOf(leaseId: bigint): readonly string[] {
    return this.#keysOf.all(leaseId).map((row) => row['key'] as string);
  }

  leasedKeys(): readonly string[] {
    return this.#db
      .prepare('SELECT key FROM kv WHERE lease_id <> 0 ORDER BY key')
      .all()
      .map((row) => row['key'] as string);
  }

  put(key: string, value: string, leaseId: bigint, revision: bigint, events: WatchEvent[]): void {
    const before = this.read(key)[0];
    const kv: KeyValue = {
      key,
      value,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0n) + 1n,
      leaseId,
    };
    this.#put.run(key, value, kv.createRevision, revision, kv.version, leaseId, crcOf(kv));
    events.push({ type: 'put', kv });
  }

  remove(key: string, revision: bigint, events: WatchEvent[]): readonly KeyValue[] {
    const before = this.read(key);
    if (before.length === 0) return before;
    this.#delete.run(key);
    events.push({ type: 'delete', key, revision });
    return before;
  }

  append(revision: bigint, events: readonly WatchEvent[]): void {
    for (const [sub, event] of events.entries()) {
      if (event.type === 'delete') {
        const crc = crcOf({ key: event.key, value: '', createRevision: 0n, modRevision: revision, version: 0n, leaseId: 0n });
        this.#append.run(revision, sub, event.key, null, 0n, 0n, 0n, crc);
      } else {
        const { key, value, createRevision, version, leaseId } = event.kv;
        this.#append.run(revision, sub, key, value, createRevision, version, leaseId, crcOf(event.kv));
      }
    }
    this.#setRevision.run(revision);
  }

  events(range: KeyRange, fromRevision: bigint): WatchEvent[] {
    return this.#events.all(fromRevision, range.start, range.end).map((row): WatchEvent => {
      const revision = row['revision'] as bigint;
      const kv = this.#keyValue(row, revision);
      return row['value'] === null ? { type: 'delete', key: kv.key, revision } : { type: 'put', kv };
    });
  }

  compact(revision: bigint): void {
    this.#db.prepare('DELETE FROM event WHERE revision < ?').run(revision);
    this.#db.prepare('UPDATE state SET compact_revision = ?').run(revision);
  }

  #keyValue(row: Row, modRevision: bigint): KeyValue {
    const kv: KeyValue = {
      key: row['key'] as string,
      value: (row['value'] ?? '') as string,
      createRevision: row['create_revision'] as bigint,
      modRevision,
      version: row['version'] as bigint,
      leaseId: row['lease_id'] as bigint,
    };
    if (BigInt(crcOf(kv)) !== row['crc'])
      throw corrupt(this.#path, `the row of ${kv.key} at revision ${modRevision} is not as it was written`);
    return kv;
  }

  #one(sql: string): Row {
    const statement = this.#db.prepare(sql);
    statement.setReadBigInts(true);
    const row = statement.get();
    if (row === undefined) throw corrupt(this.#path, 'its state is missing');
    return row;
  }
}

function crcOf(kv: KeyValue): number {
  return crc32(`${kv.key}\0${kv.value}\0${kv.createRevision} ${kv.modRevision} ${kv.version} ${kv.leaseId}`);
}
