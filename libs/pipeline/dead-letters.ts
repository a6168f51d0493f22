import type { MessageBatch, MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { MAX_BATCH_BYTES } from '@rocketmq-connect/message-log/checks';
import { BatchBuilder, NAME_END, VALUE_END } from '@rocketmq-connect/message-log/message';
import { type Clock, ConnectError, FatalError, type Random, sleep } from '@rocketmq-connect/sdk';
import { backoffMs } from './backoff.ts';
import type { TopicCreation } from './config/topic-creation.ts';
import { isTooLarge } from './errors.ts';
import type { Meters } from './meters.ts';
import { notSafe } from './not-safe.ts';
import { propertiesFit } from './record-properties.ts';
import { openTopic } from './topics.ts';

export interface DeadLettersOptions {
  readonly log: MessageLog;
  readonly topic: string;
  readonly creation: TopicCreation;
  readonly durability: 'stored' | 'strict';
  readonly retryDelayMaxMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly meters: Pick<Meters, 'deadLetterFailures'>;
  readonly signal: AbortSignal;
}

/** Writes records that cannot be processed to a topic, one after the other. */
export class DeadLetters {
  readonly #options: DeadLettersOptions;
  #queues: readonly QueueAddress[] | undefined;
  #next = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the log has it; repeats while the log cannot be reached. Of a body that is too large for the log the beginning is kept, with
   * its size in a header. Throws `FatalError` when the log refuses.
   */
  send(body: Buffer, properties: string): Promise<void> {
    const sent = this.#tail.then(() => this.#send(body, properties));
    this.#tail = sent.catch(() => undefined);
    return sent;
  }

  async #send(body: Buffer, properties: string): Promise<void> {
    const { log, topic, creation, durability, clock, random, meters, retryDelayMaxMs, signal } = this.#options;
    let most = MAX_DEAD_BYTES;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        this.#queues ??= await openTopic(log, topic, creation);
        const queue = this.#queues[this.#next++ % this.#queues.length] as QueueAddress;
        const { unsafe } = await log.send(queue, batchOf(body, properties, most));
        if (unsafe !== undefined && durability === 'strict') throw notSafe(queue, unsafe);
        return;
      } catch (error) {
        if (isTooLarge(error) && Math.min(most, body.length) > 0) {
          most = Math.min(most, body.length) >> 1;
          continue;
        }
        meters.deadLetterFailures++;
        if (!(error instanceof ConnectError) || error.kind !== 'retriable') throw this.#refused(error);
        await sleep(clock, backoffMs(attempt, retryDelayMaxMs, random), signal);
      }
    }
  }

  #refused(error: unknown): FatalError {
    return new FatalError(`dead-letter topic ${this.#options.topic} does not take the record: ${(error as Error).message}`, {
      code: 'DEAD_LETTER_REFUSED',
      field: 'errors.deadletterqueue.topic.name',
      cause: error,
    });
  }
}

// A record may be here because it is too large for the log.
const MAX_DEAD_BYTES = MAX_BATCH_BYTES - 64 * 1024;

function batchOf(body: Buffer, properties: string, most: number): MessageBatch {
  const builder = new BatchBuilder(1024);
  const size = `__connect.errors.body.bytes${NAME_END}${body.length}${VALUE_END}`;
  const isCut = body.length > most;
  builder.add(body.subarray(0, most), isCut && propertiesFit(properties + size) ? properties + size : properties);
  return builder.take();
}
