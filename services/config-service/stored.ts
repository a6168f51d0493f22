/** A message type of ts-proto, as far as storage needs it. */
interface StoredType<T> {
  create(): T;
  fromJSON(object: unknown): T;
  toJSON(message: T): unknown;
}

/**
 * A message as proto3 JSON. Over a `previous` value, fields of it that this version does not know stay: ts-proto drops them, and
 * an older replica must not erase what a newer one wrote.
 */
export function encodeStored<T extends object>(type: StoredType<T>, message: T, previous?: string): string {
  const known = type.toJSON(message) as Record<string, unknown>;
  if (previous === undefined) return JSON.stringify(known);
  const raw = JSON.parse(previous) as Record<string, unknown>;
  for (const field of Object.keys(type.create())) delete raw[field];
  return JSON.stringify({ ...raw, ...known });
}

export function decodeStored<T extends object>(type: StoredType<T>, value: string): T {
  return type.fromJSON(JSON.parse(value));
}
