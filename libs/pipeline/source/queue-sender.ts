import type { QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, type PropertyWriter } from '@rocketmq-connect/message-log/message';
import { isTooLarge } from '../errors.ts';
import type { SourceTrace } from '../tracing/source-trace.ts';
import { type OutgoingBatch, type SenderOptions, sendUntilStored, settle, traceSent } from './delivery.ts';
import { type QueueMark, Runs } from './marks.ts';

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
  #traces: SourceTrace[] = [];
  /** Full batches that wait for the one in flight. */
  #full: OutgoingBatch[] = [];
  #inFlight: OutgoingBatch | null = null;
  #delivery: Promise<void> = Promise.resolve();
  #refused = false;
  /** Less than what is configured once the log refused larger batches. */
  #maxBytes: number;
  /** Sends nothing until its mark is committed. */
  #held: boolean;
  #lingerDue = false;
  #draining = false;
  #cancelLinger: (() => void) | null = null;

  constructor(queue: QueueAddress, mark: QueueMark | null, options: SenderOptions) {
    this.queue = queue;
    this.mark = mark;
    this.#options = options;
    this.#maxBytes = options.batch.maxBytes;
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
    const { maxCount } = this.#options.batch;
    const builder = this.#builder;
    if (builder.count > 0) {
      const most = builder.bytes + body.length + properties.bytesMax + 22;
      if (most > this.#maxBytes || builder.count >= maxCount) {
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

  /** The growing batch has records of a traced one. */
  joinedBy(trace: SourceTrace): void {
    if (this.#traces.at(-1) === trace) return;
    this.#traces.push(trace);
    trace.joined();
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
    this.#full.push({ messages: this.#builder.take(), runs: this.#runs, traces: this.#traces });
    this.#runs = new Runs();
    if (this.#traces.length > 0) this.#traces = [];
  }

  async #deliver(batch: OutgoingBatch): Promise<void> {
    const { meters, clock } = this.#options;
    const sinceMs = clock.monotonic();
    try {
      await this.#store(batch);
      meters.time('send', sinceMs);
      traceSent(batch, this.queue, sinceMs, null);
    } catch (error) {
      traceSent(batch, this.queue, sinceMs, error);
      this.#refused = true;
      this.#options.onRefused(error);
      return;
    }
    this.#inFlight = null;
    if (!this.#options.signal.aborted) this.send();
    this.#options.onDelivered();
  }

  /** Until the log has the batch: in parts, one after the other, where it takes none of this size. */
  async #store(batch: OutgoingBatch): Promise<void> {
    const { messages, runs } = batch;
    let offset: number;
    try {
      offset = await sendUntilStored(this.#options, this.queue, messages, this.mark);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      if (messages.count === 1) return settle(this.#options, this.queue, batch, error);
      this.#maxBytes = Math.min(this.#maxBytes, messages.bytes.length >> 1);
      for (const half of halves(batch)) await this.#store(half);
      return;
    }
    this.mark?.stored(offset, messages.count, runs);
    this.#options.onAcknowledged(batch);
  }
}

/** Two batches of about half the bytes, of more than one message. */
function halves({ messages, runs }: OutgoingBatch): readonly [OutgoingBatch, OutgoingBatch] {
  const { bytes, count } = messages;
  let [at, first] = [0, 0];
  do {
    at += bytes.readInt32BE(at);
    first++;
  } while (first < count - 1 && at + bytes.readInt32BE(at) <= bytes.length >> 1);
  const [firstRuns, otherRuns] = runs.split(first);
  return [
    { messages: { bytes: bytes.subarray(0, at), count: first }, runs: firstRuns, traces: [] },
    { messages: { bytes: bytes.subarray(at), count: count - first }, runs: otherRuns, traces: [] },
  ];
}
