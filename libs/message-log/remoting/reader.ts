import { FatalError } from '@rocketmq-connect/sdk';
import { checkPosition, queueNotFound } from '../checks.ts';
import type { FetchedMessages, QueueAddress, QueueLag, QueueReader } from '../index.ts';
import { PullAllowance } from './pull-allowance.ts';
import { type PullerSettings, QueuePuller } from './queue-puller.ts';

export interface ReaderAssignment {
  readonly queue: QueueAddress;
  readonly position: number;
  readonly range: { readonly min: number; readonly max: number };
}

export interface RemotingReaderSettings extends Pick<PullerSettings, 'group' | 'clock' | 'connect' | 'doubt' | 'requestTimeoutMs'> {
  readonly assignments: readonly ReaderAssignment[];
  /** Over all queues. */
  readonly pullsMax: number;
  readonly prefetchBytes: number;
  /** Answers to pulls that may be under way at the same time, over all queues; undefined: no limit. */
  readonly answersBytesMax?: number;
  readonly onClose: (reader: RemotingQueueReader) => void;
}

const PULLS_PER_QUEUE_MAX = 16;
const PREFETCH_PER_QUEUE_MIN = 256 * 1024;

/** Reads queues by pulls: prefetched in order per queue, handed out in turn. */
export class RemotingQueueReader implements QueueReader {
  readonly #settings: RemotingReaderSettings;
  readonly #pullers: readonly QueuePuller[] = [];
  readonly #closing = new AbortController();
  #wake: () => void = () => {};
  #first = 0;
  #reading = false;

  constructor(settings: RemotingReaderSettings) {
    this.#settings = settings;
    const { group, clock, connect, doubt, requestTimeoutMs, answersBytesMax, assignments } = settings;
    const queues = Math.max(1, assignments.length);
    const puller: PullerSettings = {
      group,
      clock,
      connect,
      doubt,
      requestTimeoutMs,
      allowance: new PullAllowance(answersBytesMax ?? Number.POSITIVE_INFINITY, () => {
        for (const each of this.#pullers) each.proceed();
      }),
      pullsMax: Math.max(1, Math.min(PULLS_PER_QUEUE_MAX, Math.ceil(settings.pullsMax / queues))),
      prefetchBytes: Math.max(PREFETCH_PER_QUEUE_MIN, settings.prefetchBytes / queues),
      signal: this.#closing.signal,
      onArrival: () => this.#wake(),
    };
    this.#pullers = assignments.map(({ queue, position, range }) => new QueuePuller(queue, position, range, puller));
  }

  async read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
    if (this.#reading) throw new FatalError('a queue reader serves one read at a time', { code: 'READER_BUSY' });
    this.#reading = true;
    try {
      const until = this.#settings.clock.monotonic() + waitMs;
      for (;;) {
        signal.throwIfAborted();
        if (this.#closing.signal.aborted) throw new FatalError('the queue reader is closed', { code: 'READER_CLOSED' });
        const fetched = this.#take(maxBytes);
        if (fetched.length > 0) return fetched;
        const left = until - this.#settings.clock.monotonic();
        if (left <= 0) return [];
        await this.#arrival(left, signal);
      }
    } finally {
      this.#reading = false;
    }
  }

  seek(queue: QueueAddress, position: number): void {
    checkPosition(queue, position);
    const { topic, broker } = queue;
    const puller = this.#pullers.find(
      (each) => each.queue.topic === topic && each.queue.broker === broker && each.queue.queue === queue.queue,
    );
    if (puller === undefined) throw queueNotFound(queue, 'it is not assigned to this reader');
    puller.seek(position);
  }

  lags(): readonly QueueLag[] {
    return this.#pullers.map((puller) => ({ queue: puller.queue, lag: puller.lag() }));
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#wake();
    this.#settings.onClose(this);
  }

  /** Beginning with another queue each time. */
  #take(maxBytes: number): FetchedMessages[] {
    const fetched: FetchedMessages[] = [];
    const pullers = this.#pullers;
    let left = maxBytes;
    const first = this.#first++;
    for (let i = 0; i < pullers.length && left > 0; i++) {
      const puller = pullers[(first + i) % pullers.length];
      for (
        let part = puller?.take(left, fetched.length === 0);
        part !== undefined;
        part = left > 0 ? puller?.take(left, false) : undefined
      ) {
        fetched.push(part);
        left -= part.bytes.length;
      }
    }
    return fetched;
  }

  #arrival(waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', onAbort);
        this.#wake = () => {};
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason);
      };
      this.#wake = () => {
        end();
        resolve();
      };
      const cancel = this.#settings.clock.after(waitMs, () => this.#wake());
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
