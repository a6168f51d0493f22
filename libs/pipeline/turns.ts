import type { Clock } from '@rocketmq-connect/sdk';

/** Longest time without a turn of the event loop. */
const TURN_MS = 5;
const ROUNDS_MAX = 100;

/**
 * Gives the event loop a turn now and then in a loop whose waits may all be over at once: control messages, timers and answers from the
 * log would wait for ever.
 */
export class Turns {
  readonly #clock: Clock;
  #sinceMs = 0;
  #rounds = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Once per round. */
  async take(): Promise<void> {
    if (++this.#rounds < ROUNDS_MAX && this.#clock.monotonic() - this.#sinceMs < TURN_MS) return;
    await new Promise(setImmediate);
    this.#sinceMs = this.#clock.monotonic();
    this.#rounds = 0;
  }
}
