import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { FatalError } from '@rocketmq-connect/sdk';
import { errorCode } from './fault.ts';
import type { ByteReader } from './reader.ts';

const chunkBytes = 64 * 1024;

/** Decompresses from the beginning up to where it is asked to read, and again whenever the file has grown since. */
export class GzipReader implements ByteReader {
  readonly file: BigIntStats;
  readonly sizeSeen = undefined;
  readonly #path: string;
  readonly #handle: FileHandle;
  #chunks: AsyncIterator<Buffer> | undefined;
  #abandon: (() => void) | undefined;
  #chunk: Buffer = Buffer.alloc(0);
  /** Of the chunk's first byte. */
  #position = 0;
  /** How many compressed bytes were read. */
  #compressed = 0;
  #atEnd = false;
  #complete = false;

  constructor(path: string, handle: FileHandle, file: BigIntStats) {
    this.#path = path;
    this.#handle = handle;
    this.file = file;
  }

  get complete(): boolean {
    return this.#complete;
  }

  async ahead(): Promise<number> {
    const { size } = await this.#handle.stat();
    if (size < this.#compressed) return -1;
    return this.#atEnd && size === this.#compressed ? 0 : chunkBytes;
  }

  async look(): Promise<void> {
    // Compressed bytes say nothing of those that are read.
  }

  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    const grown = this.#atEnd && (await this.#handle.stat()).size !== this.#compressed;
    if (this.#chunks === undefined || grown) this.#begin();
    for (;;) {
      const from = position - this.#position;
      if (from < this.#chunk.length) return this.#chunk.copy(buffer, offset, from, Math.min(this.#chunk.length, from + length));
      if (this.#atEnd || !(await this.#nextChunk())) return 0;
    }
  }

  async head(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    this.#abandon?.();
    await this.#handle.close();
  }

  #begin(): void {
    this.#abandon?.();
    const compressed = Readable.from(this.#compressedChunks(), { objectMode: false });
    const gunzip = createGunzip();
    compressed.on('error', (error) => gunzip.destroy(error));
    // Whoever reads the chunks gets the error; one that comes after they were abandoned concerns nobody.
    gunzip.on('error', () => compressed.destroy());
    compressed.pipe(gunzip);
    this.#chunks = gunzip[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#abandon = () => {
      compressed.destroy();
      gunzip.destroy();
    };
    this.#chunk = Buffer.alloc(0);
    this.#position = 0;
    this.#compressed = 0;
    this.#atEnd = false;
    this.#complete = false;
  }

  async *#compressedChunks(): AsyncGenerator<Buffer> {
    for (;;) {
      const buffer = Buffer.allocUnsafeSlow(chunkBytes);
      const { bytesRead } = await this.#handle.read(buffer, 0, chunkBytes, this.#compressed);
      if (bytesRead === 0) return;
      this.#compressed += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
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
      // Z_BUF_ERROR: it ends in the middle, so it is still being written, perhaps.
      if (errorCode(error) !== 'Z_BUF_ERROR') throw this.#fault(error);
    }
    this.#position += this.#chunk.length;
    this.#chunk = Buffer.alloc(0);
    this.#atEnd = true;
    return false;
  }

  #fault(error: unknown): unknown {
    if (!errorCode(error).startsWith('Z_')) return error;
    return new FatalError(`${this.#path} is no gzip file, or damaged after ${this.#position} uncompressed bytes`, {
      code: 'FILE_DAMAGED',
      field: 'file',
      remedy: 'Repair or replace it (gzip -t tells more); a file that is not compressed must not end in .gz.',
      cause: error,
    });
  }
}
