import type { Clock } from '@rocketmq-connect/sdk';

/** How long the stages of a batch took, which take turns: between two readings of the clock all time is of one stage. */
export class StageTimes<S extends string> {
  readonly #clock: Clock;
  readonly #totals = new Map<S, number>();
  #stage: S | null = null;
  #sinceMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The time from now on is of this stage; null: of none. */
  enter(stage: S | null): void {
    const nowMs = this.#clock.monotonic();
    if (this.#stage !== null) this.#totals.set(this.#stage, (this.#totals.get(this.#stage) ?? 0) + nowMs - this.#sinceMs);
    this.#stage = stage;
    this.#sinceMs = nowMs;
  }

  /** Undefined for a stage that was never entered. */
  ms(stage: S): number | undefined {
    return this.#totals.get(stage);
  }
}
