import { DataError } from '@rocketmq-connect/sdk';

/**
 * A value without a schema as something that `JSON.stringify` writes faithfully: bigint as a number of all its digits, bytes as
 * base64, Date as milliseconds, Map as an object (or as pairs, where a key is no text). Plain values come back as they are.
 */
export function plainJson(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      throw new DataError(`JSON has no number ${value}`, { code: 'NOT_JSON' });
    case 'bigint':
      return exactInteger(value);
    case 'undefined':
      return null;
    case 'object':
      return value === null ? null : plainObject(value);
    default:
      throw new DataError(`JSON has no value for a ${typeof value}`, { code: 'NOT_JSON' });
  }
}

/** An integer of any size as a JSON number. */
export function exactInteger(value: bigint): unknown {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : rawJson(value.toString());
}

/** A text that goes into the JSON as it is. */
export function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}

function plainObject(value: object): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  if (value instanceof Date) return plainJson(value.getTime());
  if (value instanceof Map) return plainMap(value);
  return Array.isArray(value) ? plainList(value) : plainFields(value);
}

// Both copy only what has to change: most values are plain already.
function plainList(list: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let at = 0; at < list.length; at++) {
    const plain = plainJson(list[at]);
    if (plain === list[at]) continue;
    copy ??= [...list];
    copy[at] = plain;
  }
  return copy ?? list;
}

function plainFields(fields: object): object {
  let copy: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(fields)) {
    const plain = plainJson(value);
    if (plain === value) continue;
    // A key `__proto__` is an own one of the copy before it is assigned to.
    copy ??= { ...fields };
    copy[name] = plain;
  }
  return copy ?? fields;
}

function plainMap(map: ReadonlyMap<unknown, unknown>): unknown {
  const entries = [...map].map(([key, entry]) => [key, plainJson(entry)] as const);
  if (entries.every(([key]) => typeof key === 'string')) return Object.fromEntries(entries);
  return entries.map(([key, entry]) => [plainJson(key), entry]);
}
