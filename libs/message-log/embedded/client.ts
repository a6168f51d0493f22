import type { MessagePort } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { RetriableError } from '@rocketmq-connect/sdk';
import {
  checkBatch,
  checkPosition,
  checkQueueCount,
  checkTopicName,
  delayNotSupported,
  notWithThisLog,
  queueNotFound,
  topicNotFound,
} from '../checks.ts';
import type {
  LogCapabilities,
  MessageBatch,
  MessageLog,
  QueueAddress,
  QueueReader,
  SendResult,
  Subscription,
  TopicDescription,
  TopicSettings,
} from '../index.ts';
import { AdminClient, logClosed, type TopicPlace } from './admin.ts';
import { ControlMemory } from './control.ts';
import { QueueCursor } from './cursor.ts';
import { flushQueue } from './disk-flush.ts';
import { offsetAtTime } from './locate.ts';
import { EmbeddedQueueReader } from './reader.ts';
import { QueueWriter, type WriteAt, writeAt } from './writer.ts';

/** What `EmbeddedLog.connect` makes for one thread: plain data, the port to be transferred. */
export interface EmbeddedLogConnection {
  readonly kind: 'embedded';
  /** Who holds a lock. */
  readonly id: number;
  readonly control: SharedArrayBuffer;
  readonly port: MessagePort;
  readonly segmentBytes: number;
  readonly flush: 'commit' | 'batch';
}

/** The one broker of the embedded log. */
export const EMBEDDED_BROKER = 'embedded';

/** The embedded log in one thread. `options` replace the outside world in tests. */
export function connectEmbeddedLog(
  connection: EmbeddedLogConnection,
  options: { readonly write?: WriteAt; readonly now?: () => number } = {},
): MessageLog {
  return new EmbeddedClient(connection, options.write ?? writeAt, options.now ?? Date.now);
}

/** Files kept open for writing by one client; the one unused for longest is closed for another. */
const OPEN_FILES_MAX = 128;
/** A lock is held for one write. Longer than this, the disk hangs. */
const LOCK_WAIT_MS = 30_000;
const LOCK_LOOK_MS = 100;

class EmbeddedClient implements MessageLog {
  readonly capabilities: LogCapabilities = {
    assign: true,
    subscribe: false,
    createTopic: true,
    delay: false,
    processes: false,
    dottedTopics: true,
  };
  readonly #connection: EmbeddedLogConnection;
  readonly #control: ControlMemory;
  readonly #admin: AdminClient;
  readonly #write: WriteAt;
  readonly #now: () => number;
  readonly #topics = new Map<string, readonly ClientQueue[]>();
  /** Written or read here since the last flush, and how far. */
  readonly #touched = new Map<ClientQueue, number>();
  readonly #openWriters = new Set<QueueWriter>();
  readonly #readers = new Set<EmbeddedQueueReader>();
  #closed = false;

  constructor(connection: EmbeddedLogConnection, write: WriteAt, now: () => number) {
    this.#connection = connection;
    this.#control = new ControlMemory(connection.control);
    this.#admin = new AdminClient(connection.port);
    this.#write = write;
    this.#now = now;
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    return describe(await this.#admin.describe(topic));
  }

  async createTopic(topic: string, settings: TopicSettings): Promise<TopicDescription> {
    checkTopicName(topic);
    checkQueueCount(settings.queues);
    return describe(await this.#admin.create(topic, settings.queues));
  }

  listTopics(): Promise<readonly string[]> {
    return this.#admin.list();
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#admin.delete(topic);
    this.#topics.delete(topic);
  }

  async send(address: QueueAddress, batch: MessageBatch): Promise<SendResult> {
    checkBatch(batch);
    if (batch.delayMs !== undefined) throw delayNotSupported('the embedded log');
    const crc = crc32(batch.bytes);
    let waitUntil = 0;
    for (;;) {
      const queue = this.#known(address) ?? (await this.#lookUp(address));
      if (this.#closed || this.#control.closed) throw logClosed();
      const offset = this.#append(queue, batch, crc);
      if (offset !== undefined) {
        if (this.#connection.flush === 'batch') await this.#flushTo(queue, offset + batch.count);
        return { offset };
      }
      waitUntil ||= performance.now() + LOCK_WAIT_MS;
      if (performance.now() > waitUntil) throw busy(address);
      await this.#control.lockFreed(queue.slot, LOCK_LOOK_MS);
    }
  }

  /** Covers also what this client has read: positions are committed that rely on it. */
  async flush(): Promise<void> {
    const results = await Promise.allSettled([...this.#touched].map(([queue, upTo]) => this.#flushTo(queue, upTo)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async assign(_group: string, assignments: Parameters<MessageLog['assign']>[1]): Promise<QueueReader> {
    const queues: { cursor: QueueCursor; topic: number; queue: ClientQueue }[] = [];
    for (const { queue: address, position } of assignments) {
      checkPosition(address, position);
      const queue = this.#known(address) ?? (await this.#lookUp(address));
      const cursor = new QueueCursor(this.#control, queue.slot, queue.directory, address, position);
      queues.push({ cursor, topic: queue.topic, queue });
    }
    const bySlot = new Map(queues.map(({ cursor, queue }) => [cursor.slot, queue]));
    const reader = new EmbeddedQueueReader(
      this.#control,
      queues,
      ({ cursor }) => this.#touch(bySlot.get(cursor.slot), cursor.offset),
      (closed) => this.#readers.delete(closed),
    );
    this.#readers.add(reader);
    return reader;
  }

  async subscribe(): Promise<Subscription> {
    throw notWithThisLog('subscribe', 'the embedded log', 'Read its queues by assign.');
  }

  async minOffset(address: QueueAddress): Promise<number> {
    return this.#control.minOffset((await this.#lookUp(address)).slot);
  }

  async maxOffset(address: QueueAddress): Promise<number> {
    return this.#control.tail((await this.#lookUp(address)).slot).nextOffset;
  }

  async offsetAt(address: QueueAddress, timestampMs: number): Promise<number> {
    const queue = await this.#lookUp(address);
    return Math.max(this.#control.minOffset(queue.slot), offsetAtTime(queue.directory, this.#control.tail(queue.slot), timestampMs));
  }

  async mirrorPosition(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
    this.#admin.close();
    for (const reader of [...this.#readers]) await reader.close();
    for (const writer of this.#openWriters) writer.close();
    this.#openWriters.clear();
  }

  /** The position of the batch; undefined if another thread holds the lock, or the topic went meanwhile. */
  #append(queue: ClientQueue, batch: MessageBatch, crc: number): number | undefined {
    const control = this.#control;
    if (!control.tryLock(queue.slot, this.#connection.id)) return undefined;
    let offset: number;
    try {
      if (control.topic(queue.slot) !== queue.topic) return undefined;
      offset = queue.writer.append(batch, crc, this.#now());
    } finally {
      control.unlock(queue.slot);
    }
    this.#touch(queue, offset + batch.count);
    this.#used(queue.writer);
    return offset;
  }

  #known(address: QueueAddress): ClientQueue | undefined {
    const queue = this.#topics.get(address.topic)?.[address.queue];
    if (queue === undefined || this.#control.topic(queue.slot) !== queue.topic) return undefined;
    return address.broker === EMBEDDED_BROKER ? queue : undefined;
  }

  async #lookUp(address: QueueAddress): Promise<ClientQueue> {
    if (address.broker !== EMBEDDED_BROKER) throw queueNotFound(address, `the embedded log has one broker, "${EMBEDDED_BROKER}"`);
    const known = this.#known(address);
    if (known !== undefined) return known;
    const place = await this.#admin.describe(address.topic);
    const before = this.#topics.get(address.topic) ?? [];
    const queues = place.queues.map(({ slot, directory }, index) => {
      const same = before[index];
      return same?.topic === place.id ? same : this.#queue(place.id, slot, directory);
    });
    this.#topics.set(address.topic, queues);
    const queue = queues[address.queue];
    if (queue === undefined) throw queueNotFound(address, `the topic has ${queues.length} queues`);
    if (this.#control.topic(queue.slot) !== queue.topic) throw topicNotFound(address.topic);
    return queue;
  }

  #queue(topic: number, slot: number, directory: string): ClientQueue {
    const writer = new QueueWriter(this.#control, slot, directory, this.#connection.segmentBytes, this.#write);
    return { topic, slot, directory, writer, flushing: undefined };
  }

  #touch(queue: ClientQueue | undefined, upTo: number): void {
    if (queue !== undefined && (this.#touched.get(queue) ?? 0) < upTo) this.#touched.set(queue, upTo);
  }

  #used(writer: QueueWriter): void {
    this.#openWriters.delete(writer);
    this.#openWriters.add(writer);
    if (this.#openWriters.size <= OPEN_FILES_MAX) return;
    const [oldest] = this.#openWriters;
    oldest?.close();
    if (oldest !== undefined) this.#openWriters.delete(oldest);
  }

  /** Whoever comes while a force to disk is under way shares the next one. */
  async #flushTo(queue: ClientQueue, upTo: number): Promise<void> {
    const control = this.#control;
    while (control.topic(queue.slot) === queue.topic && control.flushed(queue.slot) < upTo) {
      queue.flushing ??= flushQueue(control, queue.slot, queue.directory).finally(() => {
        queue.flushing = undefined;
      });
      await queue.flushing;
    }
    if (this.#touched.get(queue) === upTo) this.#touched.delete(queue);
  }
}

interface ClientQueue {
  /** The topic's id, which the slot must still carry. */
  readonly topic: number;
  readonly slot: number;
  readonly directory: string;
  readonly writer: QueueWriter;
  flushing: Promise<unknown> | undefined;
}

function describe(place: TopicPlace): TopicDescription {
  return {
    topic: place.topic,
    queues: place.queues.map((_, queue) => ({ topic: place.topic, broker: EMBEDDED_BROKER, queue })),
  };
}

function busy(address: QueueAddress): RetriableError {
  return new RetriableError(`queue ${address.queue} of topic ${address.topic} stayed locked for ${LOCK_WAIT_MS} ms`, {
    code: 'QUEUE_BUSY',
    remedy: 'Check whether the disk of the data directory hangs.',
  });
}
