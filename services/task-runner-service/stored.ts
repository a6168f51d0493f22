/** A message type of ts-proto, as far as storage needs it. */
interface StoredType<T> {
  fromJSON(object: unknown): T;
  toJSON(message: T): unknown;
}

export function encodeStored<T>(type: StoredType<T>, message: T): string {
  return JSON.stringify(type.toJSON(message));
}

export function decodeStored<T>(type: StoredType<T>, value: string): T {
  return type.fromJSON(JSON.parse(value));
}
