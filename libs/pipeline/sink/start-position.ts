import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { PositionLostError } from '@rocketmq-connect/message-log/position-lost';
import type { PipelineSettings } from '../config/settings.ts';

export interface StartPosition {
  readonly position: number;
  /** Messages between the committed position and this one that the log no longer holds. */
  readonly skipped: number;
  /** The committed position is of a topic that is no more. */
  readonly anew?: true;
}

/**
 * Where a sink begins to read a queue: at its committed position, else where `consumer.auto.offset.reset` says. `latest` is what came after the
 * connector's start, so a queue that appears later is read whole. Throws `PositionLostError` for a position that the log does not hold.
 */
export async function startPosition(
  log: MessageLog,
  queue: QueueAddress,
  committed: number | undefined,
  settings: Pick<PipelineSettings, 'autoOffsetReset' | 'positionOutOfRange'>,
  startTimeMs: number,
): Promise<StartPosition> {
  if (committed === undefined) {
    const { autoOffsetReset: from } = settings;
    if (from === 'earliest') return { position: await log.minOffset(queue), skipped: 0 };
    return { position: await log.offsetAt(queue, from === 'latest' ? startTimeMs : from), skipped: 0 };
  }
  const [min, max] = [await log.minOffset(queue), await log.maxOffset(queue)];
  if (committed > max) {
    if (settings.positionOutOfRange === 'skip') return { position: min, skipped: 0, anew: true };
    const detail = `the queue ends at ${max}: was the topic created anew?`;
    throw new PositionLostError('POSITION_ABOVE_MAXIMUM', queue, committed, max, detail);
  }
  if (committed >= min) return { position: committed, skipped: 0 };
  if (settings.positionOutOfRange === 'skip') return { position: min, skipped: min - committed };
  const detail = `the queue begins at ${min}: retention removed ${min - committed} messages that this sink has not read`;
  throw new PositionLostError('POSITION_BELOW_MINIMUM', queue, committed, min, detail);
}
