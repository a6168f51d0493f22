import { crc32 } from 'node:zlib';

/**
 * A batch as it lies in a segment file: a header, then the batch's bytes as they are. Big-endian, like RocketMQ's batch layout.
 *
 *      0  int32   magic and version of the layout, "RCL" 1
 *      4  uint32  CRC-32 of the batch's bytes and then the rest of this header
 *      8  int32   length of the frame, this header included
 *     12  int32   number of messages
 *     16  int64   position of the first message
 *     24  int64   store time, ms since the epoch
 *     32  int64   all messages below this position were on disk for sure when the frame was written: tells a torn tail from damage
 */
export interface FrameHeader {
  readonly length: number;
  readonly count: number;
  readonly offset: number;
  readonly storedAtMs: number;
  readonly flushed: number;
}

export const FRAME_HEADER_BYTES = 40;
const MAGIC = 0x52434c01;
const MAGIC_BYTES = Buffer.from([0x52, 0x43, 0x4c, 0x01]);
const CRC_AT = 4;
const CHECKED_FROM = 8;

/** Writes a frame's header into `target`, 40 bytes that the caller reuses; `bytesCrc` is the CRC-32 of the batch's bytes. */
export function writeFrameHeader(target: Buffer, header: FrameHeader, bytesCrc: number): void {
  target.writeInt32BE(MAGIC, 0);
  target.writeInt32BE(header.length, 8);
  target.writeInt32BE(header.count, 12);
  writeInt64(target, header.offset, 16);
  writeInt64(target, header.storedAtMs, 24);
  writeInt64(target, header.flushed, 32);
  target.writeUInt32BE(crc32(target.subarray(CHECKED_FROM), bytesCrc), CRC_AT);
}

/** The header at `at`, or undefined if what is there cannot be one. Looks at no CRC. */
export function readFrameHeader(buffer: Buffer, at: number, maxLength: number): FrameHeader | undefined {
  if (at + FRAME_HEADER_BYTES > buffer.length || buffer.readInt32BE(at) !== MAGIC) return undefined;
  const length = buffer.readInt32BE(at + 8);
  const count = buffer.readInt32BE(at + 12);
  if (length <= FRAME_HEADER_BYTES || length > maxLength || count < 1) return undefined;
  return { length, count, offset: readInt64(buffer, at + 16), storedAtMs: readInt64(buffer, at + 24), flushed: readInt64(buffer, at + 32) };
}

/** Whether the frame that lies wholly in `buffer` at `at` is as it was written. */
export function frameIsIntact(buffer: Buffer, at: number, length: number): boolean {
  const bytesCrc = crc32(buffer.subarray(at + FRAME_HEADER_BYTES, at + length));
  return crc32(buffer.subarray(at + CHECKED_FROM, at + FRAME_HEADER_BYTES), bytesCrc) === buffer.readUInt32BE(at + CRC_AT);
}

/** Where the next frame could begin, at or after `from`; -1 for nowhere in this buffer. */
export function findMagic(buffer: Buffer, from: number): number {
  return buffer.indexOf(MAGIC_BYTES, from);
}

function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at);
  buffer.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}
