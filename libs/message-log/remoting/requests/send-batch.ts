import type { MessageBatch } from '../../index.ts';
import type { Request } from '../connection.ts';
import { type Frame, numberField } from '../frame.ts';

/**
 * SEND_BATCH_MESSAGE (broker), fields by the short names of SendMessageRequestHeaderV2: a producer group, b topic, c default topic, d its
 * queues, e queue id, f system flag, g born time, h flag, i properties, j reconsume times, k unit mode, l most reconsumes, m batch, n broker
 * name. Body: messages in the batch layout. Response fields: `msgId` (comma-separated), `queueId`, `queueOffset` of the first message.
 */
export const SEND_BATCH = 320;

/** No default topic: a broker with autoCreateTopicEnable would make a deleted topic again by it. */
export function sendBatchRequest(group: string, topic: string, broker: string, queue: number, batch: MessageBatch, nowMs: number): Request {
  return {
    code: SEND_BATCH,
    fields: { a: group, b: topic, c: '', d: 0, e: queue, f: 0, g: nowMs, h: 0, i: '', j: 0, k: false, l: 0, m: true, n: broker },
    body: batch.bytes,
  };
}

export function parseSendResponse(frame: Frame): { readonly offset: number } {
  return { offset: numberField(frame, 'queueOffset') };
}
