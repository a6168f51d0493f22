import { ConfigError } from '@rocketmq-connect/sdk';
import { checkTopicName } from './checks.ts';
import type { FetchedMessages, MessageLog, QueueAddress, QueueReader, Subscription, TopicDescription } from './index.ts';

/**
 * A log in which topics and consumer groups are those of a namespace: `orders` is `namespace%orders` to the brokers
 * (org.apache.rocketmq.remoting.protocol.NamespaceUtil). The log itself where there is none.
 */
export function inNamespace(log: MessageLog, namespace: string | undefined): MessageLog {
  if (namespace === undefined || namespace === '') return log;
  if (!/^[A-Za-z0-9_-]{1,60}$/.test(namespace)) {
    throw new ConfigError(`"${namespace.slice(0, 80)}" is no namespace`, {
      field: 'rocketmq.namespace',
      remedy: 'Use 1 to 60 of the characters A-Z a-z 0-9 _ -',
    });
  }
  const names = namesOf(namespace);
  const there = (queue: QueueAddress): QueueAddress => ({ ...queue, topic: names.there(queue.topic) });
  return {
    capabilities: log.capabilities,
    describeTopic: async (topic) => described(topic, await log.describeTopic(names.there(topic))),
    createTopic: async (topic, settings) => {
      checkTopicName(topic);
      return described(topic, await log.createTopic(names.there(topic), settings));
    },
    listTopics: async () => (await log.listTopics()).flatMap((topic) => names.here(topic) ?? []),
    deleteTopic: (topic) => log.deleteTopic(names.there(topic)),
    send: (queue, batch) => log.send(there(queue), batch),
    flush: () => log.flush(),
    assign: async (group, assignments) => {
      const reader = await log.assign(
        names.there(group),
        assignments.map(({ queue, position }) => ({ queue: there(queue), position })),
      );
      return named(reader, names.here, there);
    },
    subscribe: async (group, topics) => received(await log.subscribe(names.there(group), topics.map(names.there)), names.here),
    minOffset: (queue) => log.minOffset(there(queue)),
    maxOffset: (queue) => log.maxOffset(there(queue)),
    offsetAt: (queue, timestampMs) => log.offsetAt(there(queue), timestampMs),
    mirrorPosition: (group, queue, position) => log.mirrorPosition(names.there(group), there(queue), position),
    ...(log.connections === undefined ? {} : { connections: () => log.connections?.() ?? 0 }),
    close: () => log.close(),
  };
}

interface Names {
  readonly there: (name: string) => string;
  /** Undefined for what is of no or another namespace. */
  readonly here: (name: string) => string | undefined;
}

function namesOf(namespace: string): Names {
  const prefix = `${namespace}%`;
  return {
    there: (name) => {
      const [kind, own] = split(name);
      return kind + prefix + own;
    },
    here: (name) => {
      const [kind, own] = split(name);
      return own.startsWith(prefix) ? kind + own.slice(prefix.length) : undefined;
    },
  };
}

/** What a broker puts before the name of a group to name its topics of retries and dead letters stays in front. */
function split(name: string): readonly [kind: string, own: string] {
  const kind = ['%RETRY%', '%DLQ%'].find((each) => name.startsWith(each)) ?? '';
  return [kind, name.slice(kind.length)];
}

function described(topic: string, { queues, writable }: TopicDescription): TopicDescription {
  const here = (all: readonly QueueAddress[]): QueueAddress[] => all.map((queue) => ({ ...queue, topic }));
  return { topic, queues: here(queues), ...(writable === undefined ? {} : { writable: here(writable) }) };
}

function named(reader: QueueReader, here: Names['here'], there: (queue: QueueAddress) => QueueAddress): QueueReader {
  return {
    read: async (maxBytes, waitMs, signal) => fetched(await reader.read(maxBytes, waitMs, signal), here),
    seek: (queue, position) => reader.seek(there(queue), position),
    lags: () => reader.lags().map(({ queue, lag }) => ({ queue: { ...queue, topic: here(queue.topic) ?? queue.topic }, lag })),
    close: () => reader.close(),
  };
}

function received(subscription: Subscription, here: Names['here']): Subscription {
  return {
    read: async (maxBytes, waitMs, signal) => fetched(await subscription.read(maxBytes, waitMs, signal), here),
    acknowledge: (count) => subscription.acknowledge(count),
    close: () => subscription.close(),
  };
}

function fetched(all: readonly FetchedMessages[], here: Names['here']): readonly FetchedMessages[] {
  return all.map((each) => ({ ...each, queue: { ...each.queue, topic: here(each.queue.topic) ?? each.queue.topic } }));
}
