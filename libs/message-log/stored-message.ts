import { inflateSync, zstdDecompressSync } from 'node:zlib';
import { FatalError } from '@rocketmq-connect/sdk';
import { decompressLz4 } from './lz4.ts';

/**
 * A message as RocketMQ's brokers store and hand it out (org.apache.rocketmq.common.message.MessageDecoder):
 *
 *      0 int32 size, this field included        28 int64 physical offset
 *      4 int32 magic                            36 int32 system flag
 *      8 int32 body CRC                         40 int64 born time, ms
 *     12 int32 queue id                         48 born host: 4 or 16 address bytes, int32 port
 *     16 int32 flag                             .. int64 store time, ms; store host; int32 reconsume times
 *     20 int64 queue offset                     .. int64 prepared transaction offset
 *     .. int32 body length, body; topic length (int8, or int16 with the second magic), topic; int16 properties length, properties
 */
const MAGIC = 0xdaa320a7 | 0;
/** Topic names longer than 127 bytes. */
const MAGIC_V2 = 0xdaa320a8 | 0;
const QUEUE_OFFSET_AT = 20;
const SYSTEM_FLAG_AT = 36;
const HOSTS_AT = 48;
const SMALLEST = 91;

const COMPRESSED = 0x1;
const BORN_HOST_V6 = 0x1 << 4;
const STORE_HOST_V6 = 0x1 << 5;
/** The body is a batch of its own (topics with `queue.type=BatchCQ`). */
const INNER_BATCH = 0x1 << 7;
const COMPRESSION_SHIFT = 8;
const COMPRESSION_MASK = 0x7;
const LZ4 = 1;
const ZSTD = 2;
const BODY_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Calls `visit` for each message in order with its body, decompressed where it was compressed, else a slice of `bytes`; and where its
 * encoded properties lie. Throws `RangeError` on a layout that does not add up, `FatalError` for a body that cannot be read.
 */
export function visitStoredMessages(
  bytes: Buffer,
  visit: (body: Buffer, propertiesAt: number, propertiesEnd: number, index: number) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const end = at + sizeAt(view, at);
    const magic = view.getInt32(at + 4);
    if (magic !== MAGIC && magic !== MAGIC_V2) throw impossible(at, `the magic number ${magic >>> 0}`);
    const flag = view.getInt32(at + SYSTEM_FLAG_AT);
    const bodyAt = storeTimeAt(at, flag) + 8 + ((flag & STORE_HOST_V6) === 0 ? 8 : 20) + 4 + 8 + 4;
    const bodyBytes = bodyAt <= end ? view.getInt32(bodyAt - 4) : -1;
    const topicAt = bodyAt + bodyBytes + (magic === MAGIC ? 1 : 2);
    if (bodyBytes < 0 || topicAt > end) throw impossible(at, `a body of ${bodyBytes} bytes`);
    const propertiesAt = topicAt + (magic === MAGIC ? view.getUint8(topicAt - 1) : view.getUint16(topicAt - 2)) + 2;
    if (propertiesAt > end) throw impossible(at, 'a topic that does not fit');
    const propertiesEnd = propertiesAt + view.getInt16(propertiesAt - 2);
    if (propertiesEnd < propertiesAt || propertiesEnd > end) throw impossible(at, 'properties that do not fit');
    const stored = bytes.subarray(bodyAt, bodyAt + bodyBytes);
    visit(
      (flag & (COMPRESSED | INNER_BATCH)) === 0 ? stored : openBody(stored, flag, offsetAt(view, at)),
      propertiesAt,
      propertiesEnd,
      index,
    );
    at = end;
  }
}

/** Calls `visit` for each message with where it lies and its position in the queue. Throws `RangeError` on a layout that does not add up. */
export function visitStoredPositions(bytes: Buffer, visit: (at: number, end: number, queueOffset: number) => void): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const end = at + sizeAt(view, at);
    visit(at, end, offsetAt(view, at));
    at = end;
  }
}

/** The store time of the message at the beginning of `bytes`. */
export function storedAtMs(bytes: Buffer): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  sizeAt(view, 0);
  return int64(view, storeTimeAt(0, view.getInt32(SYSTEM_FLAG_AT)));
}

function storeTimeAt(at: number, flag: number): number {
  return at + HOSTS_AT + ((flag & BORN_HOST_V6) === 0 ? 8 : 20);
}

function sizeAt(view: DataView, at: number): number {
  const size = at + 4 <= view.byteLength ? view.getInt32(at) : 0;
  if (size < SMALLEST || at + size > view.byteLength) throw impossible(at, `a message of ${size} bytes`);
  return size;
}

function offsetAt(view: DataView, at: number): number {
  return int64(view, at + QUEUE_OFFSET_AT);
}

/** Offsets and times are far below 2^53. */
function int64(view: DataView, at: number): number {
  return view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
}

function openBody(body: Buffer, flag: number, offset: number): Buffer {
  if ((flag & INNER_BATCH) !== 0) {
    throw new FatalError(`the message at position ${offset} is a batch within a message`, {
      code: 'MESSAGE_INNER_BATCH',
      remedy: 'Topics with queue.type=BatchCQ cannot be read; copy the topic to one with queue.type=SimpleCQ.',
    });
  }
  const type = (flag >> COMPRESSION_SHIFT) & COMPRESSION_MASK;
  try {
    switch (type) {
      case LZ4:
        return decompressLz4(body, BODY_BYTES_MAX);
      case ZSTD:
        return zstdDecompressSync(body, { maxOutputLength: BODY_BYTES_MAX });
      default:
        // Older clients compress by zlib and set no type.
        return inflateSync(body, { maxOutputLength: BODY_BYTES_MAX });
    }
  } catch (error) {
    throw new FatalError(
      `the body of the message at position ${offset} (${body.length} bytes, compression ${type}) cannot be decompressed`,
      {
        code: 'MESSAGE_COMPRESSION',
        remedy: `Alter the offset of this queue to ${offset + 1} to go on without it.`,
        cause: error,
      },
    );
  }
}

function impossible(at: number, what: string): RangeError {
  return new RangeError(`the message at byte ${at} has an impossible layout: ${what}`);
}
