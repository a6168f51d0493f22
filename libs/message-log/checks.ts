import { ConfigError, DataError, FatalError } from '@rocketmq-connect/sdk';
import type { MessageBatch, QueueAddress } from './index.ts';
import { visitMessages } from './message.ts';

/** The most a batch may hold, in bytes: the default `maxMessageSize` of a RocketMQ broker, which counts a batch as one body. */
export const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** The most queues of one topic that `createTopic` takes. */
export const MAX_QUEUES_PER_TOPIC = 1024;

const TOPIC_NAME = /^[A-Za-z0-9_%|.-]{1,127}$/;

export function isTopicName(topic: string): boolean {
  return TOPIC_NAME.test(topic);
}

/** Throws `ConfigError` for a name that RocketMQ would refuse. */
export function checkTopicName(topic: string): void {
  if (isTopicName(topic)) return;
  throw new ConfigError(`"${topic.slice(0, 140)}" is no topic name`, {
    code: 'TOPIC_NAME_INVALID',
    field: 'topic',
    remedy: 'Use 1 to 127 of the characters A-Z a-z 0-9 _ % | . -',
  });
}

/** Throws `ConfigError` for a queue count that no topic can have. */
export function checkQueueCount(queues: number): void {
  if (Number.isInteger(queues) && queues >= 1 && queues <= MAX_QUEUES_PER_TOPIC) return;
  throw new ConfigError(`a topic cannot have ${queues} queues`, {
    code: 'QUEUE_COUNT_INVALID',
    field: 'queues',
    remedy: `Use a whole number from 1 to ${MAX_QUEUES_PER_TOPIC}.`,
  });
}

/** Throws `DataError` for a batch that is empty, too large, or whose bytes are not `count` messages: readers rely on it for positions. */
export function checkBatch(batch: MessageBatch, messageBytesMax = MAX_BATCH_BYTES): void {
  const { bytes, count, delayMs } = batch;
  const most = count === 1 ? messageBytesMax : MAX_BATCH_BYTES;
  if (delayMs !== undefined && (count !== 1 || !Number.isSafeInteger(delayMs) || delayMs < 1)) {
    throw new DataError(`${count} messages cannot be delayed by ${delayMs} ms: one can, by a whole number`, { code: 'DELAY_INVALID' });
  }
  if (count < 1 || bytes.length === 0) throw new DataError('the batch has no messages', { code: 'BATCH_EMPTY' });
  if (bytes.length > most) {
    throw new DataError(`the batch has ${bytes.length} bytes; at most ${most} fit`, {
      code: 'BATCH_TOO_LARGE',
      remedy: 'Send smaller batches, or smaller records.',
    });
  }
  let messages = 0;
  try {
    visitMessages(bytes, () => {
      messages++;
    });
  } catch (error) {
    throw layoutInvalid(batch, error);
  }
  if (messages !== count) throw layoutInvalid(batch);
}

function layoutInvalid({ bytes, count }: MessageBatch, cause?: unknown): DataError {
  return new DataError(`the batch says ${count} messages but its ${bytes.length} bytes are not that`, {
    code: 'BATCH_LAYOUT_INVALID',
    cause,
  });
}

/** Throws `DataError` for what cannot be a position. */
export function checkPosition(queue: QueueAddress, position: number): void {
  if (Number.isSafeInteger(position) && position >= 0) return;
  throw new DataError(`${position} is no position in queue ${queue.queue} of topic ${queue.topic}`, {
    code: 'POSITION_INVALID',
    field: 'position',
    remedy: 'Use a whole number of 0 or more.',
  });
}

/** Of logs that deliver at once. */
export function delayNotSupported(log: string): ConfigError {
  return new ConfigError(`${log} delivers no message later`, {
    code: 'DELAY_NOT_SUPPORTED',
    field: 'rocketmq.delay.ms',
    remedy: 'Connect to a RocketMQ cluster, or take the delay out of the configuration and the headers of records.',
  });
}

export function topicNotFound(topic: string): DataError {
  return new DataError(`there is no topic ${topic}`, {
    code: 'TOPIC_NOT_FOUND',
    field: 'topic',
    remedy: 'Create the topic, or correct its name.',
  });
}

export function queueNotFound(queue: QueueAddress, reason: string): DataError {
  return new DataError(`there is no queue ${queue.queue} of topic ${queue.topic} on broker ${queue.broker}: ${reason}`, {
    code: 'QUEUE_NOT_FOUND',
    field: 'queue',
    remedy: 'Look the queues up anew with describeTopic.',
  });
}

/** For what an adapter's capabilities rule out. */
export function notWithThisLog(what: string, log: string, remedy: string): FatalError {
  return new FatalError(`${what} is not possible with ${log}`, { code: 'LOG_CAPABILITY_MISSING', remedy });
}
