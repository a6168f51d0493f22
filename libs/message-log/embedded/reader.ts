import { DataError, FatalError } from '@rocketmq-connect/sdk';
import { checkPosition, queueNotFound, topicNotFound } from '../checks.ts';
import type { FetchedMessages, QueueAddress, QueueLag, QueueReader } from '../index.ts';
import { logClosed } from './admin.ts';
import type { ControlMemory } from './control.ts';
import type { QueueCursor } from './cursor.ts';

/** A queue being read; `topic` is the id of the topic that its slot must still belong to. */
export interface ReadQueue {
  readonly cursor: QueueCursor;
  readonly topic: number;
}

/** At the latest after this time a waiting reader looks by itself. */
const LOOK_AGAIN_MS = 5_000;

/** Reads queues in turn; waits for the publications of those that are at their end. */
export class EmbeddedQueueReader implements QueueReader {
  readonly #control: ControlMemory;
  readonly #queues: readonly ReadQueue[];
  readonly #onRead: (queue: ReadQueue) => void;
  readonly #onClose: (reader: EmbeddedQueueReader) => void;
  /** Slots with a wait of ours that has not ended: it cannot be taken back, so it serves the next read too. */
  readonly #watched = new Set<number>();
  #first = 0;
  #wake: () => void = () => {};
  #reading = false;
  #closed = false;

  constructor(
    control: ControlMemory,
    queues: readonly ReadQueue[],
    onRead: (queue: ReadQueue) => void,
    onClose: (reader: EmbeddedQueueReader) => void,
  ) {
    this.#control = control;
    this.#queues = queues;
    this.#onRead = onRead;
    this.#onClose = onClose;
  }

  async read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
    if (this.#reading) throw new FatalError('a queue reader serves one read at a time', { code: 'READER_BUSY' });
    this.#reading = true;
    try {
      const deadline = performance.now() + waitMs;
      for (;;) {
        signal.throwIfAborted();
        this.#check();
        const versions = this.#queues.map(({ cursor }) => this.#control.version(cursor.slot));
        const fetched = this.#fetch(maxBytes);
        if (fetched.length > 0) return fetched;
        const left = deadline - performance.now();
        if (left <= 0) return [];
        await this.#published(versions, left, signal);
      }
    } finally {
      this.#reading = false;
    }
  }

  seek(queue: QueueAddress, position: number): void {
    checkPosition(queue, position);
    const found = this.#queues.find(({ cursor }) => cursor.queue.topic === queue.topic && cursor.queue.queue === queue.queue);
    if (found === undefined) throw queueNotFound(queue, 'it is not assigned to this reader');
    found.cursor.seek(position);
  }

  lags(): readonly QueueLag[] {
    return this.#queues.map(({ cursor }) => ({ queue: cursor.queue, lag: cursor.lag() }));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { cursor } of this.#queues) cursor.close();
    this.#onClose(this);
    this.#wake();
  }

  #check(): void {
    if (this.#closed) throw new FatalError('the queue reader is closed', { code: 'READER_CLOSED' });
    if (this.#control.closed) throw logClosed();
    for (const { cursor, topic } of this.#queues) {
      if (this.#control.topic(cursor.slot) !== topic) throw topicNotFound(cursor.queue.topic);
    }
  }

  #fetch(maxBytes: number): FetchedMessages[] {
    const fetched: FetchedMessages[] = [];
    const count = this.#queues.length;
    let bytes = 0;
    for (let idle = 0; idle < count && bytes < maxBytes; ) {
      const queue = this.#queues[this.#first % count] as ReadQueue;
      let got: number;
      try {
        got = queue.cursor.fetch(maxBytes - bytes, fetched.length === 0, fetched);
      } catch (error) {
        // What the other queues gave is not lost; the next read begins with this queue.
        if (fetched.length > 0 && !(error instanceof DataError)) return fetched;
        throw error;
      }
      this.#first++;
      bytes += got;
      idle = got === 0 ? idle + 1 : 0;
      if (got > 0) this.#onRead(queue);
    }
    return fetched;
  }

  /** Resolves when one of the queues may have more than at `versions`, or time is up. */
  #published(versions: readonly number[], waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#wake = () => {};
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason);
      };
      const timer = setTimeout(() => this.#wake(), Math.min(waitMs, LOOK_AGAIN_MS));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#wake = () => {
        end();
        resolve();
      };
      for (const [index, { cursor }] of this.#queues.entries()) this.#watch(cursor.slot, versions[index] ?? 0);
    });
  }

  #watch(slot: number, version: number): void {
    if (this.#watched.has(slot)) return;
    const waiting = this.#control.published(slot, version, LOOK_AGAIN_MS);
    if (waiting === undefined) {
      this.#wake();
      return;
    }
    this.#watched.add(slot);
    waiting.then(() => {
      this.#watched.delete(slot);
      this.#wake();
    });
  }
}
