import type { QueueAddress } from '@rocketmq-connect/message-log';
import type { AckSegment } from './ack-tracker.ts';

/** Which records a batch holds, in its order: runs of consecutive records of a segment. */
export class Runs {
  readonly segments: AckSegment[] = [];
  readonly from: number[] = [];
  readonly to: number[] = [];
  #mayGrow = false;

  add(segment: AckSegment, index: number): void {
    const last = this.segments.length - 1;
    if (this.#mayGrow && this.segments[last] === segment && this.to[last] === index) {
      this.to[last] = index + 1;
      return;
    }
    this.#push(segment, index, index + 1);
    this.#mayGrow = true;
  }

  /** One part of a split record: a run of its own, for the record is done only with its last part. */
  addPart(segment: AckSegment, index: number): void {
    this.#push(segment, index, index + 1);
    this.#mayGrow = false;
  }

  get length(): number {
    return this.segments.length;
  }

  /** The first `count` messages, and the others. */
  split(count: number): readonly [Runs, Runs] {
    const [first, second] = [new Runs(), new Runs()];
    let left = count;
    for (let run = 0; run < this.segments.length; run++) {
      const segment = this.segments[run] as AckSegment;
      const from = this.from[run] as number;
      const to = this.to[run] as number;
      const middle = Math.min(to, from + left);
      if (middle > from) first.#push(segment, from, middle);
      if (to > middle) second.#push(segment, middle, to);
      left -= middle - from;
    }
    return [first, second];
  }

  /** Position within the batch of the first record that the frozen offsets do not cover, or -1. */
  firstUncovered(): number {
    let position = 0;
    for (let run = 0; run < this.segments.length; run++) {
      const segment = this.segments[run];
      const from = this.from[run];
      const to = this.to[run];
      if (segment === undefined || from === undefined || to === undefined) break;
      const covered = segment.partition.frozenSequence - segment.firstSequence;
      if (covered < to) return position + Math.max(0, covered - from);
      position += to - from;
    }
    return -1;
  }

  #push(segment: AckSegment, from: number, to: number): void {
    this.segments.push(segment);
    this.from.push(from);
    this.to.push(to);
  }
}

/**
 * The mark of one queue: the log offset of the first message of ours that the frozen offsets do not cover, or the end after our last one.
 * Whatever a dead task had sent and not committed lies at or after its committed mark.
 */
export class QueueMark {
  readonly queue: QueueAddress;
  /** Everything of ours that is not in the log yet will lie at or after it. */
  end: number;
  #uncovered: { readonly offset: number; readonly runs: Runs }[] = [];

  constructor(queue: QueueAddress, end: number) {
    this.queue = queue;
    this.end = end;
  }

  /** A batch was stored. */
  stored(offset: number, count: number, runs: Runs): void {
    this.#uncovered.push({ offset, runs });
    this.end = offset + count;
  }

  /** Nothing of ours is on its way, and the queue ends here: what others wrote before need not be looked through. */
  moveTo(end: number): void {
    this.end = end;
  }

  /** After the offsets were frozen. */
  freeze(): number {
    let covered = 0;
    let mark = this.end;
    for (const { offset, runs } of this.#uncovered) {
      const position = runs.firstUncovered();
      if (position !== -1) {
        mark = offset + position;
        break;
      }
      covered++;
    }
    if (covered > 0) this.#uncovered = this.#uncovered.slice(covered);
    return mark;
  }
}
