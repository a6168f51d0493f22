import assert from 'node:assert/strict';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, decodeFetched } from '@rocketmq-connect/message-log/message';
import { ConnectError, type Random } from '@rocketmq-connect/sdk';
import { between } from '@rocketmq-connect/sdk/testing/seeded-random';

const PATIENCE_MS = 180_000;
const AGAIN_MS = 100;
const PAUSE_MS_MAX = 10;
const LAST_FIFTH = 0.8;

/** A range of numbers whose send had an unknown outcome. */
interface Doubt {
  readonly from: number;
  readonly to: number;
}

interface Stream {
  readonly queue: QueueAddress;
  readonly count: number;
  next: number;
  readonly doubts: Doubt[];
  /** As read, in order of positions. */
  readonly read: number[];
}

export interface SendsResult {
  readonly records: number;
  readonly doubts: number;
  readonly duplicates: number;
}

/**
 * Sends the numbers 0, 1, 2 … to each of some queues through an adapter alone: one batch in flight per queue, repeated blindly where its outcome is
 * unknown. What is read meanwhile, and the topic in the end, must hold each number, first occurrences in order; a number that is there twice must
 * have been in doubt.
 */
export class NumberedSends {
  readonly #log: MessageLog;
  readonly #random: Random;
  readonly #streams: Stream[] = [];
  readonly #running: Promise<void>[] = [];
  /** Milliseconds that a reader rests after each read. */
  readonly #readPauseMs: number;
  #mayEnd = false;

  constructor(log: MessageLog, random: Random, readPauseMs = 0) {
    this.#log = log;
    this.#random = random;
    this.#readPauseMs = readPauseMs;
  }

  /** Begins with these queues, `count` numbers each. */
  begin(queues: readonly QueueAddress[], count: number): void {
    const streams = queues.map((queue): Stream => ({ queue, count, next: 0, doubts: [], read: [] }));
    this.#streams.push(...streams);
    for (const stream of streams) this.#running.push(this.#send(stream));
    this.#running.push(this.#read(streams));
  }

  /** The part of all numbers that is acknowledged, 0 to 1. */
  get progress(): number {
    const all = this.#streams.reduce((sum, { count }) => sum + count, 0);
    return this.#streams.reduce((sum, { next }) => sum + next, 0) / all;
  }

  get doubts(): number {
    return this.#streams.reduce((sum, { doubts }) => sum + doubts.length, 0);
  }

  /** The faults are over: the last fifth may be sent. Resolves when everything is sent, and read. */
  async finish(): Promise<void> {
    this.#mayEnd = true;
    await Promise.all(this.#running);
  }

  /** Rejects as soon as sending or reading fails. */
  get failure(): Promise<never> {
    return new Promise((_, reject) => {
      for (const running of this.#running) running.catch(reject);
    });
  }

  /** Compares what the topic holds, by queue, with what was sent and read. */
  verify(topic: readonly (readonly string[])[]): SendsResult {
    let records = 0;
    let duplicates = 0;
    for (const { queue, count, doubts, read } of this.#streams) {
      const where = `queue ${queue.queue}`;
      const stored = (topic[queue.queue] ?? []).map(Number);
      assert.deepEqual(read.length, stored.length, `${where}: as many messages were read as are stored`);
      let next = 0;
      const times = new Map<number, number>();
      for (const [position, number] of stored.entries()) {
        assert.equal(read[position], number, `${where}: position ${position} was read as it is stored`);
        if (number === next) {
          next++;
          continue;
        }
        assert.ok(number < next, `${where}: ${next} is lost, or out of order: ${number} stands at position ${position}`);
        times.set(number, (times.get(number) ?? 0) + 1);
        duplicates++;
      }
      assert.equal(next, count, `${where}: none is lost at the end`);
      for (const [number, again] of times) {
        const inDoubt = doubts.filter(({ from, to }) => number >= from && number < to).length;
        assert.ok(again <= inDoubt, `${where}: ${number} is there ${again + 1} times, and was in doubt ${inDoubt} times`);
      }
      records += count;
    }
    return { records, doubts: this.doubts, duplicates };
  }

  async #send(stream: Stream): Promise<void> {
    while (stream.next < stream.count) {
      while (!this.#mayEnd && stream.next > stream.count * LAST_FIFTH) await pause(10);
      const to = Math.min(stream.count, stream.next + between(this.#random, 1, 200));
      const batch = numbered(stream.next, to);
      await patiently(
        () => this.#log.send(stream.queue, batch),
        (error) => {
          if (error.code === 'SEND_OUTCOME_UNKNOWN') stream.doubts.push({ from: stream.next, to });
        },
      );
      stream.next = to;
      // Pauses let faults meet sends at all moments; most batches follow at once, so that there is one in flight.
      if (this.#random() < 0.2) await pause(PAUSE_MS_MAX * this.#random());
    }
  }

  async #read(streams: readonly Stream[]): Promise<void> {
    const { signal } = new AbortController();
    const assignments = streams.map(({ queue }) => ({ queue, position: 0 }));
    const reader = await patiently(() => this.#log.assign('numbered-sends', assignments));
    try {
      // What is twice may come after the last number.
      for (let quiet = false; !quiet; ) {
        const fetched = await patiently(() => reader.read(this.#readPauseMs > 0 ? 8_192 : 1_000_000, 1_000, signal));
        for (const messages of fetched) {
          const stream = streams.find(({ queue }) => queue.queue === messages.queue.queue);
          assert.equal(messages.offset, stream?.read.length, `queue ${messages.queue.queue} is read without a gap`);
          decodeFetched(messages, (body) => stream?.read.push(Number(body)));
        }
        quiet = fetched.length === 0 && streams.every(({ read, next, count }) => next === count && read.length >= count);
        if (this.#readPauseMs > 0) await pause(this.#readPauseMs);
      }
    } finally {
      await reader.close();
    }
  }
}

function numbered(from: number, to: number) {
  const builder = new BatchBuilder();
  for (let number = from; number < to; number++) builder.add(Buffer.from(String(number)), '');
  return builder.take();
}

/** Tries again on what may pass. */
export async function patiently<T>(attempt: () => Promise<T>, onError: (error: ConnectError) => void = () => {}): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const mayPass = error instanceof ConnectError && (error.kind === 'retriable' || error.code === 'TOPIC_NOT_FOUND');
      if (!mayPass || performance.now() > until) throw error;
      onError(error);
      await pause(AGAIN_MS);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
