import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { ConnectError } from '@rocketmq-connect/sdk';
import { wholeMatch } from '../config/pattern.ts';
import type { PipelineSettings } from '../config/settings.ts';
import { queueKey } from '../queues.ts';

/**
 * The queues a sink reads, sorted: those of its topics, and those with a committed position whose broker is away now, so that a flapping
 * broker makes no new task set. A topic that does not exist has none: sinks create no topics.
 */
export async function sinkQueues(
  log: MessageLog,
  settings: Pick<PipelineSettings, 'topics' | 'topicsRegex'>,
  positions: readonly QueueAddress[],
): Promise<QueueAddress[]> {
  const queues = new Map<string, QueueAddress>();
  for (const topic of new Set(await sinkTopics(log, settings))) {
    const described = await describe(log, topic);
    if (described.length === 0) continue;
    const brokers = new Set(described.map(({ broker }) => broker));
    const away = positions.filter((queue) => queue.topic === topic && !brokers.has(queue.broker));
    for (const { topic: name, broker, queue } of [...described, ...away]) {
      const address = { topic: name, broker, queue };
      queues.set(queueKey(address), address);
    }
  }
  return [...queues.values()].sort(byAddress);
}

/** Deals queues to tasks in turn: each has its share of every topic. */
export function dealQueues(queues: readonly QueueAddress[], maxTasks: number): QueueAddress[][] {
  const tasks = Math.min(maxTasks, Math.max(1, queues.length));
  return Array.from({ length: tasks }, (_, task) => queues.filter((_, index) => index % tasks === task));
}

async function sinkTopics(
  log: MessageLog,
  { topics, topicsRegex }: Pick<PipelineSettings, 'topics' | 'topicsRegex'>,
): Promise<readonly string[]> {
  if (topicsRegex === '') return topics;
  return (await log.listTopics()).filter(wholeMatch(topicsRegex));
}

async function describe(log: MessageLog, topic: string): Promise<readonly QueueAddress[]> {
  try {
    return (await log.describeTopic(topic)).queues;
  } catch (error) {
    if (error instanceof ConnectError && error.code === 'TOPIC_NOT_FOUND') return [];
    throw error;
  }
}

function byAddress(a: QueueAddress, b: QueueAddress): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  if (a.broker !== b.broker) return a.broker < b.broker ? -1 : 1;
  return a.queue - b.queue;
}
