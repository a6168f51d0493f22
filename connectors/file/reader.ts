import { type BigIntStats, createReadStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { FatalError } from '@rocketmq-connect/sdk';
import { errorCode } from './fault.ts';
import { headBytesMax } from './head.ts';

/** An opened file, read from a position on. Positions of a `.gz` count its uncompressed bytes. */
export interface ByteReader {
  readonly file: BigIntStats;
  /** How many bytes may be read from `position`: 0 at the end for now, -1 when the file has become shorter than that. */
  ahead(position: number): Promise<number>;
  /** Reads on; positions only ever go forward. 0 at the end for now. */
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<number>;
  /** The size when last asked; 0 where it tells nothing about positions. */
  readonly sizeSeen: number;
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
  #size: number;

  constructor(handle: FileHandle, file: BigIntStats) {
    this.#handle = handle;
    this.file = file;
    this.#size = Number(file.size);
  }

  get sizeSeen(): number {
    return this.#size;
  }

  async ahead(position: number): Promise<number> {
    if (position >= this.#size) this.#size = (await this.#handle.stat()).size;
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

/** Decompresses from the beginning up to where it is asked to read, and again whenever the file has changed since. */
class GzipReader implements ByteReader {
  readonly file: BigIntStats;
  readonly sizeSeen = 0;
  readonly #path: string;
  readonly #handle: FileHandle;
  #chunks: AsyncIterator<Buffer> | undefined;
  #end: (() => void) | undefined;
  #chunk: Buffer = Buffer.alloc(0);
  /** Of the chunk's first byte. */
  #position = 0;
  #compressedSize = -1;
  #complete = false;
  #atEnd = false;

  constructor(path: string, handle: FileHandle, file: BigIntStats) {
    this.#path = path;
    this.#handle = handle;
    this.file = file;
  }

  get complete(): boolean {
    return this.#complete;
  }

  async ahead(): Promise<number> {
    const size = (await this.#handle.stat()).size;
    if (size < this.#compressedSize) return -1;
    if (this.#atEnd && size === this.#compressedSize) return 0;
    // Decompressed pieces have about this size; the buffer need not be larger.
    return 64 * 1024;
  }

  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    const size = (await this.#handle.stat()).size;
    if (this.#chunks === undefined || (this.#atEnd && size !== this.#compressedSize)) this.#begin(size);
    for (;;) {
      const from = position - this.#position;
      if (from < this.#chunk.length) {
        const count = this.#chunk.copy(buffer, offset, from, Math.min(this.#chunk.length, from + length));
        return count;
      }
      if (this.#atEnd || !(await this.#nextChunk())) return 0;
    }
  }

  async head(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    this.#end?.();
    await this.#handle.close();
  }

  #begin(size: number): void {
    this.#end?.();
    const file = createReadStream('', { fd: this.#handle, start: 0, autoClose: false });
    const gunzip = createGunzip();
    file.on('error', (error) => gunzip.destroy(error));
    file.pipe(gunzip);
    this.#chunks = gunzip[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#end = () => {
      file.destroy();
      gunzip.destroy();
    };
    this.#chunk = Buffer.alloc(0);
    this.#position = 0;
    this.#compressedSize = size;
    this.#atEnd = false;
    this.#complete = false;
  }

  async #nextChunk(): Promise<boolean> {
    try {
      const next = await this.#chunks?.next();
      if (next !== undefined && next.done !== true) {
        this.#position += this.#chunk.length;
        this.#chunk = next.value;
        return true;
      }
      this.#complete = true;
    } catch (error) {
      // It ends in the middle: still being written, perhaps.
      if (errorCode(error) !== 'Z_BUF_ERROR') {
        if (!errorCode(error).startsWith('Z_')) throw error;
        throw new FatalError(`${this.#path} is no gzip file, or damaged after ${this.#position} uncompressed bytes`, {
          code: 'FILE_DAMAGED',
          field: 'file',
          remedy: 'Repair or replace it (gzip -t tells more); a file that is not compressed must not end in .gz.',
          cause: error,
        });
      }
    }
    this.#position += this.#chunk.length;
    this.#chunk = Buffer.alloc(0);
    this.#atEnd = true;
    return false;
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
