import { type Clock, ConfigError, DataError, FatalError, RetriableError, sleep } from '@rocketmq-connect/sdk';
import { checkBatch, checkPosition, checkQueueCount, checkTopicName, notWithThisLog, queueNotFound, topicNotFound } from './checks.ts';
import type {
  FetchedMessages,
  LogCapabilities,
  MessageBatch,
  MessageLog,
  QueueAddress,
  QueueReader,
  SendResult,
  Subscription,
  TopicDescription,
} from './index.ts';
import { SimulatedGroup } from './simulated-group.ts';
import { SimulatedQueueReader } from './simulated-reader.ts';
import { SimulatedSubscription } from './simulated-subscription.ts';

/** What a client is about to do; a plan of faults decides what becomes of it. */
export interface SimulatedOperation {
  readonly operation: 'send' | 'flush' | 'read' | 'acknowledge' | 'renew' | 'ask';
  /** As given to `connect`. */
  readonly client: string;
  readonly queue?: QueueAddress;
  readonly batch?: MessageBatch;
}

export interface SimulatedFault {
  /** How long the operation takes before anything else happens to it. */
  readonly delayMs?: number;
  /**
   * `unavailable`, `diskFull`, `tooLarge`: fails, nothing was stored. `lost`, `stored`: a send fails with SEND_OUTCOME_UNKNOWN, and was not,
   * or was, stored.
   */
  readonly fails?: 'unavailable' | 'diskFull' | 'tooLarge' | 'lost' | 'stored';
  /** A send is stored, and its result says so. */
  readonly unsafe?: string;
}

export type FaultPlan = (operation: SimulatedOperation) => SimulatedFault | undefined;

/** The one broker of the simulated log. */
export const SIMULATED_BROKER = 'simulated';

/** A queue in memory. Public to its reader and to tests that look into it. */
export interface SimulatedQueue {
  readonly stored: FetchedMessages[];
  minOffset: number;
  nextOffset: number;
  flushed: number;
}

/** A message log in memory, on a clock of the test's choice. Clients share it like threads share the embedded log. */
export class SimulatedLog {
  readonly clock: Clock;
  /** Decides about each operation; replace it at any time. */
  faults: FaultPlan;
  readonly #topics = new Map<string, SimulatedQueue[]>();
  readonly #groups = new Map<string, SimulatedGroup>();
  readonly #subscriptions = new Map<string, SimulatedSubscription[]>();
  readonly #watchers = new Set<() => void>();

  constructor(clock: Clock, faults: FaultPlan = () => undefined) {
    this.clock = clock;
    this.faults = faults;
  }

  /** `positions` false: a log that deals messages out by itself, like the gRPC proxy of RocketMQ. */
  connect(client = 'client', options: { readonly positions?: boolean } = {}): MessageLog {
    return new SimulatedClient(this, client, options.positions ?? true);
  }

  /** The process of a client is gone: what it holds is renewed no more. */
  lose(client: string): void {
    for (const subscription of this.#subscriptions.get(client) ?? []) subscription.lose();
    this.#subscriptions.delete(client);
  }

  group(name: string): SimulatedGroup {
    const group = this.#groups.get(name) ?? new SimulatedGroup(this);
    this.#groups.set(name, group);
    return group;
  }

  subscribed(client: string, subscription: SimulatedSubscription): void {
    this.#subscriptions.set(client, [...(this.#subscriptions.get(client) ?? []), subscription]);
  }

  /** What no flush has covered is gone, as after a power failure. */
  powerFailure(): void {
    for (const queue of [...this.#topics.values()].flat()) {
      while ((queue.stored.at(-1)?.offset ?? -1) >= queue.flushed) queue.stored.pop();
      const last = queue.stored.at(-1);
      queue.nextOffset = last === undefined ? queue.minOffset : last.offset + last.count;
    }
    this.changed();
  }

  /** Retention: whole batches below the position go. */
  removeBelow(address: QueueAddress, position: number): void {
    const queue = this.queue(address);
    while (queue.stored[0] !== undefined && queue.stored[0].offset + queue.stored[0].count <= position) queue.stored.shift();
    queue.minOffset = queue.stored[0]?.offset ?? queue.nextOffset;
  }

  /** Everything stored in a queue, for assertions. */
  stored(address: QueueAddress): readonly FetchedMessages[] {
    return this.queue(address).stored;
  }

  queue(address: QueueAddress): SimulatedQueue {
    if (address.broker !== SIMULATED_BROKER) throw queueNotFound(address, `the simulated log has one broker, "${SIMULATED_BROKER}"`);
    const queues = this.#topics.get(address.topic);
    if (queues === undefined) throw topicNotFound(address.topic);
    const queue = queues[address.queue];
    if (queue === undefined) throw queueNotFound(address, `the topic has ${queues.length} queues`);
    return queue;
  }

  topics(): readonly string[] {
    return [...this.#topics.keys()].sort();
  }

  describe(topic: string): TopicDescription {
    const queues = this.#topics.get(topic);
    if (queues === undefined) throw topicNotFound(topic);
    return { topic, queues: queues.map((_, queue) => ({ topic, broker: SIMULATED_BROKER, queue })) };
  }

  create(topic: string, count: number): TopicDescription {
    checkTopicName(topic);
    checkQueueCount(count);
    const queues = this.#topics.get(topic) ?? [];
    while (queues.length < count) queues.push({ stored: [], minOffset: 0, nextOffset: 0, flushed: 0 });
    this.#topics.set(topic, queues);
    this.changed();
    return this.describe(topic);
  }

  delete(topic: string): void {
    if (!this.#topics.delete(topic)) throw topicNotFound(topic);
    this.changed();
  }

  append(address: QueueAddress, batch: MessageBatch): number {
    const queue = this.queue(address);
    const offset = queue.nextOffset;
    const storedAtMs = Math.max(this.clock.now(), queue.stored.at(-1)?.storedAtMs ?? 0);
    queue.stored.push({ queue: address, offset, count: batch.count, bytes: Buffer.from(batch.bytes), layout: 'batch', storedAtMs });
    queue.nextOffset += batch.count;
    this.changed();
    return offset;
  }

  appendLater(address: QueueAddress, batch: MessageBatch, delayMs: number): -1 {
    const { bytes, count } = batch;
    const kept = { bytes: Buffer.from(bytes), count };
    this.clock.after(delayMs, () => this.append(address, kept));
    return -1;
  }

  /** Calls back at every change until the result is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Whoever waits looks again. */
  changed(): void {
    for (const changed of [...this.#watchers]) changed();
  }
}

class SimulatedClient implements MessageLog {
  readonly capabilities: LogCapabilities;
  readonly #log: SimulatedLog;
  readonly #name: string;
  /** Written or read since the last flush. */
  readonly #touched = new Set<SimulatedQueue>();
  readonly #readers: { close(): Promise<void> }[] = [];
  #closed = false;

  constructor(log: SimulatedLog, name: string, positions: boolean) {
    this.capabilities = { assign: positions, subscribe: true, createTopic: true, delay: true, processes: false, dottedTopics: true };
    this.#log = log;
    this.#name = name;
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    await this.#ask();
    return this.#log.describe(topic);
  }

  async createTopic(topic: string, settings: { readonly queues: number }): Promise<TopicDescription> {
    await this.#ask();
    return this.#log.create(topic, settings.queues);
  }

  async listTopics(): Promise<readonly string[]> {
    await this.#ask();
    return this.#log.topics();
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#ask();
    this.#log.delete(topic);
  }

  async send(queue: QueueAddress, batch: MessageBatch): Promise<SendResult> {
    checkBatch(batch);
    this.#log.queue(queue);
    const { fails, unsafe } = (await this.#meet({ operation: 'send', client: this.#name, queue, batch })) ?? {};
    if (fails === 'lost') throw outcomeUnknown(queue);
    const offset = batch.delayMs === undefined ? this.#log.append(queue, batch) : this.#log.appendLater(queue, batch, batch.delayMs);
    if (fails === 'stored') throw outcomeUnknown(queue);
    this.#touched.add(this.#log.queue(queue));
    return { offset: this.capabilities.assign ? offset : -1, ...(unsafe === undefined ? {} : { unsafe }) };
  }

  async flush(): Promise<void> {
    const touched = [...this.#touched].map((queue) => ({ queue, upTo: queue.nextOffset }));
    await this.#meet({ operation: 'flush', client: this.#name });
    for (const { queue, upTo } of touched) {
      queue.flushed = Math.max(queue.flushed, upTo);
      if (queue.flushed >= queue.nextOffset) this.#touched.delete(queue);
    }
  }

  async assign(_group: string, assignments: Parameters<MessageLog['assign']>[1]): Promise<QueueReader> {
    await this.#askPositions();
    for (const { queue, position } of assignments) {
      checkPosition(queue, position);
      this.#log.queue(queue);
    }
    const reader = new SimulatedQueueReader(
      this.#log,
      assignments.map(({ queue, position }) => ({ address: queue, queue: this.#log.queue(queue), position })),
      async (queue) => {
        await this.#meet({ operation: 'read', client: this.#name, queue });
      },
      (queue) => this.#touched.add(queue),
    );
    this.#readers.push(reader);
    return reader;
  }

  async subscribe(group: string, topics: readonly string[]): Promise<Subscription> {
    await this.#ask();
    const subscription = new SimulatedSubscription(this.#log, this.#log.group(group), topics, async (operation) => {
      await this.#meet({ operation, client: this.#name });
    });
    this.#log.subscribed(this.#name, subscription);
    this.#readers.push(subscription);
    return subscription;
  }

  async minOffset(queue: QueueAddress): Promise<number> {
    await this.#askPositions();
    return this.#log.queue(queue).minOffset;
  }

  async maxOffset(queue: QueueAddress): Promise<number> {
    await this.#askPositions();
    return this.#log.queue(queue).nextOffset;
  }

  async offsetAt(queue: QueueAddress, timestampMs: number): Promise<number> {
    await this.#askPositions();
    const { stored, nextOffset } = this.#log.queue(queue);
    return stored.find(({ storedAtMs }) => storedAtMs >= timestampMs)?.offset ?? nextOffset;
  }

  async mirrorPosition(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
    for (const reader of this.#readers.splice(0)) await reader.close();
  }

  async #askPositions(): Promise<void> {
    await this.#ask();
    if (!this.capabilities.assign) throw notWithThisLog('a position', 'this log', 'Take messages by subscribe.');
  }

  async #ask(): Promise<void> {
    await this.#meet({ operation: 'ask', client: this.#name });
  }

  /** Lets happen what the plan says. Returns how a send is to fail around storing. */
  async #meet(operation: SimulatedOperation): Promise<SimulatedFault | undefined> {
    if (this.#closed) throw new FatalError('the simulated message log is closed', { code: 'LOG_CLOSED' });
    const fault = this.#log.faults(operation);
    if (fault === undefined) return undefined;
    if (fault.delayMs !== undefined) await sleep(this.#log.clock, fault.delayMs);
    switch (fault.fails) {
      case 'unavailable':
        throw new RetriableError('the message log is not reachable', { code: 'LOG_UNAVAILABLE' });
      case 'diskFull':
        throw new RetriableError("the message log's disk is full", { code: 'DISK_FULL' });
      case 'tooLarge':
        throw new DataError('the batch is too large for the message log', { code: 'MESSAGE_TOO_LARGE' });
      case 'lost':
      case 'stored':
        if (operation.operation !== 'send') throw new ConfigError(`a ${operation.operation} has no outcome "${fault.fails}"`);
        return fault;
      default:
        return fault;
    }
  }
}

function outcomeUnknown(queue: QueueAddress): RetriableError {
  return new RetriableError(`the answer to a send to queue ${queue.queue} of ${queue.topic} was lost`, { code: 'SEND_OUTCOME_UNKNOWN' });
}
