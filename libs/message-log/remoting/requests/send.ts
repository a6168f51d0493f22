import { DataError } from '@rocketmq-connect/sdk';
import type { MessageBatch } from '../../index.ts';
import { decodeMessages, encodeProperty } from '../../message.ts';
import type { Request } from '../connection.ts';

/**
 * SEND_MESSAGE_V2 (broker): the fields of SEND_BATCH_MESSAGE (`send-batch.ts`) with `m` false and the message's properties in `i`; body: the
 * body itself. Only such a message can be delivered later: by the property TIMER_DELAY_MS since 5.0, before that by DELAY, one of 18 levels.
 */
export const SEND = 310;

/** MQVersion.V5_0_0_SNAPSHOT, as brokers say it in every answer. */
const VERSION_5 = 412;

/** A batch of one message, to be delivered after `delayMs`. Throws `DataError` for a delay that the broker does not have. */
export function sendDelayedRequest(
  group: string,
  topic: string,
  broker: string,
  queue: number,
  batch: MessageBatch & { readonly delayMs: number },
  brokerVersion: number,
  nowMs: number,
): Request {
  const delay =
    brokerVersion >= VERSION_5
      ? encodeProperty('TIMER_DELAY_MS', String(batch.delayMs))
      : encodeProperty('DELAY', String(delayLevel(batch.delayMs)));
  const message = { body: batch.bytes, properties: '' };
  decodeMessages(batch.bytes, (body, properties) => Object.assign(message, { body, properties }));
  const i = message.properties + delay;
  return {
    code: SEND,
    fields: { a: group, b: topic, c: '', d: 0, e: queue, f: 0, g: nowMs, h: 0, i, j: 0, k: false, l: 0, m: false, n: broker },
    body: message.body,
  };
}

/** `messageDelayLevel` of a broker that is not configured otherwise, in seconds. */
const LEVELS = [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];

/** The first level that is not shorter. */
function delayLevel(delayMs: number): number {
  const level = LEVELS.findIndex((seconds) => seconds * 1_000 >= delayMs) + 1;
  if (level > 0) return level;
  throw new DataError(`a message cannot be delayed by ${delayMs} ms: RocketMQ 4 has 18 delays up to 2 hours`, {
    code: 'DELAY_TOO_LONG',
    field: 'rocketmq.delay.ms',
    remedy: 'Delay by 7200000 ms or less, or use RocketMQ 5.',
  });
}
