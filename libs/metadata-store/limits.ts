import { ConfigError } from '@rocketmq-connect/sdk';
import { inRange } from './byte-order.ts';
import type { KeyRange, Operation, Txn } from './index.ts';

/** What one transaction may hold; below the defaults of an etcd server (128 operations, 1.5 MiB). */
export const TXN_LIMITS = { operations: 100, compares: 128, bytes: 1024 * 1024 } as const;

/** Throws `ConfigError` for a transaction that no store takes; every adapter asks this first, so that all refuse the same. */
export function checkTxn(txn: Txn): void {
  const otherwise = txn.otherwise ?? [];
  limit('compare', 'compares', txn.compare.length, TXN_LIMITS.compares);
  limit('then', 'operations', txn.then.length, TXN_LIMITS.operations);
  limit('otherwise', 'operations', otherwise.length, TXN_LIMITS.operations);
  for (const compare of txn.compare) 'key' in compare ? checkKey(compare.key, 'compare') : checkRange(compare.range, 'compare');
  checkBranch('then', txn.then);
  checkBranch('otherwise', otherwise);
  const bytes = bytesOf(txn);
  if (bytes >= TXN_LIMITS.bytes) {
    throw new ConfigError(`a transaction of ${bytes} bytes is too large: it must stay below ${TXN_LIMITS.bytes} bytes`, {
      code: 'STORE_LIMIT',
      field: 'txn',
      remedy: 'split it, or store less under one key',
    });
  }
}

/** Throws `ConfigError` unless the key is one that every store can hold. */
export function checkKey(key: string, field = 'key'): void {
  if (key === '') throw new ConfigError('a key is empty', { code: 'STORE_KEY_INVALID', field, remedy: 'give the key a name' });
  checkText(key, field);
}

/** Throws `ConfigError` unless the range holds at least room for one key: others mean something else to etcd than they seem to. */
export function checkRange(range: KeyRange, field = 'range'): void {
  checkKey(range.start, field);
  checkKey(range.end, field);
  if (!inRange(range, range.start)) {
    throw new ConfigError(`the range from ${range.start} to ${range.end} ends before it starts`, {
      code: 'STORE_KEY_INVALID',
      field,
      remedy: 'make ranges with prefixRange, keyRange or spanRange',
    });
  }
}

/** Throws `ConfigError` unless the TTL is a positive number of milliseconds. */
export function checkTtl(ttlMs: number): void {
  if (ttlMs > 0 && Number.isFinite(ttlMs)) return;
  throw new ConfigError(`a lease of ${ttlMs} ms cannot be had`, {
    code: 'STORE_TTL_INVALID',
    field: 'ttlMs',
    remedy: 'give a positive number',
  });
}

/** Throws `ConfigError` unless a watch can start there. */
export function checkFromRevision(fromRevision: bigint): void {
  if (fromRevision > 0n) return;
  throw new ConfigError(`a watch cannot start at revision ${fromRevision}`, {
    code: 'STORE_REVISION_INVALID',
    field: 'fromRevision',
    remedy: 'start at the revision of a read + 1',
  });
}

function limit(field: string, what: string, count: number, most: number): void {
  if (count <= most) return;
  throw new ConfigError(`a transaction has ${count} ${what} in "${field}": at most ${most} are allowed`, {
    code: 'STORE_LIMIT',
    field,
    remedy: 'split the transaction',
  });
}

// What etcd's own checks do: a key may be written once, also not by a put inside of a deleted range, for the order would decide.
function checkBranch(field: string, operations: readonly Operation[]): void {
  const written = new Set<string>();
  const deleted: KeyRange[] = [];
  for (const operation of operations) {
    if ('range' in operation) checkRange(operation.range, field);
    else checkKey(operation.key, field);
    if (operation.op === 'put') checkText(operation.value, operation.key);
    if (operation.op === 'deleteRange') deleted.push(operation.range);
    if (operation.op !== 'put' && operation.op !== 'delete') continue;
    if (written.has(operation.key)) throw twice(field, operation.key);
    written.add(operation.key);
  }
  for (const operation of operations) {
    if (operation.op === 'put' && deleted.some((range) => inRange(range, operation.key))) throw twice(field, operation.key);
  }
}

function twice(field: string, key: string): ConfigError {
  return new ConfigError(`a transaction writes ${key} twice`, {
    code: 'STORE_KEY_TWICE',
    field,
    remedy: 'write each key once in a transaction',
  });
}

function checkText(text: string, field: string): void {
  if (text.isWellFormed()) return;
  throw new ConfigError('a key or value is not valid Unicode: it holds half of a surrogate pair', {
    code: 'STORE_TEXT_INVALID',
    field,
    remedy: 'encode bytes as text, e.g. in base64',
  });
}

function bytesOf(txn: Txn): number {
  const framing = 16;
  let bytes = 0;
  for (const compare of txn.compare) {
    bytes += framing + ('key' in compare ? Buffer.byteLength(compare.key) : rangeBytes(compare.range));
    if (compare.target === 'value') bytes += Buffer.byteLength(compare.value);
  }
  for (const operation of [...txn.then, ...(txn.otherwise ?? [])]) {
    bytes += framing + ('range' in operation ? rangeBytes(operation.range) : Buffer.byteLength(operation.key));
    if (operation.op === 'put') bytes += Buffer.byteLength(operation.value);
  }
  return bytes;
}

function rangeBytes(range: KeyRange): number {
  return Buffer.byteLength(range.start) + Buffer.byteLength(range.end);
}
