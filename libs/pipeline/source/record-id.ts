import type { SourceOffset } from '@rocketmq-connect/sdk';
import { canonicalJson } from '../canonical-json.ts';
import type { TrackedPartition } from './ack-tracker.ts';

/**
 * Gives records of a deterministic source their ids: the same id whenever the same record is polled again, in polls of whatever
 * size. An id is
 *
 *     tag of the connector  hash of connector, partition and the offset's texts  .  the offset's numbers  [~ordinal]  [/part]
 *
 * with the ordinal counting records of one offset, also over the end of a poll, and the part those of a split record. It needs no escaping in
 * a property.
 */
export class RecordIds {
  readonly #connector: string;
  readonly #tag: string;
  readonly #partitions = new Map<TrackedPartition, PartitionIds>();
  #lastPartition: TrackedPartition | undefined;
  #last: PartitionIds;

  constructor(connector: string) {
    this.#connector = connector;
    this.#tag = connectorTag(connector);
    this.#last = new PartitionIds('', '');
  }

  /** The id of the next record of a partition. Records must come in the order of their poll, each once. */
  next(partition: TrackedPartition, offset: SourceOffset): string {
    if (partition !== this.#lastPartition) {
      this.#lastPartition = partition;
      let ids = this.#partitions.get(partition);
      if (ids === undefined) {
        ids = new PartitionIds(this.#tag, `${this.#connector}\0${partition.text}`);
        this.#partitions.set(partition, ids);
      }
      this.#last = ids;
    }
    return this.#last.next(offset);
  }
}

/** The id of one part of a split record. */
export function partId(id: string, part: number): string {
  return `${id}/${part}`;
}

/** What all ids of a connector begin with; others may begin so too, rarely. */
export function connectorTag(connector: string): string {
  return (hash53(connector, 0) % 36 ** 4).toString(36).padStart(4, '0');
}

class PartitionIds {
  readonly #tag: string;
  readonly #scope: string;
  /** Of the last offset: its keys as they came, the same sorted, and the values that are no numbers. */
  #keys: string[] = [];
  #sortedKeys: string[] = [];
  #texts: unknown[] = [];
  #prefix = '';
  #lastOffset: SourceOffset | undefined;
  #lastText = '';
  #ordinal = 0;

  constructor(tag: string, scope: string) {
    this.#tag = tag;
    this.#scope = scope;
  }

  next(offset: SourceOffset): string {
    const text = offset === this.#lastOffset ? this.#lastText : this.#textOf(offset);
    this.#lastOffset = offset;
    if (text !== this.#lastText) {
      this.#lastText = text;
      this.#ordinal = 0;
      return text;
    }
    return `${text}~${(++this.#ordinal).toString(36)}`;
  }

  #textOf(offset: SourceOffset): string {
    if (!this.#hasPrefixOf(offset)) this.#setPrefix(offset);
    let text = this.#prefix;
    for (const key of this.#sortedKeys) {
      const value = offset[key];
      if (typeof value === 'number') text += `.${value.toString(36)}`;
    }
    return text;
  }

  /** Whether the keys are those of the last offset, and whatever is no number is unchanged. */
  #hasPrefixOf(offset: SourceOffset): boolean {
    const keys = this.#keys;
    let at = 0;
    for (const key in offset) {
      if (keys[at] !== key) return false;
      const value = offset[key];
      if (typeof value === 'number' ? this.#texts[at] !== NUMBER : this.#texts[at] !== value) return false;
      at++;
    }
    return at === keys.length && this.#prefix !== '';
  }

  #setPrefix(offset: SourceOffset): void {
    this.#keys = Object.keys(offset);
    this.#sortedKeys = this.#keys.toSorted();
    this.#texts = this.#keys.map((key) => (typeof offset[key] === 'number' ? NUMBER : offset[key]));
    const others = Object.fromEntries(Object.entries(offset).map(([key, value]) => [key, typeof value === 'number' ? '#' : value]));
    const hashed = `${this.#scope}\0${canonicalJson(others)}`;
    // 79 bits: two of a million offsets collide once in 10^12 windows.
    this.#prefix =
      this.#tag + hash53(hashed, 1).toString(36).padStart(11, '0') + (hash53(hashed, 2) % 36 ** 5).toString(36).padStart(5, '0');
  }
}

const NUMBER = Symbol('number');

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
