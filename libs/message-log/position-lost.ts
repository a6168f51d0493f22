import { FatalError } from '@rocketmq-connect/sdk';
import type { QueueAddress } from './index.ts';

export type PositionLostReason = 'POSITION_BELOW_MINIMUM' | 'POSITION_ABOVE_MAXIMUM' | 'LOG_DAMAGED';

/**
 * What a reader was to read next is not there: removed by retention, never written (the topic was created anew), or damaged. The reader
 * stays where it is and fails again until it is told to `seek`; whoever goes on at `resumeAt` gives up the messages between.
 */
export class PositionLostError extends FatalError {
  readonly queue: QueueAddress;
  readonly position: number;
  /** Where reading can go on. */
  readonly resumeAt: number;

  constructor(reason: PositionLostReason, queue: QueueAddress, position: number, resumeAt: number, detail: string) {
    super(`position ${position} of queue ${queue.queue} of topic ${queue.topic} cannot be read: ${detail}`, {
      code: reason,
      field: 'position',
      remedy:
        resumeAt > position
          ? `Alter the offset of this queue to ${resumeAt} to go on, without ${resumeAt - position} messages.`
          : `Alter the offset of this queue: to 0 to read what is there from the beginning, to ${resumeAt} to go on at its end.`,
    });
    this.name = 'PositionLostError';
    this.queue = queue;
    this.position = position;
    this.resumeAt = resumeAt;
  }
}
