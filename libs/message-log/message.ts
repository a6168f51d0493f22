import type { FetchedMessages, MessageBatch } from './index.ts';
import { visitStoredMessages } from './stored-message.ts';

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
const MAX_PROPERTIES_BYTES = 32_767;
const ALLOCATION_BYTES = 4 * 1024;
const NOTHING: Buffer = Buffer.alloc(0);
export const NAME_END = '\x01';
export const VALUE_END = '\x02';

/** Encoded properties that write themselves into a batch. */
export interface PropertyWriter {
  /** The most bytes that `write` writes. */
  readonly bytesMax: number;
  /** Writes at `at`; returns where it ended. */
  write(buffer: Buffer, at: number): number;
}

function propertiesTooLarge(bytes: number): RangeError {
  return new RangeError(`properties take ${bytes} bytes; a message holds ${MAX_PROPERTIES_BYTES}`);
}

/** Builds batches without an allocation per message. Holds no memory while it is empty. */
export class BatchBuilder {
  #buffer: Buffer = NOTHING;
  #view: DataView = new DataView(NOTHING.buffer);
  #capacity: number;
  #bytes = 0;
  #count = 0;

  constructor(initialBytes = 64 * 1024) {
    this.#capacity = initialBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** `properties` is encoded text: name 0x01 value 0x02 ..., at most 32,767 bytes, else `RangeError`. */
  add(body: Buffer, properties: string): void {
    const bodyBytes = body.length;
    const most = FIXED_BYTES + bodyBytes + properties.length * 3;
    if (this.#bytes + most > this.#buffer.length) this.#grow(this.#bytes + most);
    const at = this.#bytes;
    const propertiesAt = at + FIXED_BYTES + bodyBytes;
    const propertiesBytes = properties.length === 0 ? 0 : this.#buffer.write(properties, propertiesAt, 'utf8');
    if (propertiesBytes > MAX_PROPERTIES_BYTES) throw propertiesTooLarge(propertiesBytes);
    this.#frame(at, body, propertiesBytes);
  }

  /** The same for properties that write themselves: a text per record costs more than all the rest. */
  addWritten(body: Buffer, properties: PropertyWriter): void {
    const most = FIXED_BYTES + body.length + properties.bytesMax;
    if (this.#bytes + most > this.#buffer.length) this.#grow(this.#bytes + most);
    const at = this.#bytes;
    const propertiesAt = at + FIXED_BYTES + body.length;
    const propertiesBytes = properties.write(this.#buffer, propertiesAt) - propertiesAt;
    if (propertiesBytes > MAX_PROPERTIES_BYTES) throw propertiesTooLarge(propertiesBytes);
    this.#frame(at, body, propertiesBytes);
  }

  /** Hands out what was added and starts anew with a buffer of its own. */
  take(): MessageBatch {
    const batch = { bytes: this.#buffer.subarray(0, this.#bytes), count: this.#count };
    // The next batch will be about as large.
    if (this.#bytes > 0) this.#capacity = Math.ceil((this.#bytes * 1.25) / ALLOCATION_BYTES) * ALLOCATION_BYTES;
    this.#use(NOTHING);
    this.#bytes = 0;
    this.#count = 0;
    return batch;
  }

  /** Puts the message around its properties, which stand where they belong. */
  #frame(at: number, body: Buffer, propertiesBytes: number): void {
    const view = this.#view;
    const bodyBytes = body.length;
    const size = FIXED_BYTES + bodyBytes + propertiesBytes;
    view.setInt32(at, size);
    view.setInt32(at + 4, 0);
    view.setInt32(at + 8, 0);
    view.setInt32(at + 12, 0);
    view.setInt32(at + 16, bodyBytes);
    this.#buffer.set(body, at + HEADER_BYTES);
    view.setInt16(at + HEADER_BYTES + bodyBytes, propertiesBytes);
    this.#bytes = at + size;
    this.#count++;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#capacity, this.#bytes * 2));
    this.#buffer.copy(larger, 0, 0, this.#bytes);
    this.#use(larger);
  }

  #use(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }
}

/**
 * Calls `visit` for each message in order with where its body and its encoded properties lie in `bytes`: makes no object per message.
 * Throws `RangeError` on a layout that does not add up.
 */
export function visitMessages(
  bytes: Buffer,
  visit: (bodyAt: number, bodyEnd: number, propertiesAt: number, propertiesEnd: number, index: number) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length;
  let at = 0;
  for (let index = 0; at < end; index++) {
    const bodyAt = at + HEADER_BYTES;
    const bodyBytes = bodyAt <= end ? view.getInt32(at + 16) : -1;
    const bodyEnd = bodyAt + bodyBytes;
    const propertiesAt = bodyEnd + 2;
    const propertiesBytes = bodyBytes >= 0 && propertiesAt <= end ? view.getInt16(bodyEnd) : -1;
    const messageEnd = propertiesAt + propertiesBytes;
    if (propertiesBytes < 0 || messageEnd > end || view.getInt32(at) !== messageEnd - at) {
      throw new RangeError(`message ${index} at byte ${at} has an impossible layout`);
    }
    visit(bodyAt, bodyEnd, propertiesAt, messageEnd, index);
    at = messageEnd;
  }
}

/** Like `visitMessages`, with a slice of `bytes` as body and the encoded properties as text (see `property`). */
export function decodeMessages(bytes: Buffer, visit: (body: Buffer, properties: string, index: number) => void): void {
  visitMessages(bytes, (bodyAt, bodyEnd, propertiesAt, propertiesEnd, index) => {
    const properties = propertiesAt === propertiesEnd ? '' : bytes.toString('utf8', propertiesAt, propertiesEnd);
    visit(bytes.subarray(bodyAt, bodyEnd), properties, index);
  });
}

/** Like `decodeMessages`, for what a reader gave, in either layout. */
export function decodeFetched(
  { bytes, layout }: Pick<FetchedMessages, 'bytes' | 'layout'>,
  visit: (body: Buffer, properties: string, index: number) => void,
): void {
  if (layout === 'batch') return decodeMessages(bytes, visit);
  visitStoredMessages(bytes, (body, propertiesAt, propertiesEnd, index) => {
    visit(body, propertiesAt === propertiesEnd ? '' : bytes.toString('utf8', propertiesAt, propertiesEnd), index);
  });
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
  /** RocketMQ's own: the message group, whose messages are in order. */
  group: '__SHARDINGKEY',
  /** Identity of a source record, for exactly once into the log. */
  id: 'rmqc.id',
  /** Record timestamp in ms since the epoch, where the record had one; the name that apache/rocketmq-connect gives it. */
  timestamp: 'connect.timestamp',
  /** A tombstone: the value is null. */
  nullValue: 'rmqc.null',
  /** The value is empty, where the log takes no empty body. */
  emptyBody: 'rmqc.empty',
  /** The key as base64, where it is not text or KEYS are other ones. */
  binaryKey: 'rmqc.k64',
  /** Prefix of a header that text cannot hold: base64. */
  binaryHeader: 'rmqc.h64.',
} as const;
