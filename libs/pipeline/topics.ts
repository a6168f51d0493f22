import type { MessageLog, TopicDescription } from '@rocketmq-connect/message-log';
import { ConnectError, FatalError } from '@rocketmq-connect/sdk';

export interface TopicCreation {
  readonly enable: boolean;
  readonly queues: number;
}

/** The queues of a topic to send to; creates it when it is absent and may be created. */
export async function openTopic(log: MessageLog, topic: string, creation: TopicCreation): Promise<TopicDescription> {
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
    return await log.createTopic(topic, { queues: creation.queues });
  }
}
