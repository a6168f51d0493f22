import type { Clock } from '@rocketmq-connect/sdk';
import type { FetchedMessages } from './index.ts';
import type { SimulatedLog, SimulatedQueue } from './simulated.ts';
import { skipMessages, takeMessages } from './slices.ts';

/** How long the log waits for an acknowledgement or renewal. */
export const INVISIBLE_MS = 30_000;

/** One message that a member holds. */
export interface Held {
  readonly message: FetchedMessages;
  /** By the log's monotonic clock. */
  untilMs: number;
}

/** What a consumer group has of the simulated log: where it reads on, what its members hold, what comes again. */
export class SimulatedGroup {
  readonly #log: SimulatedLog;
  readonly #clock: Clock;
  /** By object: another one under the same address is a topic that was created anew. */
  readonly #next = new Map<SimulatedQueue, number>();
  readonly #held = new Set<Held>();
  #again: FetchedMessages[] = [];
  #turn = 0;
  /** Messages handed out once more. */
  redelivered = 0;

  constructor(log: SimulatedLog) {
    this.#log = log;
    this.#clock = log.clock;
  }

  /** Hands out what comes again, then what is new, queues in turn: one message at least, if there is any. */
  receive(topics: readonly string[], maxBytes: number): { readonly fetched: FetchedMessages[]; readonly held: Held[] } {
    this.#lapse();
    const fetched: FetchedMessages[] = [];
    let left = maxBytes;
    const take = (whole: FetchedMessages): number => {
      const part = left > 0 ? takeMessages(whole, left, fetched.length === 0) : undefined;
      if (part === undefined) return 0;
      fetched.push(part);
      left -= part.bytes.length;
      return part.count;
    };
    this.#again = this.#again.filter((message) => {
      if (!topics.includes(message.queue.topic) || take(message) === 0) return true;
      this.redelivered++;
      return false;
    });
    const queues = topics.flatMap((topic) => (this.#log.topics().includes(topic) ? this.#log.describe(topic).queues : []));
    const first = this.#turn++;
    for (let i = 0; i < queues.length; i++) {
      const address = queues[(first + i) % queues.length];
      if (address !== undefined) this.#receiveNew(this.#log.queue(address), take);
    }
    const untilMs = this.#clock.monotonic() + INVISIBLE_MS;
    const held = fetched.flatMap(single).map((message) => ({ message, untilMs }));
    for (const one of held) this.#held.add(one);
    return { fetched, held };
  }

  /** When something that is held comes again, if its holder is not heard of before. */
  nextLapseMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { untilMs } of this.#held) nextMs = Math.min(nextMs, untilMs);
    return nextMs;
  }

  renew(held: Held): void {
    this.#lapse();
    if (this.#held.has(held)) held.untilMs = this.#clock.monotonic() + INVISIBLE_MS;
  }

  /** False: it lapsed before. */
  acknowledge(held: Held): boolean {
    this.#lapse();
    return this.#held.delete(held);
  }

  giveBack(held: Held): void {
    if (this.#held.delete(held)) this.#again.push(held.message);
  }

  #lapse(): void {
    const nowMs = this.#clock.monotonic();
    for (const held of this.#held) if (held.untilMs <= nowMs) this.giveBack(held);
  }

  #receiveNew(queue: SimulatedQueue, take: (whole: FetchedMessages) => number): void {
    let next = Math.max(this.#next.get(queue) ?? 0, queue.minOffset);
    for (const whole of queue.stored) {
      if (whole.offset + whole.count <= next) continue;
      const rest = skipMessages(whole, next - whole.offset);
      const taken = take(rest);
      next += taken;
      if (taken < rest.count) break;
    }
    this.#next.set(queue, next);
  }
}

function single(whole: FetchedMessages): FetchedMessages[] {
  const messages: FetchedMessages[] = [];
  for (let rest = whole; rest.count > 0; rest = skipMessages(rest, 1)) messages.push(takeMessages(rest, 1, true) ?? rest);
  return messages;
}
