import { accessSync, constants, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { ConfigError } from '@rocketmq-connect/sdk';
import { corrupt, failureOf, isLocked, unusable } from './failure.ts';
import { openSqlite } from './sqlite.ts';

export interface OpenDatabase {
  readonly db: DatabaseSync;
  /** The file, for messages. */
  readonly path: string;
}

const LAYOUT = 1;
/** "RMQC": tells our files from other programs'. */
const APPLICATION_ID = 0x524d5143;
const PAGE_BYTES = 4096;

// Rows carry a CRC: SQLite's own check finds a damaged page structure or index, not a flipped bit in a value.
const SCHEMA = `
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, compact_revision INTEGER NOT NULL, clean INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (1, 1, 0, 1);
CREATE TABLE kv (key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL,
  version INTEGER NOT NULL, lease_id INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE INDEX kv_lease ON kv (lease_id) WHERE lease_id <> 0;
CREATE TABLE event (revision INTEGER NOT NULL, sub INTEGER NOT NULL, key TEXT NOT NULL, value TEXT, create_revision INTEGER NOT NULL,
  version INTEGER NOT NULL, lease_id INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (revision, sub)) STRICT;
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${LAYOUT};
`;

/**
 * Opens and locks the database of a directory, made if absent. The lock is SQLite's, a lock of the operating system on the file: it goes
 * with the process, however that dies. It also goes when this process closes any other descriptor of that file, so nothing here
 * ever opens the file itself; who holds the lock is written to a file beside it.
 */
export function openDatabase(directory: string, quotaBytes: number): OpenDatabase {
  const path = join(directory, 'metadata.db');
  const holderPath = join(directory, 'metadata.pid');
  makeDirectory(directory);
  checkRights(directory, path);
  const before = holderOf(holderPath);
  if (before !== undefined && !sizeOf(path)) throw corrupt(path, 'the file is empty or missing, though this directory was in use');
  let db: DatabaseSync | undefined;
  try {
    db = openSqlite(path);
    prepare(db, path, quotaBytes);
    writeHolder(holderPath);
    return { db, path };
  } catch (error) {
    db?.close();
    throw isLocked(error) ? locked(directory, holderOf(holderPath)) : failureOf(error, path);
  }
}

function prepare(db: DatabaseSync, path: string, quotaBytes: number): void {
  db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -1024; PRAGMA max_page_count = ${Math.ceil(quotaBytes / PAGE_BYTES)}`);
  const applicationId = pragma(db, 'application_id');
  const layout = pragma(db, 'user_version');
  const fresh = applicationId === 0 && layout === 0 && pragma(db, 'schema_version') === 0;
  if (!fresh && applicationId !== APPLICATION_ID) throw corrupt(path, 'it is a database of another program');
  if (layout > LAYOUT) throw newer(path, layout);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 8388608');
  db.exec(`BEGIN IMMEDIATE; ${fresh ? SCHEMA : ''} COMMIT`);
  const finding = db.prepare('PRAGMA integrity_check(1)').get()?.['integrity_check'];
  if (finding !== 'ok') throw corrupt(path, String(finding));
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw unusable(directory, (error as Error).message, error);
  }
}

// SQLite opens what it may not write, for reading, and says later and less clearly what is wrong.
function checkRights(directory: string, path: string): void {
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    if (sizeOf(path) !== undefined) accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw unusable(directory, (error as Error).message, error);
  }
}

function writeHolder(holderPath: string): void {
  try {
    writeFileSync(holderPath, `${process.pid}\n`);
  } catch (error) {
    throw unusable(holderPath, (error as Error).message, error);
  }
}

function holderOf(holderPath: string): string | undefined {
  if (sizeOf(holderPath) === undefined) return undefined;
  return readFileSync(holderPath, 'utf8').trim();
}

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

function locked(directory: string, pid: string | undefined): ConfigError {
  const holder = pid === String(process.pid) ? `this process (${pid})` : `process ${pid || 'unknown'}`;
  return new ConfigError(`the data directory ${directory} is in use by ${holder}`, {
    code: 'DATA_DIR_LOCKED',
    field: directory,
    remedy: `stop ${holder}, or choose another data directory`,
  });
}

function newer(path: string, layout: number): ConfigError {
  return new ConfigError(`${path} has layout ${layout}; this version knows up to ${LAYOUT}`, {
    code: 'DATA_DIR_NEWER',
    field: path,
    remedy: 'run the version that wrote it or a newer one, or choose another data directory',
  });
}
