import { isDeepStrictEqual } from 'node:util';
import type { KeyValue } from '@rocketmq-connect/metadata-store';
import { FatalError } from '@rocketmq-connect/sdk';

/** A message type of the generated code, as far as storage needs it. */
export interface StoredType<T> {
  fromJSON(object: unknown): T;
  toJSON(message: T): unknown;
}

/** The message stored under a key. Throws `FatalError` with code `STORED_VALUE_CORRUPT`, naming the key. */
export function decodeStored<T>(type: StoredType<T>, { key, value }: Pick<KeyValue, 'key' | 'value'>): T {
  try {
    return type.fromJSON(parseObject(value));
  } catch (error) {
    throw new FatalError(`the value stored under ${key} cannot be read: ${(error as Error).message}`, {
      code: 'STORED_VALUE_CORRUPT',
      field: key,
      remedy: 'restore the key from a backup, or delete it; if a newer version wrote it, upgrade this one',
      cause: error,
    });
  }
}

/**
 * A message as proto3 JSON. What `previous`, the stored value that it replaces, holds beyond what this version knows stays: an
 * older replica must not erase what a newer one wrote, and ts-proto drops unknown fields and reads unknown values of enums as
 * UNRECOGNIZED. That goes for fields of nested messages and of a map's messages too, and for those of repeated messages as long as
 * these are unchanged; a changed element is a new one.
 */
export function encodeStored<T>(type: StoredType<T>, message: T, previous?: string): string {
  const next = type.toJSON(message);
  if (previous === undefined) return JSON.stringify(next);
  const raw = parseObject(previous);
  return JSON.stringify(merge(raw, type.toJSON(type.fromJSON(raw)), next));
}

/** `raw` is what was stored, `known` the part of it that this version understands, `next` what it wants there. */
function merge(raw: unknown, known: unknown, next: unknown): unknown {
  if (Array.isArray(raw) && Array.isArray(known) && Array.isArray(next)) return mergeElements(raw, known, next);
  // What was not changed stays as it was written: a value of an enum that this version does not know, too.
  if (!isObject(raw) || !isObject(known) || !isObject(next)) return known === next ? raw : next;
  const merged = new Map(Object.entries(next));
  for (const [field, value] of Object.entries(raw)) {
    if (Object.hasOwn(next, field)) merged.set(field, merge(value, known[field], next[field]));
    else if (!Object.hasOwn(known, camelCase(field))) merged.set(field, value);
  }
  return Object.fromEntries(merged);
}

function mergeElements(raw: readonly unknown[], known: readonly unknown[], next: readonly unknown[]): unknown[] {
  const left = new Set(raw.keys());
  return next.map((element) => {
    for (const index of left) {
      if (!isDeepStrictEqual(known[index], element)) continue;
      left.delete(index);
      return raw[index];
    }
    return element;
  });
}

// proto3 JSON may also be written with the names of the .proto file, for instance by hand: those are known fields as well.
function camelCase(field: string): string {
  return field.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function parseObject(value: string): Record<string, unknown> {
  const parsed: unknown = JSON.parse(value);
  if (!isObject(parsed)) throw new Error('it is not a JSON object');
  return parsed;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
