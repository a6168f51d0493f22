import type { BigIntStats } from 'node:fs';
import type { SourceRecord } from '@rocketmq-connect/sdk';
import { checksum, Head, headBytesMax } from './head.ts';
import { LineBuffer, type LineSettings } from './lines.ts';
import { type ByteReader, openReader, peek, readStart } from './reader.ts';
import type { RotatedFile } from './rotations.ts';

/** Where to go on in a file: after a committed offset, or where another file of the same content was left. */
export interface Resume {
  readonly position: number;
  /** As offsets name it, though the bytes may lie in a copy now. */
  readonly inode: string;
  /** Checksum of the first `min(1024, position)` bytes; '' where an offset gave only a position. */
  readonly checksum: string;
}

/**
 * One file among those that come to lie at a path: what stands there now, or a rotated one that is read to its end by its open
 * descriptor.
 */
export class Generation {
  readonly path: string;
  readonly #reader: ByteReader;
  readonly #head: Head;
  readonly #lines: LineBuffer;
  #rested = false;

  private constructor(path: string, reader: ByteReader, head: Head, lines: LineBuffer) {
    this.path = path;
    this.#reader = reader;
    this.#head = head;
    this.#lines = lines;
  }

  /** Opens `path` from its beginning. */
  static async open(path: string, settings: LineSettings): Promise<Generation> {
    const reader = await openReader(path);
    const head = new Head(String(reader.file.ino));
    return new Generation(path, reader, head, new LineBuffer(settings, head, 0));
  }

  /** Opens `path` where `resume` says; undefined when its content is not the one meant. */
  static async resume(path: string, settings: LineSettings, resume: Resume): Promise<Generation | undefined> {
    const reader = await openReader(path);
    let meant = false;
    try {
      const head = new Head(resume.inode);
      const length = Math.min(headBytesMax, resume.position);
      const bytes = await readStart(reader, length);
      meant =
        bytes.length === length &&
        (resume.checksum === '' || checksum(bytes) === resume.checksum) &&
        (await reader.ahead(resume.position)) >= 0;
      head.add(bytes, 0, bytes.length, 0);
      return meant ? new Generation(path, reader, head, new LineBuffer(settings, head, resume.position)) : undefined;
    } finally {
      if (!meant) await reader.close();
    }
  }

  /** What was found when it was opened. */
  get file(): BigIntStats {
    return this.#reader.file;
  }

  /** Where its next line begins, and how to recognize it. */
  get resume(): Resume {
    const position = this.#lines.position;
    const name = this.#head.nameAt(position);
    return { position, inode: this.#head.inode, checksum: name.slice(name.indexOf('-') + 1) };
  }

  /** Nobody can append to it. */
  get complete(): boolean {
    return this.#reader.complete;
  }

  /** Appends lines to `records` until they are `max` or all that was read is taken. */
  take(records: SourceRecord[], max: number): void {
    this.#lines.take(records, max);
  }

  /** Appends the unfinished last line, when nobody will finish it. */
  takeRest(records: SourceRecord[]): void {
    this.#lines.takeRest(records);
  }

  /** Reads a chunk. `truncated`: it is shorter than what was read of it, or begins otherwise. */
  async more(): Promise<'read' | 'end' | 'truncated'> {
    const position = this.#lines.readPosition;
    const waiting = await this.#reader.ahead(position);
    if (waiting < 0) return 'truncated';
    if (waiting === 0) {
      this.#rested = true;
      return 'end';
    }
    if (this.#rested) {
      // It may have been cut and have grown past our position while nobody looked.
      const head = await this.#reader.head();
      if (head !== undefined && !this.#head.agrees(head)) return 'truncated';
      this.#rested = false;
    }
    const { buffer, offset, length } = this.#lines.space(waiting);
    const count = await this.#reader.read(buffer, offset, length, position);
    if (count === 0) return 'end';
    this.#lines.filled(count);
    return 'read';
  }

  /** Bytes not handed out yet, by the size last seen; undefined where that is not known. */
  get lag(): number | undefined {
    const { sizeSeen } = this.#reader;
    return sizeSeen === undefined ? undefined : Math.max(0, sizeSeen - this.#lines.position);
  }

  /** Sees how much there is to read. */
  look(): Promise<void> {
    return this.#reader.look();
  }

  /** Whether `file` is a copy of this one as far as it was read. */
  async isCopiedIn(file: RotatedFile): Promise<boolean> {
    if (file.size !== BigInt(this.#lines.readPosition)) return false;
    const head = await peek(file.path, this.#head.length);
    return head === undefined || this.#head.agrees(head);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
