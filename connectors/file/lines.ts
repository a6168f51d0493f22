import { FatalError, Schemas, type SourceOffset, type SourcePartition, type SourceRecord } from '@rocketmq-connect/sdk';
import type { Head } from './head.ts';

const newline = 10;
/** Lines are slices of their chunk, which lives as long as the last of them: small enough to die before the collector moves it to the old. */
const chunkBytes = 128 * 1024;
const leastBytes = 16 * 1024;

/** What is the same for all lines of a file. */
export interface LineSettings {
  readonly topic: string;
  readonly partition: SourcePartition;
  /** Without its newline. */
  readonly maxBytes: number;
  readonly tooLong: 'fail' | 'skip';
  readonly path: string;
  /** Told of each line that `skip` leaves out. */
  skipped(position: number, bytes: number): void;
}

/**
 * Bytes in, lines out. Lines end with `\n`; a `\r` before it is part of the line, so that a copy is equal byte for byte. A record's
 * value is a slice of the chunk that was read: nothing is copied but the unfinished line at a chunk's end.
 */
export class LineBuffer {
  readonly #settings: LineSettings;
  readonly #head: Head;
  #buffer: Buffer = Buffer.alloc(0);
  /** The part of the buffer that is filled. */
  #filled: Buffer = this.#buffer;
  #start = 0;
  /** Before here, from `#start`, there is no newline. */
  #scanned = 0;
  /** Bytes already dropped of a line that is too long; it began at `#position`. */
  #dropped = 0;
  #position: number;

  constructor(settings: LineSettings, head: Head, position: number) {
    this.#settings = settings;
    this.#head = head;
    this.#position = position;
  }

  /** Where in the file the next line begins. */
  get position(): number {
    return this.#position;
  }

  /** Where in the file the next byte is to be read. */
  get readPosition(): number {
    return this.#position + this.#dropped + this.#filled.length - this.#start;
  }

  /** Appends whole lines to `records` until they are `max`. */
  take(records: SourceRecord[], max: number): void {
    const { topic, partition, maxBytes } = this.#settings;
    const bytes = this.#filled;
    while (records.length < max) {
      const end = bytes.indexOf(newline, this.#scanned);
      if (end === -1) {
        this.#scanned = bytes.length;
        const rest = bytes.length - this.#start;
        if (rest <= maxBytes && this.#dropped === 0) return;
        if (records.length > 0) return;
        this.#refuse();
        this.#dropped += rest;
        this.#start = bytes.length;
        return;
      }
      const length = end - this.#start;
      if (length > maxBytes || this.#dropped > 0) {
        // What was taken before it goes out first: the error must not take good lines with it.
        if (records.length > 0) return;
        this.#refuse();
        this.#settings.skipped(this.#position, this.#dropped + length);
        this.#position += this.#dropped + length + 1;
        this.#dropped = 0;
      } else {
        this.#position += length + 1;
        const offset = { position: this.#position, file: this.#head.nameAt(this.#position) };
        records.push(lineRecord(topic, partition, bytes.subarray(this.#start, end), offset));
      }
      this.#start = end + 1;
      this.#scanned = end + 1;
    }
  }

  /** Appends the last line, which no newline ends and nobody will finish. */
  takeRest(records: SourceRecord[]): void {
    const { topic, partition } = this.#settings;
    const length = this.#filled.length - this.#start;
    const position = this.readPosition;
    if (length > 0 && this.#dropped === 0) {
      const value = this.#filled.subarray(this.#start);
      records.push(lineRecord(topic, partition, value, { position, file: this.#head.nameAt(position) }));
    }
    this.#position = position;
    this.#dropped = 0;
    this.#start = this.#filled.length;
  }

  /** Where to put the next bytes, when so many are waiting: at least one byte, at most a chunk. */
  space(waiting: number): { readonly buffer: Buffer; readonly offset: number; readonly length: number } {
    const rest = this.#filled.length - this.#start;
    const wanted = Math.min(chunkBytes, Math.max(1, waiting));
    const free = this.#buffer.length - this.#filled.length;
    if (free < Math.min(wanted, leastBytes)) {
      // An unfinished line moves to the new buffer; doubling keeps the copying of a line that comes in drops linear.
      const next = Buffer.allocUnsafeSlow(Math.max(leastBytes, rest * 2, rest + wanted));
      this.#filled.copy(next, 0, this.#start);
      this.#scanned -= this.#start;
      this.#start = 0;
      this.#buffer = next;
      this.#filled = next.subarray(0, rest);
    }
    const offset = this.#filled.length;
    return { buffer: this.#buffer, offset, length: Math.min(wanted, this.#buffer.length - offset) };
  }

  /** So many bytes were put there. */
  filled(count: number): void {
    const from = this.#filled.length;
    this.#head.add(this.#buffer, from, count, this.readPosition);
    this.#filled = this.#buffer.subarray(0, from + count);
  }

  #refuse(): void {
    const { maxBytes, path, tooLong } = this.#settings;
    if (tooLong === 'skip') return;
    throw new FatalError(`The line at byte ${this.#position} of ${path} is longer than line.max.bytes (${maxBytes})`, {
      code: 'LINE_TOO_LONG',
      field: 'line.max.bytes',
      remedy: "Raise line.max.bytes (and the log's message limit), or set line.too.long to skip.",
    });
  }
}

function lineRecord(topic: string, partition: SourcePartition, value: Buffer, offset: SourceOffset): SourceRecord {
  return { topic, value, valueSchema: Schemas.string, partition, offset };
}
