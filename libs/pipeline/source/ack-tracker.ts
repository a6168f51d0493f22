import { FatalError, type SourceOffset, type SourcePartition, type SourceRecord } from '@rocketmq-connect/sdk';
import { canonicalJson, sameJson } from '../canonical-json.ts';

/**
 * Knows which polled records are done (acknowledged, filtered or dead-lettered), in whatever order that happens, and so what may be
 * committed: per source partition the offset of the longest done prefix (invariant 5), and over all partitions the latest checkpoint
 * whose poll and all earlier ones are done.
 *
 * A poll becomes one segment per partition: a list of offsets, a low mark, and a bit per record only where acknowledgements overtake.
 */
export class AckTracker {
  readonly #byIdentity = new WeakMap<SourcePartition, TrackedPartition>();
  readonly #byText = new Map<string, TrackedPartition>();
  #polls: TrackedPoll[] = [];
  #checkpoint: Checkpoint | null = null;

  /** Takes what a poll returned. Its records are then marked `done` one way or another, each once. */
  track(records: readonly SourceRecord[], checkpoint?: unknown): TrackedPoll {
    const poll = new TrackedPoll(records.length, checkpoint, records[0]?.timestamp);
    let last: SourcePartition | undefined;
    let segment: AckSegment | undefined;
    for (const record of records) {
      if (record.partition !== last || segment === undefined) {
        last = record.partition;
        segment = this.partition(last).segmentOf(poll);
      }
      if (typeof record.offset !== 'object' || record.offset === null) throw invalidRecord('offset');
      segment.offsets.push(record.offset);
    }
    for (const one of poll.segments) one.partition.nextSequence += one.offsets.length;
    this.#polls.push(poll);
    if (records.length === 0) this.#advance();
    return poll;
  }

  /** The state of a source partition; recognized by identity first, then by content. */
  partition(partition: SourcePartition): TrackedPartition {
    if (typeof partition !== 'object' || partition === null) throw invalidRecord('partition');
    const known = this.#byIdentity.get(partition);
    if (known !== undefined) return known;
    const text = canonicalJson(partition);
    let state = this.#byText.get(text);
    if (state === undefined) {
      state = new TrackedPartition(partition, text);
      this.#byText.set(text, state);
    }
    this.#byIdentity.set(partition, state);
    return state;
  }

  /** Records `from` up to `to` (exclusive) of a segment are done; how many of them wholly, where records were split. */
  done(segment: AckSegment, from: number, to: number): number {
    const count = segment.parts === null ? to - from : segment.withoutOpenParts(from, to);
    if (count === 0) return 0;
    segment.markDone(from, to);
    if (segment.low === segment.offsets.length) segment.partition.dropDone();
    segment.poll.open -= count;
    if (segment.poll.open === 0) this.#advance();
    return count;
  }

  /** Records that were polled and are not done. */
  get open(): number {
    return this.#polls.reduce((sum, { open }) => sum + open, 0);
  }

  /** The latest checkpoint that may be handed back; null where no source gave one yet. */
  get checkpoint(): Checkpoint | null {
    return this.#checkpoint;
  }

  /** Freezes what may be committed now; only partitions whose offset is not the committed one. */
  freeze(): readonly FrozenOffset[] {
    const frozen: FrozenOffset[] = [];
    for (const partition of this.#byText.values()) {
      const offset = partition.freeze();
      if (offset !== null) frozen.push(offset);
    }
    return frozen;
  }

  /** What was frozen is stored. */
  committed(frozen: readonly FrozenOffset[]): void {
    for (const { partition, text } of frozen) partition.committed(text);
  }

  #advance(): void {
    let ended = 0;
    for (const poll of this.#polls) {
      if (poll.open > 0) break;
      if (poll.checkpoint !== undefined) this.#checkpoint = { value: poll.checkpoint };
      ended++;
    }
    if (ended > 0) this.#polls = this.#polls.slice(ended);
  }
}

/** A holder of its own, so that a later one can be told from an equal value. */
export interface Checkpoint {
  readonly value: unknown;
}

export interface FrozenOffset {
  readonly partition: TrackedPartition;
  /** Canonical JSON of the offset. */
  readonly text: string;
}

/** One poll: its segments, and how many of its records are not done. */
export class TrackedPoll {
  readonly segments: AckSegment[] = [];
  readonly checkpoint: unknown;
  /** Of its first record. */
  readonly timestampMs: number | undefined;
  open: number;

  constructor(open: number, checkpoint: unknown, timestampMs: number | undefined) {
    this.open = open;
    this.checkpoint = checkpoint;
    this.timestampMs = timestampMs;
  }
}

/** The records of one partition in one poll. */
export class AckSegment {
  readonly partition: TrackedPartition;
  readonly poll: TrackedPoll;
  /** Sequence of the first record within its partition, since the start of the task. */
  readonly firstSequence: number;
  offsets: SourceOffset[] = [];
  /** All before it are done. */
  low = 0;
  /** For the pipeline, which takes the records in order: the next one. */
  cursor = 0;
  /** Open parts of records that a transform split. */
  parts: Map<number, number> | null = null;
  #overtakers: Uint8Array | null = null;

  constructor(partition: TrackedPartition, poll: TrackedPoll, firstSequence: number) {
    this.partition = partition;
    this.poll = poll;
    this.firstSequence = firstSequence;
  }

  /** The record became several, and is done when all of them are. */
  split(index: number, count: number): void {
    this.parts ??= new Map();
    this.parts.set(index, count);
  }

  markDone(from: number, to: number): void {
    if (from === this.low) {
      this.low = to;
    } else {
      this.#overtakers ??= new Uint8Array(this.offsets.length);
      this.#overtakers.fill(1, from, to);
    }
    const overtakers = this.#overtakers;
    if (overtakers !== null) while (overtakers[this.low] === 1) this.low++;
  }

  /** Takes one part off each record; how many have none left. Split records come one at a time. */
  withoutOpenParts(from: number, to: number): number {
    if (to - from !== 1) return to - from;
    const left = (this.parts?.get(from) ?? 1) - 1;
    if (left === 0) this.parts?.delete(from);
    else this.parts?.set(from, left);
    return left === 0 ? 1 : 0;
  }
}

/** An offset, and the sequence up to which (exclusive) it covers the records of its partition. */
interface Covered {
  readonly offset: SourceOffset;
  readonly sequence: number;
}

export class TrackedPartition {
  readonly partition: SourcePartition;
  readonly text: string;
  nextSequence = 0;
  /** The frozen offset covers all records before this sequence. */
  frozenSequence = 0;
  #segments: AckSegment[] = [];
  /** The last done offset, and the last one that differs from it: a group of one offset may go on in the next segment. */
  #tail: Covered | null = null;
  #beforeTail: Covered | null = null;
  #frozenText = '';
  #committedText = '';

  constructor(partition: SourcePartition, text: string) {
    this.partition = partition;
    this.text = text;
  }

  segmentOf(poll: TrackedPoll): AckSegment {
    const last = this.#segments.at(-1);
    if (last?.poll === poll) return last;
    const segment = new AckSegment(this, poll, this.nextSequence);
    this.#segments.push(segment);
    poll.segments.push(segment);
    return segment;
  }

  dropDone(): void {
    let ended = 0;
    for (const segment of this.#segments) {
      if (segment.low < segment.offsets.length) break;
      this.#appendTail(segment);
      // Who still holds the segment (a queue's mark) needs its numbers only.
      segment.offsets = [];
      ended++;
    }
    if (ended > 0) this.#segments = this.#segments.slice(ended);
  }

  /** Null where the offset is the committed one. Never goes back: a group that grew after its commit is not taken back. */
  freeze(): FrozenOffset | null {
    const covered = this.#covered();
    if (covered !== null && covered.sequence > this.frozenSequence) {
      this.frozenSequence = covered.sequence;
      this.#frozenText = canonicalJson(covered.offset);
    }
    return this.#frozenText === this.#committedText ? null : { partition: this, text: this.#frozenText };
  }

  committed(text: string): void {
    this.#committedText = text;
  }

  /** Several records may share an offset: it covers all of them or none. */
  #covered(): Covered | null {
    const first = this.#segments[0];
    const next = first?.offsets[first.low];
    if (first === undefined || next === undefined) return this.#tail;
    const start = groupStart(first.offsets, first.low, next);
    const before = first.offsets[start - 1];
    if (before !== undefined) return { offset: before, sequence: first.firstSequence + start };
    return this.#tail !== null && sameJson(this.#tail.offset, next) ? this.#beforeTail : this.#tail;
  }

  #appendTail(segment: AckSegment): void {
    const { offsets, firstSequence } = segment;
    const last = offsets.at(-1);
    if (last === undefined) return;
    const start = groupStart(offsets, offsets.length - 1, last);
    const before = offsets[start - 1];
    if (before !== undefined) this.#beforeTail = { offset: before, sequence: firstSequence + start };
    else if (this.#tail !== null && !sameJson(this.#tail.offset, last)) this.#beforeTail = this.#tail;
    this.#tail = { offset: last, sequence: firstSequence + offsets.length };
  }
}

/** The first index of the run of equal offsets that ends before `end`. */
function groupStart(offsets: readonly SourceOffset[], end: number, offset: SourceOffset): number {
  let start = end;
  for (let before = offsets[start - 1]; before !== undefined && sameJson(before, offset); before = offsets[start - 1]) start--;
  return start;
}

function invalidRecord(field: 'partition' | 'offset'): FatalError {
  return new FatalError(`the source returned a record without ${field}`, {
    code: 'SOURCE_RECORD_INVALID',
    field,
    remedy: `This is an error of the plugin: every record needs a ${field}, a plain object.`,
  });
}
