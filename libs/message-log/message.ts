import type { MessageBatch } from './index.ts';

/**
 * RocketMQ's batch layout, one message after another (the body of SEND_BATCH_MESSAGE, org.apache.rocketmq.common.message.MessageDecoder):
 *
 *     int32 size of this message, this field included
 *     int32 magic, 0          int32 body CRC, 0 (the broker computes its own)
 *     int32 flag, 0           int32 body length, body
 *     int16 properties length, properties: name 0x01 value 0x02 ... in UTF-8
 *
 * A tombstone has no body and the property `rmqc.null`.
 */
const HEADER_BYTES = 20;
const FIXED_BYTES = HEADER_BYTES + 2;
export const NAME_END = '\x01';
export const VALUE_END = '\x02';

/** Builds batches without an allocation per message. */
export class BatchBuilder {
  #buffer: Buffer;
  #bytes = 0;
  #count = 0;

  constructor(initialBytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** `properties` is encoded text: name 0x01 value 0x02 ..., at most 32,767 bytes. */
  add(body: Buffer, properties: string): void {
    const most = FIXED_BYTES + body.length + properties.length * 3;
    if (this.#bytes + most > this.#buffer.length) this.#grow(this.#bytes + most);
    const buffer = this.#buffer;
    const at = this.#bytes;
    buffer.writeInt32BE(0, at + 4);
    buffer.writeInt32BE(0, at + 8);
    buffer.writeInt32BE(0, at + 12);
    buffer.writeInt32BE(body.length, at + 16);
    body.copy(buffer, at + HEADER_BYTES);
    const propertiesAt = at + HEADER_BYTES + body.length;
    const propertiesBytes = properties.length === 0 ? 0 : buffer.write(properties, propertiesAt + 2, 'utf8');
    buffer.writeInt16BE(propertiesBytes, propertiesAt);
    const size = FIXED_BYTES + body.length + propertiesBytes;
    buffer.writeInt32BE(size, at);
    this.#bytes = at + size;
    this.#count++;
  }

  /** Hands out what was added and starts anew with a buffer of its own. */
  take(): MessageBatch {
    const batch = { bytes: this.#buffer.subarray(0, this.#bytes), count: this.#count };
    this.#buffer = Buffer.allocUnsafeSlow(this.#buffer.length);
    this.#bytes = 0;
    this.#count = 0;
    return batch;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#bytes);
    this.#buffer = larger;
  }
}

/**
 * Calls `visit` for each message in order; `body` is a slice of `bytes`, `properties` is encoded text (see `property`).
 * Throws `RangeError` on a layout that does not add up.
 */
export function decodeMessages(bytes: Buffer, visit: (body: Buffer, properties: string, index: number) => void): void {
  let at = 0;
  let index = 0;
  while (at < bytes.length) {
    const size = bytes.readInt32BE(at);
    const bodyAt = at + HEADER_BYTES;
    const bodyBytes = bytes.readInt32BE(at + 16);
    const propertiesBytes = bytes.readInt16BE(bodyAt + bodyBytes);
    if (size !== FIXED_BYTES + bodyBytes + propertiesBytes || bodyBytes < 0 || propertiesBytes < 0 || at + size > bytes.length) {
      throw new RangeError(`message ${index} at byte ${at} has an impossible layout`);
    }
    const propertiesAt = bodyAt + bodyBytes + 2;
    visit(bytes.subarray(bodyAt, bodyAt + bodyBytes), bytes.toString('utf8', propertiesAt, propertiesAt + propertiesBytes), index);
    at += size;
    index++;
  }
}

/** Encodes one property. Throws `RangeError` where a separator occurs in it: such values go base64 into properties of our own. */
export function encodeProperty(name: string, value: string): string {
  return name + NAME_END + value + VALUE_END;
}

/** The value of one property in encoded text, or undefined. */
export function property(properties: string, name: string): string | undefined {
  const needle = name + NAME_END;
  let at = properties.startsWith(needle) ? 0 : properties.indexOf(VALUE_END + needle) + 1;
  if (at === 0 && !properties.startsWith(needle)) return undefined;
  at += needle.length;
  const end = properties.indexOf(VALUE_END, at);
  return properties.slice(at, end === -1 ? undefined : end);
}

/** Property names of our own. Short: they travel with every record. */
export const PropertyName = {
  /** RocketMQ's own: the record key as text. */
  keys: 'KEYS',
  /** RocketMQ's own: tags. */
  tags: 'TAGS',
  /** Identity of a source record, for exactly once into the log. */
  id: 'rmqc.id',
  /** Record timestamp in ms since the epoch, where the record had one. */
  timestamp: 'rmqc.ts',
  /** A tombstone: the value is null. */
  nullValue: 'rmqc.null',
  /** The key as base64, where it is not text. */
  binaryKey: 'rmqc.k64',
  /** Prefix of a header that text cannot hold: base64. */
  binaryHeader: 'rmqc.h64.',
} as const;
