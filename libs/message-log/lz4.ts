/**
 * Decompresses LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), which Node lacks: what RocketMQ's Java clients
 * write with `compressType=LZ4`. Checksums are passed over: the log has its own. Throws `RangeError` on what is no LZ4 frame, or has more
 * than `maxBytes`.
 */
export function decompressLz4(frame: Buffer, maxBytes: number): Buffer {
  const output = new Output(maxBytes);
  let at = 0;
  // Frames may follow each other.
  do at = readFrame(frame, at, output);
  while (at < frame.length);
  return output.take();
}

const MAGIC = 0x184d2204;
const MIN_MATCH = 4;
const FIRST_BYTES = 4096;

class Output {
  buffer: Buffer = Buffer.allocUnsafe(FIRST_BYTES);
  length = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Makes room for more. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed > this.#maxBytes) throw new RangeError(`LZ4: more than ${this.#maxBytes} bytes`);
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(needed, this.buffer.length * 2)));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  append(bytes: Buffer): void {
    this.reserve(bytes.length);
    this.length += bytes.copy(this.buffer, this.length);
  }

  /** Repeats what lies `distance` back; it may reach into what it writes. */
  repeat(distance: number, count: number): void {
    const from = this.length - distance;
    if (distance === 0 || from < 0) throw new RangeError(`LZ4: a match ${distance} back at byte ${this.length}`);
    this.reserve(count);
    const { buffer, length } = this;
    if (distance >= count) buffer.copyWithin(length, from, from + count);
    else for (let i = 0; i < count; i++) buffer[length + i] = buffer[from + i] as number;
    this.length += count;
  }

  take(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/** Returns where the frame ends. Reads beyond the end throw `RangeError` by themselves. */
function readFrame(input: Buffer, start: number, output: Output): number {
  if (input.readUInt32LE(start) !== MAGIC) throw new RangeError('LZ4: no frame');
  const flags = input.readUInt8(start + 4);
  if (flags >> 6 !== 1) throw new RangeError(`LZ4: version ${flags >> 6}`);
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const hasSize = (flags & 0x08) !== 0;
  const hasChecksum = (flags & 0x04) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  if (hasDictionary) throw new RangeError('LZ4: a dictionary');
  // Flags, block size, content size, header checksum.
  let at = start + 6 + (hasSize ? 8 : 0) + 1;
  for (;;) {
    const word = input.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const end = at + (word & 0x7fffffff);
    if (end > input.length) throw new RangeError('LZ4: a block that does not fit');
    if (word >>> 31 === 1) output.append(input.subarray(at, end));
    else readBlock(input, at, end, output);
    at = end + (hasBlockChecksum ? 4 : 0);
  }
  return at + (hasChecksum ? 4 : 0);
}

/** Sequences: token, literals, distance (int16), length of the match. The last one has literals only. */
function readBlock(input: Buffer, start: number, end: number, output: Output): void {
  let at = start;
  while (at < end) {
    const token = input.readUInt8(at++);
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        more = input.readUInt8(at++);
        literals += more;
      } while (more === 255);
    }
    if (at + literals > end) throw new RangeError('LZ4: literals that do not fit');
    output.append(input.subarray(at, at + literals));
    at += literals;
    if (at === end) return;
    const distance = input.readUInt16LE(at);
    at += 2;
    let count = token & 15;
    if (count === 15) {
      let more: number;
      do {
        more = input.readUInt8(at++);
        count += more;
      } while (more === 255);
    }
    output.repeat(distance, count + MIN_MATCH);
  }
}
