import type { Clock } from '@rocketmq-connect/sdk';

/** Where a read waits for what it is woken for. One waits at a time. */
export class Wake {
  readonly #clock: Clock;
  #awake: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whoever waits goes on. */
  now(): void {
    this.#awake();
  }

  /** Resolves when woken, and after `waitMs` at the latest; rejects with the signal's reason. */
  wait(waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', onAbort);
        this.#awake = () => undefined;
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason);
      };
      this.#awake = () => {
        end();
        resolve();
      };
      const cancel = this.#clock.after(waitMs, () => this.#awake());
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
