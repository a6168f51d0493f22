import { decodeMessages } from '@rocketmq-connect/message-log/message';
import { SIMULATED_BROKER, type SimulatedLog } from '@rocketmq-connect/message-log/simulated';

/** What the streams of the source left in a topic, read as it grows. */
export class LogIndex {
  readonly #log: SimulatedLog;
  readonly #topic: string;
  readonly #onWrong: (message: string) => void;
  /** Batches read, by queue. */
  readonly #read: number[] = [];
  /** Bodies, by queue and position. */
  readonly queues: string[][] = [];
  /** By stream: where its records lie. */
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
    const gap = at.findIndex(({ queue, position }) => position >= this.#flushed(queue));
    return gap === -1 ? at.length : gap;
  }

  count(stream: number): number {
    return this.#streams.get(stream)?.length ?? 0;
  }

  #flushed(queue: number): number {
    return this.#log.queue({ topic: this.#topic, broker: SIMULATED_BROKER, queue }).flushed;
  }

  #update(): void {
    if (!this.#log.topics().includes(this.#topic)) return;
    for (const address of this.#log.describe(this.#topic).queues) {
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
    const [stream = -1, n] = body.split(':').map(Number);
    const records = this.#streams.get(stream) ?? [];
    this.#streams.set(stream, records);
    const expected = records.length;
    if (n !== expected)
      this.#onWrong(`exactly once into the log: record ${body} came ${Number(n) < expected ? 'again' : `before ${stream}:${expected}`}`);
    else records.push({ queue, position: bodies.length });
    const first = records[0]?.queue ?? queue;
    if (first !== queue) this.#onWrong(`order: record ${body} is in queue ${queue}, its stream in ${first}`);
    bodies.push(body);
  }
}
