import type { MessageLog } from '@rocketmq-connect/message-log';
import type { TopicCreation } from '../config/topic-creation.ts';
import { openTopic } from '../topics.ts';
import type { TrackedPartition } from './ack-tracker.ts';
import { DelayedSender } from './delayed-sender.ts';
import type { SenderOptions } from './delivery.ts';
import { QueueMark } from './marks.ts';
import { QueueSender } from './queue-sender.ts';

/** The queues of one topic; they stay the same while the task runs, so that a key keeps its queue when a broker comes or goes. */
export class TopicRoute {
  readonly topic: string;
  readonly senders: readonly QueueSender[];
  readonly delayed: DelayedSender;
  readonly #spread: boolean;
  #sticky = 0;
  #isUsed = false;
  readonly #hashes = new Map<TrackedPartition, number>();

  constructor(topic: string, senders: readonly QueueSender[], delayed: DelayedSender, ordering: 'partition' | 'none') {
    this.topic = topic;
    this.senders = senders;
    this.delayed = delayed;
    this.#spread = ordering === 'none';
  }

  /** The queue a source asked for, else by key, else by source partition, else spread. */
  choose(queue: number | undefined, key: Buffer | null, partition: TrackedPartition): QueueSender {
    this.#isUsed = true;
    const { senders } = this;
    const count = senders.length;
    let index: number;
    if (queue !== undefined) index = Math.abs(Math.trunc(queue)) % count;
    else if (key !== null) index = hashOf(key) % count;
    else if (this.#spread) index = this.#next();
    else index = this.#hashOf(partition) % count;
    const sender = senders[index] ?? senders[0];
    if (sender === undefined) throw new RangeError(`topic ${this.topic} has no queues`);
    return sender;
  }

  /** Whether a queue was chosen since the last call. */
  takeUsed(): boolean {
    const used = this.#isUsed;
    this.#isUsed = false;
    return used;
  }

  get isEmpty(): boolean {
    return this.delayed.isEmpty && this.senders.every((sender) => sender.isEmpty);
  }

  async close(): Promise<void> {
    await Promise.all([this.delayed.close(), ...this.senders.map((sender) => sender.close())]);
  }

  #hashOf(partition: TrackedPartition): number {
    let hash = this.#hashes.get(partition);
    if (hash === undefined) {
      hash = hashOf(Buffer.from(partition.text));
      this.#hashes.set(partition, hash);
    }
    return hash;
  }

  /** The same queue until it is busy: batches stay large. */
  #next(): number {
    const current = this.senders[this.#sticky];
    if (current === undefined || current.isIdle) return this.#sticky;
    const next = (this.#sticky + 1) % this.senders.length;
    if (current.isFull || this.senders[next]?.isIdle === true) this.#sticky = next;
    return this.#sticky;
  }
}

/** Opens topics: finds or creates them, and where marks are kept, reads where their queues end before anything is sent to them. */
export async function openRoute(
  log: MessageLog,
  topic: string,
  settings: { readonly creation: TopicCreation; readonly ordering: 'partition' | 'none'; readonly keepMarks: boolean },
  options: SenderOptions,
): Promise<TopicRoute> {
  const queues = await openTopic(log, topic, settings.creation);
  const ends = settings.keepMarks ? await Promise.all(queues.map((queue) => log.maxOffset(queue))) : [];
  const senders = queues.map((queue, i) => {
    const end = ends[i];
    return new QueueSender(queue, end === undefined ? null : new QueueMark(queue, end), options);
  });
  return new TopicRoute(topic, senders, new DelayedSender(options), settings.ordering);
}

/** Java's `String.hashCode` over the bytes: for ASCII keys the queue is the one that the Java runtime chooses. */
function hashOf(key: Uint8Array): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + (key[i] ?? 0)) | 0;
  return Math.abs(hash);
}
