import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_BATCH_BYTES } from '../checks.ts';
import { FRAME_HEADER_BYTES, type FrameHeader, findMagic, frameIsIntact, readFrameHeader } from './frame.ts';
import { storageError } from './storage-error.ts';

const SUFFIX = '.log';
const DIGITS = 20;
/** Longer than any frame that was ever written: a batch's limit, and the header. */
export const MAX_FRAME_BYTES = MAX_BATCH_BYTES + FRAME_HEADER_BYTES;
const SCAN_BYTES = 256 * 1024;

/** A segment is named after the position of its first message, so the name of the next one is known before it is there. */
export function segmentPath(directory: string, segment: number): string {
  return join(directory, String(segment).padStart(DIGITS, '0') + SUFFIX);
}

/** The segments in a queue's directory, in order. */
export function listSegments(directory: string): number[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw storageError(error, 'listing', directory);
  }
  return names
    .filter((name) => name.length === DIGITS + SUFFIX.length && name.endsWith(SUFFIX))
    .map((name) => Number(name.slice(0, DIGITS)))
    .filter((segment) => Number.isSafeInteger(segment))
    .sort((a, b) => a - b);
}

/** A segment file opened for reading; undefined if it is not there. */
export class SegmentFile {
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  static open(directory: string, segment: number): SegmentFile | undefined {
    const path = segmentPath(directory, segment);
    try {
      return new SegmentFile(path, openSync(path, 'r'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw storageError(error, 'opening', path);
    }
  }

  bytes(): number {
    return fstatSync(this.#fd).size;
  }

  /** What lies at `at`, in a buffer of its own; shorter at the end of the file. */
  read(at: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    try {
      while (filled < length) {
        const got = readSync(this.#fd, buffer, filled, length - filled, at + filled);
        if (got === 0) break;
        filled += got;
      }
    } catch (error) {
      throw storageError(error, 'reading', this.path);
    }
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Walks the headers of a segment without a system call per frame. */
export class HeaderScan {
  readonly #file: SegmentFile;
  /** Where the segment ends, in bytes. */
  readonly end: number;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  constructor(file: SegmentFile, end: number) {
    this.#file = file;
    this.end = end;
  }

  /** The header at `at` whose frame ends within the segment, or undefined. */
  header(at: number): FrameHeader | undefined {
    if (at + FRAME_HEADER_BYTES > this.end) return undefined;
    this.#show(at, FRAME_HEADER_BYTES);
    const header = readFrameHeader(this.#window, at - this.#windowAt, MAX_FRAME_BYTES);
    return header === undefined || at + header.length > this.end ? undefined : header;
  }

  intact(at: number, header: FrameHeader): boolean {
    this.#show(at, header.length);
    const start = at - this.#windowAt;
    return start + header.length <= this.#window.length && frameIsIntact(this.#window, start, header.length);
  }

  /** The first intact frame that begins at or after `from` and holds messages from `offset` on. */
  nextIntact(from: number, offset: number): { readonly at: number; readonly header: FrameHeader } | undefined {
    for (let at = from; at + FRAME_HEADER_BYTES <= this.end; ) {
      this.#show(at, FRAME_HEADER_BYTES);
      const found = findMagic(this.#window, at - this.#windowAt);
      if (found === -1) {
        // The magic may straddle two windows.
        at = Math.max(at + 1, this.#windowAt + this.#window.length - 3);
        continue;
      }
      at = this.#windowAt + found;
      const header = this.header(at);
      if (header !== undefined && header.offset >= offset && this.intact(at, header)) return { at, header };
      at++;
    }
    return undefined;
  }

  #show(at: number, length: number): void {
    if (at >= this.#windowAt && at + length <= this.#windowAt + this.#window.length) return;
    this.#window = this.#file.read(at, Math.min(Math.max(length, SCAN_BYTES), this.end - at));
    this.#windowAt = at;
  }
}
