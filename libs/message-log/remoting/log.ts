import { type Clock, ConfigError, type ConnectError, type Random, RetriableError, sleep } from '@rocketmq-connect/sdk';
import { checkBatch, checkQueueCount, checkTopicName, queueNotFound } from '../checks.ts';
import type { LogCapabilities, MessageBatch, MessageLog, QueueAddress, QueueReader, SendResult, TopicDescription, TopicSettings } from '../index.ts';
import type { Credentials, } from './signature.ts';
import { Connections } from './connections.ts';
import type { Request } from './connection.ts';
import type { Frame } from './frame.ts';
import { NameServers } from './name-servers.ts';
import { RemotingQueueReader } from './reader.ts';
import { heartbeatRequest, unregisterRequest } from './requests/heartbeat.ts';
import { maxOffsetRequest, minOffsetRequest, offsetAtRequest, parseOffset, updateConsumerOffsetRequest } from './requests/offsets.ts';
import type { BrokerRoute, TopicRoute } from './requests/route.ts';
import { parseSendResponse, sendBatchRequest } from './requests/send-batch.ts';
import {
  clusterRequest,
  createTopicRequest,
  deleteTopicInBrokerRequest,
  deleteTopicInNameServerRequest,
  listTopicsRequest,
  parseMasters,
  parseTopicList,
} from './requests/topics.ts';
import { ResponseCode, responseError } from './response-code.ts';

export interface RemotingSettings {
  readonly nameServers: readonly string[];
  readonly clientId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly credentials?: Credentials;
  /** Answers that say "stored, but not yet on disk or on a slave" count as success, or are tried again. */
  readonly durability: 'stored' | 'strict';
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly routeRefreshMs: number;
  readonly heartbeatMs: number;
}

export const DEFAULT_REMOTING_SETTINGS = {
  durability: 'stored',
  connectTimeoutMs: 3_000,
  requestTimeoutMs: 5_000,
  routeRefreshMs: 30_000,
  heartbeatMs: 30_000,
} as const;

const PRODUCER_GROUP = 'rocketmq-connect';
const TOPIC_VISIBLE_MS = 10_000;
const TOPIC_LOOK_MS = 100;

/** RocketMQ's own TCP protocol, straight to name servers and brokers (4.4 and newer). */
export class RemotingLog implements MessageLog {
  readonly capabilities: LogCapabilities = { assign: true, createTopic: true };
  readonly #settings: RemotingSettings;
  readonly #connections: Connections;
  readonly #nameServers: NameServers;
  readonly #readers = new Map<RemotingQueueReader, string>();
  readonly #closing = new AbortController();

  constructor(settings: RemotingSettings) {
    if (settings.nameServers.length === 0) {
      throw new ConfigError('no name server is given', { field: 'rocketmq.namesrv', remedy: 'give host:port of one or several name servers' });
    }
    this.#settings = settings;
    const { clock, connectTimeoutMs, requestTimeoutMs, routeRefreshMs, credentials } = settings;
    this.#connections = new Connections({ clock, connectTimeoutMs, ...(credentials === undefined ? {} : { credentials }) }, settings.random);
    this.#nameServers = new NameServers({ addresses: settings.nameServers, clock, requestTimeoutMs, routeRefreshMs }, this.#connections);
    void this.#beat();
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    checkTopicName(topic);
    const { brokers } = await this.#nameServers.route(topic);
    const queues = brokers.flatMap((broker) =>
      Array.from({ length: Math.max(broker.readQueues, broker.writeQueues) }, (_, queue) => ({ topic, broker: broker.name, queue })),
    );
    return { topic, queues };
  }

  async createTopic(topic: string, settings: TopicSettings): Promise<TopicDescription> {
    checkTopicName(topic);
    checkQueueCount(settings.queues);
    const existing = await this.#route(topic);
    const cluster = await this.#success('the brokers of the cluster', this.#settings.nameServers[0] ?? '', this.#nameServers.ask(clusterRequest()));
    const masters = parseMasters(cluster);
    if (masters.size === 0) throw new RetriableError('no broker is registered with the name server', { code: 'BROKER_UNAVAILABLE' });
    for (const [name, address] of masters) {
      const present = existing?.brokers.find((broker) => broker.name === name);
      if (present !== undefined && Math.min(present.readQueues, present.writeQueues) >= settings.queues) continue;
      await this.#ask(`creating topic ${topic}`, address, createTopicRequest(topic, settings.queues, '+message.type=NORMAL'));
    }
    return this.#visible(topic, settings.queues);
  }

  async listTopics(): Promise<readonly string[]> {
    const frame = await this.#success('the list of topics', 'the name server', this.#nameServers.ask(listTopicsRequest()));
    return [...parseTopicList(frame)].sort();
  }

  async deleteTopic(topic: string): Promise<void> {
    const route = await this.#nameServers.route(topic);
    for (const { master } of route.brokers) {
      if (master !== '') await this.#ask(`deleting topic ${topic}`, master, deleteTopicInBrokerRequest(topic));
    }
    for (const address of this.#settings.nameServers) await this.#ask(`deleting topic ${topic}`, address, deleteTopicInNameServerRequest(topic));
    this.#nameServers.forget(topic);
  }

  async send(queue: QueueAddress, batch: MessageBatch): Promise<SendResult> {
    checkBatch(batch);
    const { master } = await this.#broker(queue);
    const connection = await this.#connections.to(master);
    let frame: Frame;
    try {
      const request = sendBatchRequest(PRODUCER_GROUP, queue.topic, queue.broker, queue.queue, batch, this.#settings.clock.now());
      frame = await connection.invoke(request, this.#settings.requestTimeoutMs);
    } catch (error) {
      this.#nameServers.forget(queue.topic);
      throw new RetriableError(`a batch for queue ${queue.queue} of ${queue.topic} was sent, its answer did not come: ${String((error as Error).message)}`, {
        code: 'SEND_OUTCOME_UNKNOWN',
        cause: error,
      });
    }
    switch (frame.code) {
      case ResponseCode.success:
        return parseSendResponse(frame);
      case ResponseCode.flushDiskTimeout:
      case ResponseCode.flushSlaveTimeout:
      case ResponseCode.slaveNotAvailable:
        // Stored, not safe: the message is there and must not be sent again.
        if (this.#settings.durability === 'stored') return parseSendResponse(frame);
        throw new RetriableError(`${queue.topic}: stored, but not as safely as send.durability=strict asks (${frame.code})`, { code: 'SEND_OUTCOME_UNKNOWN' });
      default: {
        const error = responseError(`a batch for queue ${queue.queue} of ${queue.topic}`, master, frame);
        this.#nameServers.forget(queue.topic);
        throw error;
      }
    }
  }

  /** Brokers acknowledge by their own durability. */
  async flush(): Promise<void> {}

  async assign(group: string, assignments: readonly { readonly queue: QueueAddress; readonly position: number }[]): Promise<QueueReader> {
    const reader: RemotingQueueReader = new RemotingQueueReader({
      group,
      assignments,
      clock: this.#settings.clock,
      connectionOf: async (queue) => this.#connections.to((await this.#broker(queue)).master),
      forget: (queue) => this.#nameServers.forget(queue.topic),
      onClose: () => this.#left(reader, group),
    });
    this.#readers.set(reader, group);
    void this.#beatOnce().catch(() => {});
    return reader;
  }

  async minOffset(queue: QueueAddress): Promise<number> {
    return this.#offset(queue, minOffsetRequest(queue.topic, queue.broker, queue.queue));
  }

  async maxOffset(queue: QueueAddress): Promise<number> {
    return this.#offset(queue, maxOffsetRequest(queue.topic, queue.broker, queue.queue));
  }

  async offsetAt(queue: QueueAddress, timestampMs: number): Promise<number> {
    return this.#offset(queue, offsetAtRequest(queue.topic, queue.broker, queue.queue, Math.floor(timestampMs)));
  }

  async mirrorPosition(group: string, queue: QueueAddress, position: number): Promise<void> {
    const { master } = await this.#broker(queue);
    (await this.#connections.to(master)).oneway(updateConsumerOffsetRequest(group, queue.topic, queue.broker, queue.queue, position));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const reader of [...this.#readers.keys()]) await reader.close();
    for (const connection of this.#connections.open()) connection.oneway(unregisterRequest(this.#settings.clientId, { producer: PRODUCER_GROUP }));
    this.#connections.close();
  }

  async #offset(queue: QueueAddress, request: Request): Promise<number> {
    const { master } = await this.#broker(queue);
    return parseOffset(await this.#ask(`an offset of queue ${queue.queue} of ${queue.topic}`, master, request));
  }

  /** Where a queue's master is. A queue that is in no route rejects; one whose master is away is worth waiting for. */
  async #broker(queue: QueueAddress): Promise<BrokerRoute> {
    const { brokers } = await this.#nameServers.route(queue.topic);
    const broker = brokers.find(({ name }) => name === queue.broker);
    if (broker === undefined || broker.master === '') {
      this.#nameServers.forget(queue.topic);
      throw new RetriableError(`broker ${queue.broker} of topic ${queue.topic} is away`, { code: 'BROKER_UNAVAILABLE' });
    }
    if (queue.queue >= Math.max(broker.readQueues, broker.writeQueues)) throw queueNotFound(queue, 'the topic has fewer queues');
    return broker;
  }

  async #ask(what: string, address: string, request: Request): Promise<Frame> {
    const connection = await this.#connections.to(address);
    return this.#success(what, address, connection.invoke(request, this.#settings.requestTimeoutMs));
  }

  async #success(what: string, address: string, answer: Promise<Frame>): Promise<Frame> {
    const frame = await answer;
    if (frame.code !== ResponseCode.success) throw responseError(what, address, frame);
    return frame;
  }

  async #route(topic: string): Promise<TopicRoute | null> {
    try {
      return await this.#nameServers.route(topic);
    } catch (error) {
      if ((error as ConnectError).code === 'TOPIC_NOT_FOUND') return null;
      throw error;
    }
  }

  /** A broker tells the name server of a new topic within a moment. */
  async #visible(topic: string, queues: number): Promise<TopicDescription> {
    const { clock } = this.#settings;
    const until = clock.monotonic() + TOPIC_VISIBLE_MS;
    for (;;) {
      this.#nameServers.forget(topic);
      const route = await this.#route(topic);
      if (route?.brokers.some(({ writeQueues }) => writeQueues >= queues)) return this.describeTopic(topic);
      if (clock.monotonic() > until) throw new RetriableError(`topic ${topic} was created but the name server does not know it yet`, { code: 'TOPIC_NOT_VISIBLE' });
      await sleep(clock, TOPIC_LOOK_MS, this.#closing.signal);
    }
  }

  async #beat(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#beatOnce().catch(() => {});
      await sleep(this.#settings.clock, this.#settings.heartbeatMs, this.#closing.signal).catch(() => {});
    }
  }

  async #beatOnce(): Promise<void> {
    const topics = new Map<string, string[]>();
    for (const [reader, group] of this.#readers) topics.set(group, [...(topics.get(group) ?? []), ...reader.topics]);
    const request = heartbeatRequest(this.#settings.clientId, [PRODUCER_GROUP], topics);
    await Promise.allSettled(this.#connections.open().map((connection) => connection.invoke(request, this.#settings.requestTimeoutMs)));
  }

  #left(reader: RemotingQueueReader, group: string): void {
    this.#readers.delete(reader);
    if ([...this.#readers.values()].includes(group)) return;
    for (const connection of this.#connections.open()) connection.oneway(unregisterRequest(this.#settings.clientId, { consumer: group }));
  }
}
