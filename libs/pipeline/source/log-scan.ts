import type { FetchedMessages, MessageLog, QueueAddress, QueueReader } from '@rocketmq-connect/message-log';
import { decodeFetched, PropertyName, property } from '@rocketmq-connect/message-log/message';
import { PositionLostError } from '@rocketmq-connect/message-log/position-lost';
import { ConnectError } from '@rocketmq-connect/sdk';
import { queueKey } from '../queues.ts';

const READ_BYTES = 4 * 1024 * 1024;
const WAIT_MS = 1000;

/**
 * Reads queues from a position to the maximum they have now, and calls `visit` with each message that has a record id. A position that
 * retention has passed counts as the minimum. Throws what the log throws.
 */
export async function scanIds(
  log: MessageLog,
  from: readonly { readonly queue: QueueAddress; readonly position: number }[],
  visit: (id: string, queue: QueueAddress, offset: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const ends = new Map<string, End>();
  const assignments: { queue: QueueAddress; position: number }[] = [];
  for (const { queue, position } of from) {
    const range = await rangeOf(log, queue);
    if (range === undefined) continue;
    const { end } = range;
    const start = Math.max(position, range.min);
    if (start >= end) continue;
    ends.set(queueKey(queue), { queue, end });
    assignments.push({ queue, position: start });
  }
  if (assignments.length === 0) return;
  const reader = await log.assign(SCAN_GROUP, assignments);
  try {
    while (ends.size > 0) {
      const all = await read(reader, ends, signal);
      if (all.length === 0) await dropLost(log, ends);
      for (const fetched of all) {
        const { queue, offset, count } = fetched;
        const end = ends.get(queueKey(queue))?.end;
        if (end === undefined) continue;
        decodeFetched(fetched, (_body, properties, index) => {
          const id = offset + index < end ? property(properties, PropertyName.id) : undefined;
          if (id !== undefined) visit(id, queue, offset + index);
        });
        if (offset + count >= end) ends.delete(queueKey(queue));
      }
    }
  } finally {
    await reader.close();
  }
}

/** Undefined for a queue that does not exist any more; one whose broker is away is waited for by the caller. */
async function rangeOf(log: MessageLog, queue: QueueAddress): Promise<{ min: number; end: number } | undefined> {
  try {
    const end = await log.maxOffset(queue);
    return { min: await log.minOffset(queue), end };
  } catch (error) {
    if (error instanceof ConnectError && (error.code === 'QUEUE_NOT_FOUND' || error.code === 'TOPIC_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Retention may remove what is being read: it cannot be doubled then. */
async function read(reader: QueueReader, ends: Map<string, End>, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
  try {
    return await reader.read(READ_BYTES, WAIT_MS, signal);
  } catch (error) {
    if (!(error instanceof PositionLostError)) throw error;
    reader.seek(error.queue, error.resumeAt);
    if (error.resumeAt >= (ends.get(queueKey(error.queue))?.end ?? 0)) ends.delete(queueKey(error.queue));
    return [];
  }
}

/** A topic that was made anew meanwhile ends before: what was to be read will never come. */
async function dropLost(log: MessageLog, ends: Map<string, End>): Promise<void> {
  for (const [key, { queue, end }] of ends) {
    const range = await rangeOf(log, queue);
    if (range === undefined || range.end < end) ends.delete(key);
  }
}

interface End {
  readonly queue: QueueAddress;
  readonly end: number;
}

const SCAN_GROUP = 'rocketmq-connect-scan';
