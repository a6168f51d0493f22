import { crc32 } from 'node:zlib';

/** So many first bytes tell one content from another. */
export const headBytesMax = 1024;

/**
 * The first bytes of a file as they become known, and the names made of them. A name stands in every offset beside the position:
 * `inode-checksum`, the checksum over the first `min(1024, position)` bytes. So it is a function of the content before the position:
 * a replay gives the same offsets, however much the file has grown since; and it shows an inode that was given to another file.
 */
export class Head {
  readonly #bytes = Buffer.alloc(headBytesMax);
  readonly #inode: string;
  #length = 0;
  #full = '';

  constructor(inode: string) {
    this.#inode = inode;
  }

  get inode(): string {
    return this.#inode;
  }

  get length(): number {
    return this.#length;
  }

  /** Takes `count` bytes of `chunk` from `start`, which lie at `position` of the file. */
  add(chunk: Buffer, start: number, count: number, position: number): void {
    if (position > this.#length || this.#length === headBytesMax) return;
    chunk.copy(this.#bytes, position, start, start + Math.min(count, headBytesMax - position));
    this.#length = Math.max(this.#length, Math.min(headBytesMax, position + count));
  }

  /** The name at a position up to which the head is known. */
  nameAt(position: number): string {
    if (position < headBytesMax) return `${this.#inode}-${checksum(this.#bytes.subarray(0, position))}`;
    if (this.#full === '') this.#full = `${this.#inode}-${checksum(this.#bytes)}`;
    return this.#full;
  }

  /** Whether a file that begins with `bytes` begins like this one, as far as both are known. */
  agrees(bytes: Buffer): boolean {
    const length = Math.min(bytes.length, this.#length);
    return bytes.compare(this.#bytes, 0, length, 0, length) === 0;
  }
}

/** The checksum within names. */
export function checksum(bytes: Buffer): string {
  return crc32(bytes).toString(16);
}

/** The parts of a name; undefined for what is none, e.g. in offsets that a user or Kafka Connect wrote. */
export function parseName(name: unknown): { readonly inode: string; readonly checksum: string } | undefined {
  const match = typeof name === 'string' ? /^(\d+)-([0-9a-f]+)$/.exec(name) : null;
  return match === null ? undefined : { inode: match[1] ?? '', checksum: match[2] ?? '' };
}
