import type { MessageBatch, MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, type PropertyWriter } from '@rocketmq-connect/message-log/message';
import type { Clock, ConnectError } from '@rocketmq-connect/sdk';
import type { PipelineSettings } from '../config/settings.ts';
import type { ErrorPlace } from '../errors.ts';
import { isRetriable } from '../errors.ts';
import { sessionOver } from '../session.ts';
import { type QueueMark, Runs } from './marks.ts';
import { findInTail } from './replay.ts';

export interface SenderOptions {
  readonly log: MessageLog;
  readonly clock: Clock;
  readonly batch: PipelineSettings['batch'];
  readonly errors: ErrorPlace;
  readonly signal: AbortSignal;
  /** Invariant 6: nothing is sent once the session may be over. */
  readonly sessionIsOver: () => boolean;
  readonly onAcknowledged: (batch: OutgoingBatch) => void;
  /** The log refuses the batch; nothing more is sent to this queue. */
  readonly onRefused: (error: unknown, batch: OutgoingBatch, queue: QueueAddress) => void;
}

export interface OutgoingBatch {
  readonly messages: MessageBatch;
  readonly runs: Runs;
}

/**
 * Sends to one queue: one batch in flight, because two can be stored swapped; the next one grows meanwhile. A batch that fails holds the
 * queue until it is stored.
 */
export class QueueSender {
  readonly queue: QueueAddress;
  /** Where exactly once into the log is kept. */
  readonly mark: QueueMark | null;
  readonly #options: SenderOptions;
  readonly #builder = new BatchBuilder();
  #runs = new Runs();
  /** Full batches that wait for the one in flight. */
  #full: OutgoingBatch[] = [];
  #inFlight: OutgoingBatch | null = null;
  #delivery: Promise<void> = Promise.resolve();
  #refused = false;
  /** Sends nothing until its mark is committed. */
  #held: boolean;
  #lingerDue = false;
  #draining = false;
  #cancelLinger: (() => void) | null = null;

  constructor(queue: QueueAddress, mark: QueueMark | null, options: SenderOptions) {
    this.queue = queue;
    this.mark = mark;
    this.#options = options;
    this.#held = mark !== null;
  }

  /** Nothing is out or waits to go out; a batch may be growing. */
  get isIdle(): boolean {
    return this.#inFlight === null && this.#full.length === 0;
  }

  /** A whole batch waits for the one in flight. */
  get isFull(): boolean {
    return this.#full.length > 0;
  }

  get isEmpty(): boolean {
    return this.isIdle && this.#builder.count === 0;
  }

  /** Appends a message to the growing batch; returns its bytes. The caller then tells `runs`, and calls `send` when it has no more. */
  add(body: Buffer, properties: PropertyWriter): number {
    const { maxBytes, maxCount } = this.#options.batch;
    const builder = this.#builder;
    if (builder.count > 0) {
      const most = builder.bytes + body.length + properties.bytesMax + 22;
      if (most > maxBytes || builder.count >= maxCount) {
        this.#close();
        this.send();
      }
    }
    const before = builder.bytes;
    builder.addWritten(body, properties);
    return builder.bytes - before;
  }

  /** Of the growing batch. */
  get runs(): Runs {
    return this.#runs;
  }

  /** The mark is committed. */
  release(): void {
    this.#held = false;
    this.send();
  }

  /** Sends if the queue is free; a batch that is not full may linger. */
  send(): void {
    if (this.#inFlight !== null || this.#held || this.#refused) return;
    if (this.#full.length === 0) {
      if (this.#builder.count === 0 || !this.#mayGo()) return;
      this.#close();
    }
    const batch = this.#full.shift();
    if (batch === undefined) return;
    this.#inFlight = batch;
    this.#delivery = this.#deliver(batch);
  }

  /** Nothing more is added: nothing lingers. False where the queue is held, and what waited for it is dropped. */
  drain(): boolean {
    this.#draining = true;
    this.send();
    if (!this.#held || this.isEmpty) return true;
    this.#full = [];
    this.#builder.take();
    return false;
  }

  /** After the signal: resolves when nothing is on its way to the log any more. */
  async close(): Promise<void> {
    this.#cancelLinger?.();
    await this.#delivery;
  }

  #mayGo(): boolean {
    const { clock, batch } = this.#options;
    if (batch.lingerMs === 0 || this.#lingerDue || this.#draining) return true;
    this.#cancelLinger ??= clock.after(batch.lingerMs, () => {
      this.#cancelLinger = null;
      this.#lingerDue = true;
      this.send();
    });
    return false;
  }

  #close(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    this.#lingerDue = false;
    this.#full.push({ messages: this.#builder.take(), runs: this.#runs });
    this.#runs = new Runs();
  }

  async #deliver(batch: OutgoingBatch): Promise<void> {
    let offset: number;
    try {
      offset = await this.#store(batch);
    } catch (error) {
      this.#refused = true;
      this.#options.onRefused(error, batch, this.queue);
      return;
    }
    this.#inFlight = null;
    this.mark?.stored(offset, batch.messages.count, batch.runs);
    this.#options.onAcknowledged(batch);
    if (!this.#options.signal.aborted) this.send();
  }

  /** Repeats until the log has the batch; its offset. */
  async #store(batch: OutgoingBatch): Promise<number> {
    const { log, clock, errors, signal, sessionIsOver } = this.#options;
    const sinceMs = clock.monotonic();
    let unknown = false;
    for (let repetition = 1; ; repetition++) {
      if (sessionIsOver()) throw sessionOver();
      try {
        // A send of unknown outcome may be in the log: repeating it blindly would double its records.
        if (unknown && this.mark !== null) {
          const found = await findInTail(log, this.queue, this.mark.end, batch.messages, signal);
          if (found !== undefined) return found;
          if (sessionIsOver()) throw sessionOver();
        }
        return (await log.send(this.queue, batch.messages)).offset;
      } catch (error) {
        if (!isRetriable(error)) throw error;
        if ((error as ConnectError).code === 'SEND_OUTCOME_UNKNOWN') unknown = true;
        await errors.backoffUntilTimeout(repetition, sinceMs, error, signal);
      }
    }
  }
}
