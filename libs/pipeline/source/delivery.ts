import type { MessageBatch, MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { decodeMessages } from '@rocketmq-connect/message-log/message';
import type { Clock, ConnectError } from '@rocketmq-connect/sdk';
import type { PipelineSettings } from '../config/settings.ts';
import type { ErrorPlace } from '../errors.ts';
import { isRetriable } from '../errors.ts';
import type { Meters } from '../meters.ts';
import { notSafe } from '../not-safe.ts';
import { copiedProperties } from '../record-properties.ts';
import { sessionOver } from '../session.ts';
import type { SourceTrace } from '../tracing/source-trace.ts';
import type { QueueMark, Runs } from './marks.ts';
import { findInTail } from './replay.ts';

export interface SenderOptions {
  readonly log: MessageLog;
  readonly clock: Clock;
  readonly batch: PipelineSettings['batch'];
  readonly errors: ErrorPlace;
  readonly meters: Meters;
  readonly signal: AbortSignal;
  /** Invariant 6: nothing is sent once the session may be over. */
  readonly sessionIsOver: () => boolean;
  readonly durability: PipelineSettings['sendDurability'];
  /** The log has the batch, or a part of one. */
  readonly onAcknowledged: (batch: OutgoingBatch) => void;
  /** The log has the batch, not as safely as it is set up to. */
  readonly onUnsafe: (queue: QueueAddress, what: string) => void;
  /** A batch of one message that the log does not take went another way. */
  readonly onSettled: (batch: OutgoingBatch, outcome: 'deadLettered' | 'skipped') => void;
  /** All of a batch went one way or the other. */
  readonly onDelivered: () => void;
  /** The log refuses the batch; nothing more is sent to this queue. */
  readonly onRefused: (error: unknown) => void;
}

export interface OutgoingBatch {
  readonly messages: MessageBatch;
  readonly runs: Runs;
  /** Of the traced batches whose records it has. */
  readonly traces: readonly SourceTrace[];
}

/** Repeats until the log has the batch; its offset. `mark` is that of the queue, where exactly once into the log is kept. */
export async function sendUntilStored(
  options: SenderOptions,
  queue: QueueAddress,
  messages: MessageBatch,
  mark: QueueMark | null,
): Promise<number> {
  const { log, clock, errors, signal, sessionIsOver, durability, onUnsafe } = options;
  const sinceMs = clock.monotonic();
  let unknown = false;
  for (let repetition = 1; ; repetition++) {
    if (sessionIsOver()) throw sessionOver();
    try {
      // A send of unknown outcome may be in the log: repeating it blindly would double its records.
      if (unknown && mark !== null) {
        const found = await findInTail(log, queue, mark.end, messages, signal);
        if (found !== undefined) return found;
        if (sessionIsOver()) throw sessionOver();
      }
      const { offset, unsafe } = await log.send(queue, messages);
      if (unsafe === undefined) return offset;
      onUnsafe(queue, unsafe);
      if (durability === 'stored') return offset;
      throw notSafe(queue, unsafe);
    } catch (error) {
      if (!isRetriable(error)) throw error;
      if ((error as ConnectError).code === 'SEND_OUTCOME_UNKNOWN') unknown = true;
      await errors.backoffForLog(repetition, sinceMs, error, signal);
    }
  }
}

/** The batch went out since `sinceMs`; `error` null: the log has it, or it went another way. */
export function traceSent({ traces, messages }: OutgoingBatch, queue: QueueAddress, sinceMs: number, error: unknown): void {
  for (const trace of traces) trace.sent(queue, sinceMs, { count: messages.count, bytes: messages.bytes.length }, error);
}

/** What becomes of the one message of a batch that the log does not take. Throws the error where the task must fail of it. */
export async function settle(
  { errors, onSettled }: SenderOptions,
  queue: QueueAddress,
  batch: OutgoingBatch,
  error: unknown,
): Promise<void> {
  const message = { body: batch.messages.bytes, properties: '' };
  decodeMessages(batch.messages.bytes, (body, properties) => {
    Object.assign(message, { body, properties: copiedProperties(properties) });
  });
  onSettled(batch, await errors.settle(error, { stage: 'PRODUCE', topic: queue.topic, ...message }));
}
