import { decodeMessages } from '@rocketmq-connect/message-log/message';
import { SIMULATED_BROKER, type SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import { KEYS } from './connectors.ts';

/** What the streams of the source left in a topic, read as it grows. */
export class LogIndex {
  readonly #log: SimulatedLog;
  readonly #topic: string;
  readonly #onWrong: (message: string) => void;
  /** Of the topic at first: when it grows, keys may move to other queues. */
  #queuesAtFirst = 0;
  /** Batches read, by queue. */
  readonly #read: number[] = [];
  /** Bodies, by queue and position. */
  readonly queues: string[][] = [];
  /** By stream and number: where its records lie. */
  readonly #streams = new Map<number, { readonly queue: number; readonly position: number }[]>();

  constructor(log: SimulatedLog, topic: string, onWrong: (message: string) => void) {
    this.#log = log;
    this.#topic = topic;
    this.#onWrong = onWrong;
    log.watch(() => this.#update());
  }

  /** Records of a stream from its first on, without a gap, that a power failure would not take. */
  durable(stream: number): number {
    const at = this.#streams.get(stream) ?? [];
    let n = 0;
    for (let place = at[0]; place !== undefined && place.position < this.#flushed(place.queue); place = at[n]) n++;
    return n;
  }

  /** One past the highest number of a stream that is in the log. */
  end(stream: number): number {
    return this.#streams.get(stream)?.length ?? 0;
  }

  count(stream: number): number {
    return (this.#streams.get(stream) ?? []).reduce((count) => count + 1, 0);
  }

  #flushed(queue: number): number {
    return this.#log.queue({ topic: this.#topic, broker: SIMULATED_BROKER, queue }).flushed;
  }

  #update(): void {
    if (!this.#log.topics().includes(this.#topic)) return;
    const addresses = this.#log.describe(this.#topic).queues;
    this.#queuesAtFirst ||= addresses.length;
    for (const address of addresses) {
      const { queue } = address;
      const bodies = this.queues[queue] ?? [];
      this.queues[queue] = bodies;
      const stored = this.#log.stored(address);
      for (let at = this.#read[queue] ?? 0; at < stored.length; at++) {
        const batch = stored[at];
        if (batch !== undefined) decodeMessages(batch.bytes, (body) => this.#record(queue, bodies, body.toString()));
      }
      this.#read[queue] = stored.length;
    }
  }

  #record(queue: number, bodies: string[], body: string): void {
    const [stream = -1, n = -1] = body.split(':').map(Number);
    const records = this.#streams.get(stream) ?? [];
    this.#streams.set(stream, records);
    const before = n - KEYS < 0 ? undefined : records[n - KEYS];
    if (records[n] !== undefined) this.#onWrong(`exactly once into the log: record ${body} came again`);
    else if (before === undefined && n >= KEYS)
      this.#onWrong(`exactly once into the log: record ${body} came before ${stream}:${n - KEYS}`);
    else records[n] = { queue, position: bodies.length };
    if (before !== undefined && before.queue !== queue && this.#log.describe(this.#topic).queues.length === this.#queuesAtFirst)
      this.#onWrong(`order: record ${body} is in queue ${queue}, its key in ${before.queue}`);
    bodies.push(body);
  }
}
