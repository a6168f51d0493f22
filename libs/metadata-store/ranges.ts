import type { Compare, KeyRange } from './index.ts';

/** All keys that begin with `prefix`. */
export function prefixRange(prefix: string): KeyRange {
  const last = prefix.length - 1;
  return { start: prefix, end: prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1) };
}

/** Exactly one key. */
export function keyRange(key: string): KeyRange {
  return { start: key, end: `${key}\0` };
}

/** `[start, end)`. */
export function spanRange(start: string, end: string): KeyRange {
  return { start, end };
}

export function absent(key: string): Compare {
  return { key, target: 'createRevision', value: 0n };
}

/** The key exists since exactly this revision: the fence of an owner (its token). */
export function createdAt(key: string, revision: bigint): Compare {
  return { key, target: 'createRevision', value: revision };
}

/** The key is as it was read; 0n: it is absent. */
export function modifiedAt(key: string, revision: bigint): Compare {
  return { key, target: 'modRevision', value: revision };
}

/** No key is in the range. */
export function rangeEmpty(range: KeyRange): Compare {
  return { range, target: 'createRevision', value: 0n };
}
