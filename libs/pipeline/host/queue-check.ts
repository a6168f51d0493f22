import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { ConfigError, ConnectError } from '@rocketmq-connect/sdk';

/** A position as a user gives it: JSON texts, `{rocketmq_topic, rocketmq_broker, rocketmq_queue}` and an offset, or null to remove it. */
interface GivenOffset {
  readonly partition: string;
  readonly offset: string | null;
}

/** Throws `ConfigError` for a position of a queue that the log does not have: no task would ever read from it. */
export async function checkQueues(log: MessageLog, offsets: readonly GivenOffset[]): Promise<void> {
  const known = new Map<string, Promise<readonly QueueAddress[]>>();
  for (const [index, { partition, offset }] of offsets.entries()) {
    if (offset === null) continue;
    const { rocketmq_topic: topic, rocketmq_broker: broker, rocketmq_queue: queue } = JSON.parse(partition) as Partition;
    if (!known.has(topic)) known.set(topic, queuesOf(log, topic, `offsets[${index}].partition.rocketmq_topic`));
    const queues = (await known.get(topic)) ?? [];
    if (queues.some((each) => each.broker === broker && each.queue === queue)) continue;
    throw new ConfigError(`there is no queue ${queue} of topic ${topic} on broker ${broker}`, {
      code: 'OFFSETS_INVALID',
      field: `offsets[${index}].partition`,
      remedy: `Name one of its queues: ${listed(queues)}.${queues.some((each) => each.broker === broker) ? '' : ` If ${broker} is a broker that is away, wait for it.`}`,
    });
  }
}

interface Partition {
  readonly rocketmq_topic: string;
  readonly rocketmq_broker: string;
  readonly rocketmq_queue: number;
}

async function queuesOf(log: MessageLog, topic: string, field: string): Promise<readonly QueueAddress[]> {
  try {
    return (await log.describeTopic(topic)).queues;
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== 'TOPIC_NOT_FOUND') throw error;
    throw new ConfigError(error.message, {
      code: 'OFFSETS_INVALID',
      field,
      remedy: 'Create the topic, or correct its name.',
      cause: error,
    });
  }
}

/** Queues of a broker are numbered from 0. */
function listed(queues: readonly QueueAddress[]): string {
  const last = new Map<string, number>();
  for (const { broker, queue } of queues) last.set(broker, Math.max(queue, last.get(broker) ?? 0));
  return [...last].map(([broker, queue]) => `${queue === 0 ? '0' : `0 to ${queue}`} on ${broker}`).join(', ');
}
