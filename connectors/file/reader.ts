import type { BigIntStats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { errorCode } from './fault.ts';
import { GzipReader } from './gzip-reader.ts';
import { headBytesMax } from './head.ts';

/** An opened file, read from a position on. Positions of a `.gz` count its uncompressed bytes. */
export interface ByteReader {
  readonly file: BigIntStats;
  /** How many bytes may be read from `position`: 0 at the end for now, -1 when the file has become shorter than that. */
  ahead(position: number): Promise<number>;
  /** Reads on; positions only ever go forward. 0 at the end for now. */
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<number>;
  /** The size when last seen; undefined where it tells nothing about positions. */
  readonly sizeSeen: number | undefined;
  /** Sees the size. */
  look(): Promise<void>;
  /** At the end: nobody can append to it (a whole `.gz`). */
  readonly complete: boolean;
  /** The first bytes, at most 1024; undefined where they cannot have changed. */
  head(): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

/** Opens `path`; file system errors go to the caller as they are. */
export async function openReader(path: string): Promise<ByteReader> {
  const handle = await open(path, 'r');
  try {
    const file = await handle.stat({ bigint: true });
    if (file.isDirectory()) throw Object.assign(new Error(`EISDIR: ${path}`), { code: 'EISDIR' });
    if (!path.endsWith('.gz')) return new PlainReader(handle, file);
    return new GzipReader(path, handle, file);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The first bytes of the (uncompressed) content, at most `length`; undefined when they cannot be read. */
export async function peek(path: string, length: number): Promise<Buffer | undefined> {
  let reader: ByteReader | undefined;
  try {
    reader = await openReader(path);
    return await readStart(reader, length);
  } catch {
    // A candidate that cannot be read is no candidate.
    return undefined;
  } finally {
    await reader?.close();
  }
}

/** The first bytes of a reader that was not read from yet. */
export async function readStart(reader: ByteReader, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = await reader.read(bytes, filled, length - filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

class PlainReader implements ByteReader {
  readonly file: BigIntStats;
  readonly complete = false;
  readonly #handle: FileHandle;
  /** What is read by; it is asked again only at its end. */
  #size: number;
  #sizeSeen: number;

  constructor(handle: FileHandle, file: BigIntStats) {
    this.#handle = handle;
    this.file = file;
    this.#size = Number(file.size);
    this.#sizeSeen = this.#size;
  }

  get sizeSeen(): number {
    return this.#sizeSeen;
  }

  async look(): Promise<void> {
    this.#sizeSeen = (await this.#handle.stat()).size;
  }

  async ahead(position: number): Promise<number> {
    if (position >= this.#size) {
      await this.look();
      this.#size = this.#sizeSeen;
    }
    return position > this.#size ? -1 : this.#size - position;
  }

  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    const { bytesRead } = await this.#handle.read(buffer, offset, length, position);
    // The file was cut since its size was asked.
    if (bytesRead === 0) this.#size = 0;
    return bytesRead;
  }

  async head(): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(headBytesMax);
    const { bytesRead } = await this.#handle.read(bytes, 0, headBytesMax, 0);
    return bytes.subarray(0, bytesRead);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What lies at `path` now; undefined for nothing. */
export async function statOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
