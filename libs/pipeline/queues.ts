import type { QueueAddress } from '@rocketmq-connect/message-log';

/** A queue as the key of a map. */
export function queueKey({ topic, broker, queue }: QueueAddress): string {
  return `${topic}\x00${broker}\x00${queue}`;
}
