import type { PropertyWriter } from '@rocketmq-connect/message-log/message';
import type { SourceOffset } from '@rocketmq-connect/sdk';
import { canonicalJson, sameJson } from '../canonical-json.ts';
import type { TrackedPartition } from './ack-tracker.ts';

/**
 * Gives records of a deterministic source their ids: the same id whenever the same record is polled again, in polls of whatever
 * size. An id is
 *
 *     tag of the connector  hash of connector, partition and the offset's texts  .  the offset's numbers  [~ordinal]  [/part]
 *
 * with the ordinal counting records of one offset, also over the end of a poll, and the part those of a split record. In a message there follows,
 * after a `!`, which task sent it (`authorOf`). It needs no escaping in a property. The id of the present record writes itself as bytes, its author
 * with it: most ids are never needed as text.
 */
export class RecordIds implements PropertyWriter {
  readonly #connector: string;
  readonly #tag: string;
  readonly #partitions = new Map<TrackedPartition, PartitionIds>();
  #partition: TrackedPartition | undefined;
  #present: PartitionIds;
  readonly #author: Buffer;

  constructor(connector: string, author: string) {
    this.#connector = connector;
    this.#author = Buffer.from(AUTHOR + author);
    this.#tag = connectorTag(connector);
    this.#present = new PartitionIds('', '');
  }

  /** Moves on to the next record of a partition. Records must come in the order of their poll, each once. */
  next(partition: TrackedPartition, offset: SourceOffset): void {
    if (partition !== this.#partition) {
      this.#partition = partition;
      let ids = this.#partitions.get(partition);
      if (ids === undefined) {
        ids = new PartitionIds(this.#tag, `${this.#connector}\0${partition.text}`);
        this.#partitions.set(partition, ids);
      }
      this.#present = ids;
    }
    this.#present.next(offset);
  }

  /** The present record's id. */
  get text(): string {
    return this.#present.text;
  }

  /** The id of a part of the present record, which was split. */
  partText(part: number): string {
    return `${this.text}/${part}`;
  }

  get bytesMax(): number {
    return this.#present.bytesMax + this.#author.length;
  }

  write(buffer: Buffer, at: number): number {
    return this.#writeAuthor(buffer, this.#present.write(buffer, at));
  }

  /** The same for a part, as it is in a message. */
  partBytes(part: number): Buffer {
    return Buffer.concat([Buffer.from(this.partText(part)), this.#author]);
  }

  #writeAuthor(buffer: Buffer, at: number): number {
    const author = this.#author;
    for (let i = 0; i < author.length; i++) buffer[at + i] = author[i] as number;
    return at + author.length;
  }
}

/** Which task sent a record: a few characters. */
export function authorOf(generation: string, task: number): string {
  return (hash53(generation, 0) % 36 ** GENERATION_LENGTH).toString(36).padStart(GENERATION_LENGTH, '0') + task.toString(36);
}

/** The id in what a message has, without its author. */
export function withoutAuthor(text: string): string {
  const at = text.lastIndexOf(AUTHOR);
  return at === -1 ? text : text.slice(0, at);
}

/** Whether another task of the author's generation sent it: that task looks after it. */
export function isOfSibling(text: string, author: string): boolean {
  const at = text.lastIndexOf(AUTHOR) + 1;
  return at > 0 && text.startsWith(author.slice(0, GENERATION_LENGTH), at) && !text.endsWith(AUTHOR + author);
}

/** What all ids of a connector begin with; others may begin so too, rarely. */
export function connectorTag(connector: string): string {
  return (hash53(connector, 0) % 36 ** 4).toString(36).padStart(4, '0');
}

class PartitionIds implements PropertyWriter {
  readonly #tag: string;
  readonly #scope: string;
  /** Keys and values of the present offset, as they came. */
  #keys: string[] = [];
  #values: unknown[] = [];
  /** Where its numbers are, sorted by key. */
  #numbers: number[] = [];
  #prefix = '';
  #prefixBytes = Buffer.alloc(0);
  #offset: SourceOffset | undefined;
  #ordinal = 0;
  bytesMax = 0;

  constructor(tag: string, scope: string) {
    this.#tag = tag;
    this.#scope = scope;
  }

  next(offset: SourceOffset): void {
    const isSame = offset === this.#offset || this.#isSame(offset);
    this.#offset = offset;
    this.#ordinal = isSame ? this.#ordinal + 1 : 0;
  }

  get text(): string {
    const buffer = Buffer.allocUnsafe(this.bytesMax);
    return buffer.toString('latin1', 0, this.write(buffer, 0));
  }

  write(buffer: Buffer, at: number): number {
    buffer.set(this.#prefixBytes, at);
    let end = at + this.#prefixBytes.length;
    for (const index of this.#numbers) {
      buffer[end++] = DOT;
      end = writeNumber(buffer, end, this.#values[index] as number);
    }
    if (this.#ordinal === 0) return end;
    buffer[end++] = TILDE;
    return writeNumber(buffer, end, this.#ordinal);
  }

  /** Whether it is the present offset again; takes it. The prefix changes only with keys and with values that are no numbers. */
  #isSame(offset: SourceOffset): boolean {
    const keys = this.#keys;
    const values = this.#values;
    let isSame = true;
    let at = 0;
    for (const key in offset) {
      if (keys[at] !== key) return this.#take(offset);
      const value = offset[key];
      if (value !== values[at]) {
        if (typeof value !== 'number' || typeof values[at] !== 'number') return this.#take(offset);
        values[at] = value;
        isSame = false;
      }
      at++;
    }
    return at === keys.length && this.#prefix !== '' ? isSame : this.#take(offset);
  }

  #take(offset: SourceOffset): boolean {
    const before = this.#offset;
    this.#keys = Object.keys(offset);
    this.#values = this.#keys.map((key) => offset[key]);
    this.#numbers = this.#keys
      .map((key, index) => ({ key, index }))
      .filter(({ index }) => typeof this.#values[index] === 'number')
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map(({ index }) => index);
    const others = Object.fromEntries(Object.entries(offset).map(([key, value]) => [key, typeof value === 'number' ? '#' : value]));
    const hashed = `${this.#scope}\0${canonicalJson(others)}`;
    // 79 bits: two of a million offsets collide once in 10^12 windows.
    this.#prefix =
      this.#tag + hash53(hashed, 1).toString(36).padStart(11, '0') + (hash53(hashed, 2) % 36 ** 5).toString(36).padStart(5, '0');
    this.#prefixBytes = Buffer.from(this.#prefix);
    this.bytesMax = this.#prefix.length + (this.#numbers.length + 1) * NUMBER_BYTES_MAX;
    return before !== undefined && sameJson(before, offset);
  }
}

const AUTHOR = '!';
const GENERATION_LENGTH = 4;
const DOT = '.'.charCodeAt(0);
const TILDE = '~'.charCodeAt(0);
/** With what stands before it. */
const NUMBER_BYTES_MAX = 32;

function writeNumber(buffer: Buffer, at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) return at + buffer.write(String(value), at, 'latin1');
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  let end = at + digits;
  let rest = value;
  while (rest > 0x7fffffff) {
    const tenth = Math.floor(rest / 10);
    buffer[--end] = 48 + (rest - tenth * 10);
    rest = tenth;
  }
  for (let small = rest | 0; end > at; ) {
    const tenth = (small / 10) | 0;
    buffer[--end] = 48 + (small - tenth * 10);
    small = tenth;
  }
  return at + digits;
}

/** cyrb53 (public domain): 53 bits, well mixed, fast on short texts. Not for secrets. */
function hash53(text: string, seed: number): number {
  let h1 = 0xdeadbeef ^ seed;
  let h2 = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    h1 = Math.imul(h1 ^ code, 2654435761);
    h2 = Math.imul(h2 ^ code, 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return 4294967296 * (2097151 & h2) + (h1 >>> 0);
}
