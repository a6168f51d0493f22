import { resolve } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { ConfigError } from '@rocketmq-connect/sdk';
import { checkQueueCount, checkTopicName, topicNotFound } from '../checks.ts';
import { type AdminAnswer, type AdminQuestion, answerQuestions, type TopicPlace } from './admin.ts';
import { type Checkpoint, loadCheckpoint } from './checkpoint.ts';
import { Checkpointer } from './checkpointer.ts';
import type { EmbeddedLogConnection } from './client.ts';
import { ControlMemory, MAX_QUEUES } from './control.ts';
import { type RecoveryFinding, recoverQueue } from './recovery.ts';
import { type RegisteredTopic, Registry } from './registry.ts';
import { removeOldSegments } from './retention.ts';

export interface EmbeddedLogOptions {
  /** Size at which a segment file is closed; default 128 MiB. */
  readonly segmentBytes?: number;
  /** Age at which closed segments are deleted; default 7 days, 0 keeps them. */
  readonly retentionMs?: number;
  /** Bytes kept per queue, rounded up to whole segments; default 0, no limit. */
  readonly retentionBytes?: number;
  /** When sends are forced to disk: by `flush` (default), or each before it is acknowledged. */
  readonly flush?: 'commit' | 'batch';
  /** How often retention is looked at and a checkpoint written; default 10 s, 0 only when asked and at `close`. */
  readonly upkeepMs?: number;
  /** Told when that fails. It is tried again; sends and flushes fail by themselves when they must. */
  readonly onUpkeepFailed?: (error: unknown) => void;
  /** The time, ms since the epoch; for retention. */
  readonly now?: () => number;
}

/** Access to the log for one thread. */
export interface LogConnection {
  /** Plain data for `connectEmbeddedLog` in the other thread. */
  readonly connection: EmbeddedLogConnection;
  /** To be transferred with it. */
  readonly transferList: readonly MessagePort[];
  /** Call it once the thread is gone for certain, however it ended: frees the locks that it held. */
  release(): void;
}

/**
 * The embedded message log of a process, opened by its main thread, which owns the registry of topics, recovery and retention. Threads
 * read and write the segment files themselves (docs/decisions/0001). One process at a time may open a directory: its caller sees to that.
 */
export class EmbeddedLog {
  /** What was not as it should be when the log was opened: to be logged as warnings. */
  get findings(): readonly LogFinding[] {
    return this.#findings;
  }

  readonly #findings: LogFinding[] = [];
  readonly #directory: string;
  readonly #options: Required<EmbeddedLogOptions>;
  readonly #registry: Registry;
  readonly #control = new ControlMemory();
  #checkpointer: Checkpointer | undefined;
  readonly #places = new Map<string, TopicPlace>();
  readonly #freeSlots: number[] = [];
  readonly #ports = new Map<number, MessagePort>();
  #usedSlots = 0;
  #lastConnection = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  /** Opens or makes the log in `directory`. Throws `FatalError` when it cannot be read or written, or a newer version wrote it. */
  static async open(directory: string, options: EmbeddedLogOptions = {}): Promise<EmbeddedLog> {
    const path = resolve(directory);
    const log = new EmbeddedLog(path, await Registry.open(path), {
      segmentBytes: 128 * 1024 * 1024,
      retentionMs: 7 * 24 * 3_600_000,
      retentionBytes: 0,
      flush: 'commit',
      upkeepMs: 10_000,
      now: Date.now,
      onUpkeepFailed: () => {},
      ...options,
    });
    await log.#recover();
    if (log.#options.upkeepMs > 0) {
      const upkeep = (): void => void log.upkeep().catch(log.#options.onUpkeepFailed);
      log.#timer = setInterval(upkeep, log.#options.upkeepMs);
      log.#timer.unref();
      // Not waited for: to force to disk what a killed process left in the page cache may take long.
      upkeep();
    }
    return log;
  }

  private constructor(directory: string, registry: Registry, options: Required<EmbeddedLogOptions>) {
    this.#directory = directory;
    this.#registry = registry;
    this.#options = options;
  }

  /** Makes access for one thread (or several clients of one thread: one connection each). */
  connect(): LogConnection {
    const { port1, port2 } = new MessageChannel();
    const id = ++this.#lastConnection;
    this.#ports.set(id, port1);
    answerQuestions(port1, (question) => this.#inTurn(() => this.#answer(question)));
    const { segmentBytes, flush } = this.#options;
    return {
      connection: { kind: 'embedded', id, control: this.#control.buffer, port: port2, segmentBytes, flush },
      transferList: [port2],
      release: () => {
        this.#ports.delete(id);
        port1.close();
        this.#control.freeLocksOf(id);
      },
    };
  }

  /** Deletes what retention allows and writes a checkpoint. Done regularly; call it to have it done now. */
  upkeep(): Promise<void> {
    return this.#inTurn(async () => {
      for (const place of this.#places.values()) {
        for (const { slot, directory } of place.queues)
          removeOldSegments(directory, this.#control, slot, this.#options, this.#options.now());
      }
      await this.#checkpointer?.write([...this.#places.values()]);
    });
  }

  /** Forces everything to disk. Clients must have ended; what they still try fails with `LOG_CLOSED`. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#control.close();
    await this.upkeep();
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
  }

  async #recover(): Promise<void> {
    this.#registry.removeOrphans();
    const { checkpoint, whole } = loadCheckpoint(this.#directory);
    if (!whole) this.#findings.push({ kind: 'checkpointCorrupt' });
    this.#checkpointer = new Checkpointer(this.#directory, this.#control, checkpoint);
    for (const topic of this.#registry.topics()) await this.#place(topic, checkpoint);
  }

  async #answer(question: AdminQuestion): Promise<AdminAnswer> {
    switch (question.ask) {
      case 'describe': {
        const place = this.#places.get(question.topic);
        if (place === undefined) throw topicNotFound(question.topic);
        return place;
      }
      case 'create':
        return this.#create(question.topic, question.queues);
      case 'delete':
        await this.#delete(question.topic);
        return null;
      case 'list':
        return [...this.#places.keys()].sort();
    }
  }

  async #create(name: string, queues: number): Promise<TopicPlace> {
    checkTopicName(name);
    checkQueueCount(queues);
    const existing = this.#places.get(name);
    const more = queues - (existing?.queues.length ?? 0);
    if (existing !== undefined && more <= 0) return existing;
    const free = MAX_QUEUES - this.#usedSlots + this.#freeSlots.length;
    if (more > free) {
      throw new ConfigError(`topic ${name} needs ${more} queues; the embedded log has room for ${free} more of its ${MAX_QUEUES}`, {
        code: 'TOO_MANY_QUEUES',
        field: 'queues',
        remedy: 'Delete topics, use fewer queues, or connect to RocketMQ.',
      });
    }
    return this.#place(await this.#registry.put(name, queues), new Map());
  }

  async #delete(name: string): Promise<void> {
    const topic = this.#registry.get(name);
    const place = this.#places.get(name);
    if (topic === undefined || place === undefined) throw topicNotFound(name);
    await this.#registry.remove(topic);
    this.#places.delete(name);
    for (const { slot } of place.queues) {
      // Whoever holds the lock writes into a file that goes; whoever comes next sees that the slot is no longer its queue's.
      while (!this.#control.tryLock(slot, -1)) await this.#control.lockFreed(slot, 100);
      this.#control.vacate(slot);
      this.#control.unlock(slot);
      this.#freeSlots.push(slot);
    }
    this.#registry.removeFiles(topic);
  }

  /** Gives slots to the queues of a topic that have none yet. */
  async #place(topic: RegisteredTopic, checkpoint: Checkpoint): Promise<TopicPlace> {
    await this.#registry.makeDirectory(topic);
    const queues = [...(this.#places.get(topic.name)?.queues ?? [])];
    for (let queue = queues.length; queue < topic.queues; queue++) {
      const directory = this.#registry.queueDirectory(topic, queue);
      const forced = checkpoint.get(`${topic.id}/${queue}`);
      const recovered = recoverQueue(directory, forced);
      this.#findings.push(...recovered.findings.map((finding) => ({ ...finding, topic: topic.name, queue })));
      const slot = this.#freeSlots.pop() ?? this.#usedSlots++;
      this.#control.occupy(slot, topic.id, recovered.tail, recovered.minOffset, forced?.nextOffset ?? 0);
      queues.push({ slot, directory });
    }
    const place = { id: topic.id, topic: topic.name, queues };
    this.#places.set(topic.name, place);
    return place;
  }

  /** One change at a time. */
  #inTurn<T>(work: () => Promise<T> | T): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

export type LogFinding =
  | { readonly kind: 'checkpointCorrupt' }
  | (RecoveryFinding & {
      readonly topic: string;
      readonly queue: number;
    });
