import type { Request } from '../connection.ts';
import { type Frame, numberField } from '../frame.ts';

/**
 * Offsets of a queue (broker): SEARCH_OFFSET_BY_TIMESTAMP 29 (topic, queueId, timestamp), GET_MAX_OFFSET 30, GET_MIN_OFFSET 31 (topic,
 * queueId); response field `offset`. UPDATE_CONSUMER_OFFSET 15 (consumerGroup, topic, queueId, commitOffset).
 */
export const OffsetRequest = { updateConsumer: 15, byTime: 29, max: 30, min: 31 } as const;

export function maxOffsetRequest(topic: string, broker: string, queueId: number): Request {
  return { code: OffsetRequest.max, fields: { topic, queueId, committed: true, bname: broker } };
}

export function minOffsetRequest(topic: string, broker: string, queueId: number): Request {
  return { code: OffsetRequest.min, fields: { topic, queueId, bname: broker } };
}

export function offsetAtRequest(topic: string, broker: string, queueId: number, timestamp: number): Request {
  return { code: OffsetRequest.byTime, fields: { topic, queueId, timestamp, bname: broker } };
}

export function updateConsumerOffsetRequest(
  consumerGroup: string,
  topic: string,
  broker: string,
  queueId: number,
  commitOffset: number,
): Request {
  return { code: OffsetRequest.updateConsumer, fields: { consumerGroup, topic, queueId, commitOffset, bname: broker } };
}

export function parseOffset(frame: Frame): number {
  // A queue that was never written to has the minimum -1.
  return Math.max(0, numberField(frame, 'offset'));
}
