import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import { type Clock, ConnectError, FatalError, type Random, sleep } from '@rocketmq-connect/sdk';
import { backoffMs } from './backoff.ts';
import type { TopicCreation } from './config/topic-creation.ts';
import { openTopic } from './topics.ts';

export interface DeadLettersOptions {
  readonly log: MessageLog;
  readonly topic: string;
  readonly creation: TopicCreation;
  readonly retryDelayMaxMs: number;
  readonly clock: Clock;
  readonly random: Random;
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

  /** Resolves when the log has it; repeats while the log cannot be reached. Throws `FatalError` when it refuses. */
  send(body: Buffer, properties: string): Promise<void> {
    const sent = this.#tail.then(() => this.#send(body, properties));
    this.#tail = sent.catch(() => undefined);
    return sent;
  }

  async #send(body: Buffer, properties: string): Promise<void> {
    const { log, topic, creation, clock, random, retryDelayMaxMs, signal } = this.#options;
    const builder = new BatchBuilder(1024);
    builder.add(body, properties);
    const batch = builder.take();
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        this.#queues ??= (await openTopic(log, topic, creation)).queues;
        const queue = this.#queues[this.#next++ % this.#queues.length];
        if (queue === undefined) throw new FatalError(`dead-letter topic ${topic} has no queues`, { code: 'TOPIC_WITHOUT_QUEUES' });
        await log.send(queue, batch);
        return;
      } catch (error) {
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
