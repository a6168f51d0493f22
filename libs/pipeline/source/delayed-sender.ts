import type { QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, type PropertyWriter } from '@rocketmq-connect/message-log/message';
import { isOfTheMessage } from '../errors.ts';
import type { SourceTrace } from '../tracing/source-trace.ts';
import { type OutgoingBatch, type SenderOptions, sendUntilStored, settle, traceSent } from './delivery.ts';
import type { Runs } from './marks.ts';

const IN_FLIGHT_MAX = 64;

/**
 * Sends messages that the log is to deliver later, which go one by one. Several are out at a time: their order is that of their times, and
 * none of them has a position for a mark to name, so they are in the log at least once.
 */
export class DelayedSender {
  readonly #options: SenderOptions;
  readonly #builder = new BatchBuilder(1024);
  #waiting: { readonly queue: QueueAddress; readonly batch: OutgoingBatch }[] = [];
  readonly #deliveries = new Set<Promise<void>>();
  #refused = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#deliveries.size === 0 && this.#waiting.length === 0;
  }

  /** `runs` says which record it is. Returns the bytes of the message. */
  add(queue: QueueAddress, body: Buffer, properties: PropertyWriter, delayMs: number, runs: Runs, trace: SourceTrace | null): number {
    trace?.joined();
    this.#builder.addWritten(body, properties);
    const batch = { messages: { ...this.#builder.take(), delayMs }, runs, traces: trace === null ? [] : [trace] };
    this.#waiting.push({ queue, batch });
    this.#send();
    return batch.messages.bytes.length;
  }

  /** After the signal: resolves when nothing is on its way to the log any more. */
  async close(): Promise<void> {
    this.#waiting = [];
    await Promise.all(this.#deliveries);
  }

  #send(): void {
    while (this.#deliveries.size < IN_FLIGHT_MAX && !this.#refused && !this.#options.signal.aborted) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const delivery = this.#deliver(next.queue, next.batch).then(() => {
        this.#deliveries.delete(delivery);
        this.#send();
        this.#options.onDelivered();
      });
      this.#deliveries.add(delivery);
    }
  }

  async #deliver(queue: QueueAddress, batch: OutgoingBatch): Promise<void> {
    const { onRefused, clock } = this.#options;
    const sinceMs = clock.monotonic();
    try {
      await this.#store(queue, batch);
      traceSent(batch, queue, sinceMs, null);
    } catch (error) {
      traceSent(batch, queue, sinceMs, error);
      this.#refused = true;
      onRefused(error);
    }
  }

  async #store(queue: QueueAddress, batch: OutgoingBatch): Promise<void> {
    try {
      await sendUntilStored(this.#options, queue, batch.messages, null);
    } catch (error) {
      if (!isOfTheMessage(error)) throw error;
      return settle(this.#options, queue, batch, error);
    }
    this.#options.onAcknowledged(batch);
  }
}
