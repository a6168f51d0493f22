import { inflateSync, zstdDecompressSync } from 'node:zlib';
import { DataError } from '@rocketmq-connect/sdk';

/**
 * A message as brokers store and hand it out (org.apache.rocketmq.common.message.MessageDecoder):
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

const COMPRESSED = 0x1;
const BORN_HOST_V6 = 0x1 << 4;
const STORE_HOST_V6 = 0x1 << 5;
const COMPRESSION_SHIFT = 8;
const COMPRESSION_MASK = 0x7;
const LZ4 = 1;
const ZSTD = 2;
const BODY_BYTES_MAX = 128 * 1024 * 1024;

export interface StoredMessage {
  readonly body: Buffer;
  /** Encoded text: name 0x01 value 0x02 ... */
  readonly properties: string;
  readonly queueOffset: number;
  readonly bornTimestamp: number;
  readonly storeTimestamp: number;
}

/** Decompresses LZ4 frames: injected, since it is no part of Node. */
export type Lz4 = (compressed: Buffer) => Buffer;

/** Calls `visit` for each whole message of a pull's body. Throws `DataError` on a layout that does not add up. */
export function decodeStoredMessages(bytes: Buffer, lz4: Lz4, visit: (message: StoredMessage) => void): void {
  let at = 0;
  while (at + 4 <= bytes.length) {
    const size = bytes.readInt32BE(at);
    if (size < 91 || at + size > bytes.length) throw layout(at, `a message of ${size} bytes`);
    visit(decodeOne(bytes, at, at + size, lz4));
    at += size;
  }
  if (at !== bytes.length) throw layout(at, 'a rest that is no message');
}

function decodeOne(bytes: Buffer, at: number, end: number, lz4: Lz4): StoredMessage {
  const magic = bytes.readInt32BE(at + 4);
  if (magic !== MAGIC && magic !== MAGIC_V2) throw layout(at, `magic ${magic >>> 0}`);
  const systemFlag = bytes.readInt32BE(at + 36);
  let next = at + 48 + ((systemFlag & BORN_HOST_V6) === 0 ? 8 : 20);
  const storeTimestamp = readInt64(bytes, next);
  next += 8 + ((systemFlag & STORE_HOST_V6) === 0 ? 8 : 20) + 4 + 8;
  const bodyBytes = lengthAt(bytes, next, 4, end, at);
  const bodyAt = next + 4;
  next = bodyAt + bodyBytes;
  const topicLengthBytes = magic === MAGIC ? 1 : 2;
  next += topicLengthBytes + lengthAt(bytes, next, topicLengthBytes, end, at);
  const propertiesBytes = lengthAt(bytes, next, 2, end, at);
  const propertiesAt = next + 2;
  return {
    body: decompress(bytes.subarray(bodyAt, bodyAt + bodyBytes), systemFlag, lz4),
    properties: bytes.toString('utf8', propertiesAt, propertiesAt + propertiesBytes),
    queueOffset: readInt64(bytes, at + 20),
    bornTimestamp: readInt64(bytes, at + 40),
    storeTimestamp,
  };
}

/** Reads a length field of 1, 2 or 4 bytes and sees that what it counts lies before `end`. */
function lengthAt(bytes: Buffer, at: number, width: number, end: number, messageAt: number): number {
  if (at + width > end) throw layout(messageAt, 'a field beyond its end');
  const length = width === 4 ? bytes.readInt32BE(at) : width === 2 ? bytes.readUInt16BE(at) : bytes.readUInt8(at);
  if (length < 0 || at + width + length > end) throw layout(messageAt, `a field of ${length} bytes beyond its end`);
  return length;
}

function decompress(body: Buffer, systemFlag: number, lz4: Lz4): Buffer {
  if ((systemFlag & COMPRESSED) === 0) return body;
  const type = (systemFlag >> COMPRESSION_SHIFT) & COMPRESSION_MASK;
  try {
    switch (type) {
      case LZ4:
        return lz4(body);
      case ZSTD:
        return zstdDecompressSync(body, { maxOutputLength: BODY_BYTES_MAX });
      default:
        // Older clients compress by zlib and set no type.
        return inflateSync(body, { maxOutputLength: BODY_BYTES_MAX });
    }
  } catch (error) {
    throw new DataError(`a message body of ${body.length} bytes cannot be decompressed (type ${type})`, {
      code: 'MESSAGE_COMPRESSION',
      cause: error,
    });
  }
}

/** Offsets and times are far below 2^53. */
function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}

function layout(at: number, what: string): DataError {
  return new DataError(`the broker sent ${what} at byte ${at}`, { code: 'MESSAGE_LAYOUT' });
}
