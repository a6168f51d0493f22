import type { FetchedMessages, MessageLog, QueueAddress, QueueLag } from '@rocketmq-connect/message-log';
import type { TaskLogger } from '@rocketmq-connect/sdk';
import type { PipelineSettings } from '../config/settings.ts';
import type { TaskCounters } from '../host-protocol.ts';
import { PositionInput } from './position-input.ts';
import type { QueuePosition } from './sink-positions.ts';
import { SubscriptionInput } from './subscription-input.ts';

/** Where a sink's messages come from, and how far it has come: read, collected for a put, put, frozen, stored. */
export interface SinkInput {
  /** Nothing can ever come: a sink whose topics do not exist yet has a task without queues. */
  readonly empty: boolean;
  /** The log keeps how far the sink has come, and is told once what was flushed is stored; else that is stored with it. */
  readonly acknowledges: boolean;
  /** Opens what is to be read first. Empty when `waitMs` passed without a message. */
  read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]>;
  /** Messages that wait in the log, per queue; null: unknown. */
  lags(): readonly QueueLag[] | null;
  /** The first `count` of these, read last, are collected for the next put, or settled. */
  reach(messages: FetchedMessages, count: number): void;
  /** What was collected is put. */
  put(): void;
  /** What was put and flushed, as a commit stores it. */
  freeze(): readonly QueuePosition[];
  /** What was frozen is stored: the log may know. Does not reject. */
  committed(): Promise<void>;
  /** Nothing is read until the next `read`. */
  pause(): void;
  close(): Promise<void>;
}

export interface SinkInputOptions {
  readonly log: MessageLog;
  readonly group: string;
  readonly settings: PipelineSettings;
  readonly queues: readonly QueueAddress[];
  readonly positions: readonly QueuePosition[];
  readonly startTimeMs: number;
  readonly counters: TaskCounters;
  readonly logger: TaskLogger;
  /** Much is put that the log does not know of: commit before it is time. */
  readonly onCommitWanted: () => void;
}

/** Queues at positions of our own where the log has positions, else what the log deals out. */
export function sinkInput(options: SinkInputOptions): SinkInput {
  return options.log.capabilities.assign ? new PositionInput(options) : new SubscriptionInput(options);
}
