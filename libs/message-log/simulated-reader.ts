import { FatalError } from '@rocketmq-connect/sdk';
import { checkPosition, queueNotFound, topicNotFound } from './checks.ts';
import type { FetchedMessages, QueueAddress, QueueLag, QueueReader } from './index.ts';
import { PositionLostError, type PositionLostReason } from './position-lost.ts';
import type { SimulatedLog, SimulatedQueue } from './simulated.ts';
import { skipMessages, takeMessages } from './slices.ts';
import { Wake } from './wake.ts';

interface ReadQueue {
  readonly address: QueueAddress;
  /** Another object under the same address is a topic that was created anew. */
  readonly queue: SimulatedQueue;
  position: number;
}

/** Reads queues of a simulated log in turn, with the same promises as the other adapters. */
export class SimulatedQueueReader implements QueueReader {
  readonly #log: SimulatedLog;
  readonly #queues: ReadQueue[];
  readonly #meet: (queue: QueueAddress) => Promise<void>;
  readonly #onRead: (queue: SimulatedQueue) => void;
  #first = 0;
  readonly #wake: Wake;
  #reading = false;
  #closed = false;

  constructor(
    log: SimulatedLog,
    queues: ReadQueue[],
    meet: (queue: QueueAddress) => Promise<void>,
    onRead: (queue: SimulatedQueue) => void,
  ) {
    this.#log = log;
    this.#wake = new Wake(log.clock);
    this.#queues = queues;
    this.#meet = meet;
    this.#onRead = onRead;
  }

  async read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
    if (this.#reading) throw new FatalError('a queue reader serves one read at a time', { code: 'READER_BUSY' });
    this.#reading = true;
    // From before the look on, so that nothing stored between the look and the wait is missed.
    let changed = false;
    const unwatch = this.#log.watch(() => {
      changed = true;
      this.#wake.now();
    });
    try {
      const deadline = this.#log.clock.monotonic() + waitMs;
      for (;;) {
        signal.throwIfAborted();
        if (this.#closed) throw new FatalError('the queue reader is closed', { code: 'READER_CLOSED' });
        changed = false;
        const fetched = await this.#fetch(maxBytes);
        if (fetched.length > 0) return fetched;
        const left = deadline - this.#log.clock.monotonic();
        if (left <= 0) return [];
        if (!changed) await this.#wake.wait(left, signal);
      }
    } finally {
      unwatch();
      this.#reading = false;
    }
  }

  seek(address: QueueAddress, position: number): void {
    checkPosition(address, position);
    const found = this.#queues.find((read) => read.address.topic === address.topic && read.address.queue === address.queue);
    if (found === undefined) throw queueNotFound(address, 'it is not assigned to this reader');
    found.position = position;
  }

  lags(): readonly QueueLag[] {
    return this.#queues.map(({ address, queue, position }) => ({ queue: address, lag: Math.max(0, queue.nextOffset - position) }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake.now();
  }

  async #fetch(maxBytes: number): Promise<FetchedMessages[]> {
    const fetched: FetchedMessages[] = [];
    let left = maxBytes;
    for (let turn = 0; turn < this.#queues.length && left > 0; turn++) {
      const read = this.#queues[(this.#first + turn) % this.#queues.length] as ReadQueue;
      if (this.#log.queue(read.address) !== read.queue) throw topicNotFound(read.address.topic);
      if (read.position === read.queue.nextOffset) continue;
      try {
        await this.#meet(read.address);
        left -= this.#fetchQueue(read, left, fetched);
      } catch (error) {
        // What was taken from other queues counts as returned: it must be. The error comes again with the next read.
        if (fetched.length > 0) break;
        throw error;
      }
    }
    this.#first++;
    return fetched;
  }

  #fetchQueue(read: ReadQueue, maxBytes: number, into: FetchedMessages[]): number {
    const { minOffset, nextOffset, stored } = read.queue;
    if (read.position < minOffset) this.#lost('POSITION_BELOW_MINIMUM', read, minOffset, `the log begins at ${minOffset} (retention)`);
    if (read.position > nextOffset) this.#lost('POSITION_ABOVE_MAXIMUM', read, nextOffset, `the log ends at ${nextOffset}`);
    let taken = 0;
    let index = stored.findIndex(({ offset, count }) => read.position < offset + count);
    for (; index < stored.length && taken < maxBytes; index++) {
      const whole = stored[index] as FetchedMessages;
      const rest = skipMessages(whole, read.position - whole.offset);
      const part = takeMessages(rest, maxBytes - taken, into.length === 0);
      if (part === undefined) break;
      into.push(part);
      taken += part.bytes.length;
      read.position = part.offset + part.count;
      this.#onRead(read.queue);
      if (part.count < rest.count) break;
    }
    return taken;
  }

  #lost(reason: PositionLostReason, read: ReadQueue, resumeAt: number, detail: string): never {
    throw new PositionLostError(reason, read.address, read.position, resumeAt, detail);
  }
}
