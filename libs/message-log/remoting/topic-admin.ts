import { type Clock, ConfigError, ConnectError, RetriableError, sleep } from '@rocketmq-connect/sdk';
import { checkQueueCount, checkTopicName } from '../checks.ts';
import type { TopicDescription, TopicSettings } from '../index.ts';
import type { Brokers } from './brokers.ts';
import type { NameServers } from './name-servers.ts';
import type { BrokerRoute, TopicRoute } from './requests/route.ts';
import {
  createTopicRequest,
  deleteTopicInBrokerRequest,
  deleteTopicInNameServerRequest,
  listTopicsRequest,
  parseTopicAttributes,
  parseTopicList,
  topicConfigRequest,
} from './requests/topics.ts';
import { ResponseCode, responseError } from './response-code.ts';

const VISIBLE_MS = 15_000;
const LOOK_MS = 50;

/** Describes, creates, lists and deletes topics, on all brokers of the cluster. */
export class TopicAdmin {
  readonly #nameServers: NameServers;
  readonly #brokers: Brokers;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  constructor(nameServers: NameServers, brokers: Brokers, clock: Clock, signal: AbortSignal) {
    this.#nameServers = nameServers;
    this.#brokers = brokers;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Always asks: whoever looks wants to know of new queues. */
  async describe(topic: string): Promise<TopicDescription> {
    checkTopicName(topic);
    return description(topic, await this.#nameServers.freshRoute(topic));
  }

  async create(topic: string, { queues, attributes = {} }: TopicSettings): Promise<TopicDescription> {
    checkRocketName(topic);
    checkQueueCount(queues);
    const existing = await this.#routeIfAny(topic);
    const { masters } = await this.#nameServers.cluster();
    if (masters.size === 0) throw new RetriableError('no broker is registered with the name server', { code: 'BROKER_UNAVAILABLE' });
    for (const [name, address] of masters) {
      const present = existing?.brokers.find((broker) => broker.name === name);
      const wanted = { read: Math.max(queues, present?.readQueues ?? 0), write: Math.max(queues, present?.writeQueues ?? 0) };
      const missing = present === undefined ? attributes : await this.#without(address, topic, attributes);
      const hasQueues = present !== undefined && present.readQueues === wanted.read && present.writeQueues === wanted.write;
      if (hasQueues && Object.keys(missing).length === 0) continue;
      const request = createTopicRequest(topic, wanted, present?.permission, missing);
      await this.#brokers.ask(`creating topic ${topic}`, address, request).catch((error: unknown) => {
        throw Object.keys(missing).length === 0 ? error : attributesRefused(topic, missing, error);
      });
    }
    return this.#visible(topic, queues, masters.size);
  }

  async list(): Promise<readonly string[]> {
    const frame = await this.#nameServers.ask(listTopicsRequest());
    if (frame.code !== ResponseCode.success) throw responseError('the list of topics', 'the name server', frame);
    const { masters, clusters } = await this.#nameServers.cluster();
    // Brokers make topics of these names for themselves.
    const own = new Set([...SYSTEM_TOPICS, ...masters.keys(), ...clusters.flatMap((cluster) => [cluster, `${cluster}_REPLY_TOPIC`])]);
    return parseTopicList(frame)
      .filter((topic) => !own.has(topic) && !SYSTEM_PREFIX.test(topic))
      .sort();
  }

  async delete(topic: string): Promise<void> {
    const { brokers } = await this.#nameServers.freshRoute(topic);
    const what = `deleting topic ${topic}`;
    for (const { master, name } of brokers) {
      if (master === '') throw new RetriableError(`${what}: broker ${name} is away`, { code: 'BROKER_UNAVAILABLE' });
      await this.#brokers.ask(what, master, deleteTopicInBrokerRequest(topic));
    }
    for (const address of this.#nameServers.addresses) await this.#brokers.ask(what, address, deleteTopicInNameServerRequest(topic));
    this.#nameServers.forget(topic);
  }

  async #routeIfAny(topic: string): Promise<TopicRoute | null> {
    try {
      return await this.#nameServers.freshRoute(topic);
    } catch (error) {
      if (error instanceof ConnectError && error.code === 'TOPIC_NOT_FOUND') return null;
      throw error;
    }
  }

  /** Those of the attributes that the topic does not have: some cannot be set twice. */
  async #without(address: string, topic: string, attributes: Attributes): Promise<Attributes> {
    if (Object.keys(attributes).length === 0) return attributes;
    try {
      const known = parseTopicAttributes(await this.#brokers.ask(`the attributes of topic ${topic}`, address, topicConfigRequest(topic)));
      return Object.fromEntries(Object.entries(attributes).filter(([name, value]) => known[name] !== value));
    } catch (error) {
      // RocketMQ 4 has none.
      if (error instanceof ConnectError && error.code === 'REQUEST_NOT_SUPPORTED') return {};
      throw error;
    }
  }

  /** Brokers tell the name server of a new topic within a moment. */
  async #visible(topic: string, queues: number, brokers: number): Promise<TopicDescription> {
    const until = this.#clock.monotonic() + VISIBLE_MS;
    for (;;) {
      const route = await this.#routeIfAny(topic);
      const ready = route?.brokers.filter((broker) => Math.max(broker.writeQueues, broker.readQueues) >= queues) ?? [];
      if (route !== null && ready.length >= brokers) return description(topic, route);
      if (this.#clock.monotonic() > until) {
        throw new RetriableError(`topic ${topic} was created but the name server does not know it yet`, { code: 'TOPIC_NOT_VISIBLE' });
      }
      await sleep(this.#clock, LOOK_MS, this.#signal);
    }
  }
}

function description(topic: string, { brokers }: TopicRoute): TopicDescription {
  const queuesOf = (count: (broker: BrokerRoute) => number) =>
    brokers.flatMap((broker) => Array.from({ length: count(broker) }, (_, queue) => ({ topic, broker: broker.name, queue })));
  const queues = queuesOf(({ readQueues }) => readQueues);
  if (brokers.every(({ readQueues, writeQueues }) => readQueues === writeQueues)) return { topic, queues };
  return { topic, queues, writable: queuesOf(({ writeQueues }) => writeQueues) };
}

type Attributes = NonNullable<TopicSettings['attributes']>;

/** A broker says what is wrong with them under a code that may mean anything. */
function attributesRefused(topic: string, attributes: Attributes, error: unknown): unknown {
  if (!(error instanceof ConnectError) || (error.code !== 'BROKER_ERROR' && error.code !== 'BROKER_REFUSED')) return error;
  const given = Object.entries(attributes).map(([name, value]) => `${name}=${value}`);
  return new ConfigError(`topic ${topic} cannot have the attributes ${given.join(', ')}: ${error.message}`, {
    code: 'TOPIC_ATTRIBUTES_REFUSED',
    field: 'attributes',
    remedy: 'Correct the attributes, or change the topic by mqadmin updateTopic.',
    cause: error,
  });
}

/** RocketMQ is narrower than the port. */
function checkRocketName(topic: string): void {
  checkTopicName(topic);
  if (!topic.includes('.')) return;
  throw new ConfigError(`RocketMQ takes no topic name with a dot: "${topic}"`, {
    code: 'TOPIC_NAME_INVALID',
    field: 'topic',
    remedy: 'Use the characters A-Z a-z 0-9 _ % | - only, or rename by the RegexRouter transform.',
  });
}

const SYSTEM_PREFIX = /^(%RETRY%|%DLQ%|rmq_sys_|RMQ_SYS_)/;
const SYSTEM_TOPICS = [
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'CHECKPOINT_TOPIC',
  'DefaultHeartBeatSyncerTopic',
];
