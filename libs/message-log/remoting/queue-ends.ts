import { type Clock, sleep } from '@rocketmq-connect/sdk';
import type { QueueAddress } from '../index.ts';

export interface QueueEndsSettings {
  readonly clock: Clock;
  readonly strayMs: number;
  /** The end of a queue as its broker tells it now. */
  readonly ask: (queue: QueueAddress) => Promise<number>;
  readonly signal: AbortSignal;
}

const DISPATCH_LOOKS = 100;
const DISPATCH_LOOK_MS = 5;

/** Where queues end, with all that was sent to them by this client. */
export class QueueEnds {
  readonly #settings: QueueEndsSettings;
  /** Of each queue sent to: where the last acknowledged batch ends. */
  readonly #acknowledged = new Map<string, number>();
  /** Queues for which a batch may be on its way that nobody waits for any more. */
  readonly #strays = new Map<string, object>();

  constructor(settings: QueueEndsSettings) {
    this.#settings = settings;
  }

  acknowledged(queue: QueueAddress, end: number): void {
    this.#acknowledged.set(keyOf(queue), end);
  }

  /** A batch was sent, and its answer will not come. */
  outcomeUnknown(queue: QueueAddress): void {
    this.#strays.set(keyOf(queue), {});
  }

  /**
   * A broker puts messages into their queue a moment after it acknowledged them: what this client was told of is waited for, and so is what it may
   * have sent without being told.
   */
  async of(queue: QueueAddress): Promise<number> {
    const { ask, clock, signal } = this.#settings;
    const key = keyOf(queue);
    await this.#strayIsIn(key, queue);
    for (let look = 0; ; look++) {
      const end = await ask(queue);
      const expected = this.#acknowledged.get(key) ?? 0;
      if (end >= expected) return end;
      if (look === DISPATCH_LOOKS) {
        // The topic was created anew.
        this.#acknowledged.delete(key);
        return end;
      }
      await sleep(clock, DISPATCH_LOOK_MS, signal);
    }
  }

  /** Whoever looks for the batch then finds it, or it never comes: nothing leaves here any more, and the broker is not merely standing still. */
  async #strayIsIn(key: string, queue: QueueAddress): Promise<void> {
    const { ask, clock, strayMs, signal } = this.#settings;
    const stray = this.#strays.get(key);
    if (stray === undefined) return;
    await ask(queue);
    await sleep(clock, strayMs, signal);
    if (this.#strays.get(key) === stray) this.#strays.delete(key);
  }
}

function keyOf({ topic, broker, queue }: QueueAddress): string {
  return `${topic}/${broker}/${queue}`;
}
