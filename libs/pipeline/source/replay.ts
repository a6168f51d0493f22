import type { MessageBatch, MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { decodeMessages, PropertyName, property } from '@rocketmq-connect/message-log/message';
import type { Clock } from '@rocketmq-connect/sdk';
import type { QueueMark as StoredMark } from '../host-protocol.ts';
import { queueKey } from '../queues.ts';
import type { AckSegment, TrackedPartition } from './ack-tracker.ts';
import { scanIds } from './log-scan.ts';
import { connectorTag, isOfSibling, withoutAuthor } from './record-id.ts';

/** Ids that nobody polls again are waited for so long: they belong to records that were committed, behind the mark of another partition. */
const UNMET_KEPT_MS = 10 * 60_000;

/**
 * What an unclean end left in the log: the ids found at and after its marks. A record polled again whose id is here was sent before. The old
 * marks hold until all of these records are met again and committed, for until then a second death needs them.
 */
export class ReplayWindow {
  readonly #marks = new Map<string, StoredMark>();
  readonly #clock: Clock;
  readonly #ids = new Set<string>();
  /** Sequence that must be covered before the old marks may go. */
  readonly #met = new Map<TrackedPartition, number>();
  #lastMetMs: number;
  #isScanned: boolean;

  constructor(marks: readonly StoredMark[], clock: Clock) {
    this.#clock = clock;
    this.#lastMetMs = clock.monotonic();
    this.#isScanned = marks.length === 0;
    for (const mark of marks) {
      const key = queueKey(mark.queue);
      const known = this.#marks.get(key);
      // Several tasks of an older generation may have marked one queue: the lowest holds for all.
      if (known === undefined || known.offset > mark.offset) this.#marks.set(key, mark);
    }
  }

  /** Whether a polled record may be in the log already. */
  get isOpen(): boolean {
    return this.#ids.size > 0;
  }

  get size(): number {
    return this.#ids.size;
  }

  /** Reads the marked queues. What siblings of the task sent is left out: it is never polled here. Can be repeated after an error. */
  async scan(log: MessageLog, connector: string, author: string, signal: AbortSignal): Promise<void> {
    const from = [...this.#marks.values()].map(({ queue, offset }) => ({ queue, position: offset }));
    const tag = connectorTag(connector);
    const add = (text: string): void => {
      if (text.startsWith(tag) && !isOfSibling(text, author)) this.#ids.add(withoutAuthor(text));
    };
    await scanIds(log, from, add, signal);
    this.#isScanned = true;
    this.#lastMetMs = this.#clock.monotonic();
  }

  /** Whether the record was sent before; it is then as good as acknowledged. */
  meet(id: string, segment: AckSegment, index: number): boolean {
    if (!this.#ids.delete(id)) return false;
    this.#met.set(segment.partition, segment.firstSequence + index + 1);
    this.#lastMetMs = this.#clock.monotonic();
    return true;
  }

  /** The old marks that still hold, by queue; after the offsets were frozen. */
  freeze(): ReadonlyMap<string, StoredMark> {
    if (this.isOver) this.#marks.clear();
    return this.#marks;
  }

  /** All that was found is met again, and covered by the frozen offsets. */
  get isOver(): boolean {
    if (!this.#isScanned) return false;
    if (this.#ids.size > 0 && this.#clock.monotonic() - this.#lastMetMs < UNMET_KEPT_MS) return false;
    for (const [partition, sequence] of this.#met) if (partition.frozenSequence < sequence) return false;
    return true;
  }
}

/** After a send of unknown outcome: the log offset of the batch, or undefined where the log does not hold it at or after `from`. */
export async function findInTail(
  log: MessageLog,
  queue: QueueAddress,
  from: number,
  batch: MessageBatch,
  signal: AbortSignal,
): Promise<number | undefined> {
  // A batch is stored whole or not at all: its first message tells.
  let id: string | undefined;
  decodeMessages(batch.bytes, (_body, properties, index) => {
    if (index === 0) id = property(properties, PropertyName.id);
  });
  if (id === undefined) return undefined;
  let found: number | undefined;
  const visit = (seen: string, _queue: QueueAddress, offset: number): void => {
    if (seen === id) found ??= offset;
  };
  await scanIds(log, [{ queue, position: from }], visit, signal);
  return found;
}
