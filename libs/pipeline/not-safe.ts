import type { QueueAddress } from '@rocketmq-connect/message-log';
import { RetriableError } from '@rocketmq-connect/sdk';

/** A batch that is stored, and is to be stored again, for `send.durability` asks for more. */
export function notSafe({ topic, queue }: QueueAddress, what: string): RetriableError {
  return new RetriableError(`a batch for queue ${queue} of ${topic} is stored, but ${what}`, {
    code: 'SEND_NOT_SAFE',
    field: 'send.durability',
    remedy: "Look after the broker's disk and slaves, or set send.durability to stored.",
  });
}
