import type { MessageLog, QueueAddress, TopicDescription } from '@rocketmq-connect/message-log';
import { ConfigError, ConnectError, FatalError, RetriableError } from '@rocketmq-connect/sdk';
import { type TopicCreation, topicGroupOf } from './config/topic-creation.ts';

/** The queues of a topic to send to, at least one; creates the topic when it is absent and may be created. */
export async function openTopic(log: MessageLog, topic: string, creation: TopicCreation): Promise<readonly QueueAddress[]> {
  const { queues, writable = queues } = await describeOrCreate(log, topic, creation);
  if (writable.length > 0) return writable;
  throw new RetriableError(`no broker takes messages of topic ${topic} now`, {
    code: 'TOPIC_READ_ONLY',
    field: 'topic',
    remedy: 'Give the topic the permission to be written to (mqadmin updateTopicPerm, addWritePerm); it is tried again.',
  });
}

async function describeOrCreate(log: MessageLog, topic: string, creation: TopicCreation): Promise<TopicDescription> {
  try {
    return await log.describeTopic(topic);
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== 'TOPIC_NOT_FOUND') throw error;
    if (!creation.enable || !log.capabilities.createTopic) {
      throw new FatalError(`topic ${topic} does not exist`, {
        code: 'TOPIC_NOT_FOUND',
        field: creation.enable ? 'topic' : 'topic.creation.enable',
        remedy: creation.enable ? 'Create it: this log cannot create topics.' : 'Create it, or set topic.creation.enable to true.',
        cause: error,
      });
    }
    const { name, settings } = topicGroupOf(creation, topic);
    return await log.createTopic(topic, settings).catch((refused: unknown) => {
      throw named(refused, name);
    });
  }
}

/** What the log does not take of a topic's settings, by the key that says so. */
function named(error: unknown, group: string): unknown {
  if (!(error instanceof ConfigError) || error.field === undefined || !['queues', 'attributes'].includes(error.field)) return error;
  const { message, code, remedy } = error;
  const field = `topic.creation.${group}.${error.field}`;
  return new ConfigError(message, { code, field, ...(remedy === undefined ? {} : { remedy }), cause: error });
}
