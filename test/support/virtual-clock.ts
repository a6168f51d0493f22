import type { Clock } from '@rocketmq-connect/sdk';

/**
 * Time that moves only when a test says so.
 *
 * `advance(ms)` runs every timer that falls due, in order of its due time and then of its making. Before the first and after each timer
 * it lets everything run that needs no time: all microtasks, and all immediates with what they start (`settle`). So what a timer sets
 * off is finished before the next timer sees the clock move, and a run is the same each time. Real I/O, worker threads and real timers
 * are not waited for: code under a virtual clock has none.
 */
export class VirtualClock implements Clock {
  #monotonicMs = 1_000;
  #wallMs: number;
  #made = 0;
  readonly #timers = new Map<number, { readonly dueMs: number; readonly callback: () => void }>();

  constructor(wallMs = Date.UTC(2030, 0, 1)) {
    this.#wallMs = wallMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  after(ms: number, callback: () => void): () => void {
    const id = ++this.#made;
    this.#timers.set(id, { dueMs: this.#monotonicMs + Math.max(0, ms), callback });
    return () => void this.#timers.delete(id);
  }

  /** Timers that wait: 0 after everything under test was stopped, else something leaks. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Moves time on by `ms`. A callback that throws fails the call. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    await this.settle();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      await this.#run(next);
    }
    this.#moveTo(untilMs);
  }

  /** Moves time on from timer to timer until the condition holds; fails when `limitMs` of virtual time were not enough. */
  async until(condition: () => boolean, limitMs = 600_000): Promise<void> {
    const untilMs = this.#monotonicMs + limitMs;
    await this.settle();
    while (!condition()) {
      const next = this.#next(untilMs);
      if (next === undefined) throw new Error(`still not so after ${limitMs} ms of virtual time: ${condition}`);
      await this.#run(next);
    }
  }

  /** Like `until` a promise is done; resolves or rejects as it does. */
  async resolve<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    let done = false;
    const finished = (): void => {
      done = true;
    };
    promise.then(finished, finished);
    await this.until(() => done, limitMs);
    return promise;
  }

  /** Runs everything that needs no time: microtasks, and immediates with what they start. */
  async settle(): Promise<void> {
    do await new Promise<void>((resolve) => setImmediate(resolve));
    while (process.getActiveResourcesInfo().includes('Immediate'));
  }

  /** The process is suspended or its loop blocked: time passes, and timers that fell due run late, at the next `advance`. */
  suspend(ms: number): void {
    this.#moveTo(this.#monotonicMs + ms);
  }

  /** The machine's wall clock is set: monotonic time does not notice. */
  jumpWallClock(ms: number): void {
    this.#wallMs += ms;
  }

  #next(untilMs: number): number | undefined {
    let first: number | undefined;
    let firstDueMs = Number.POSITIVE_INFINITY;
    for (const [id, { dueMs }] of this.#timers) {
      if (dueMs <= untilMs && dueMs < firstDueMs) [first, firstDueMs] = [id, dueMs];
    }
    return first;
  }

  async #run(id: number): Promise<void> {
    const timer = this.#timers.get(id);
    if (timer === undefined) return;
    this.#timers.delete(id);
    this.#moveTo(timer.dueMs);
    timer.callback();
    await this.settle();
  }

  #moveTo(monotonicMs: number): void {
    if (monotonicMs <= this.#monotonicMs) return;
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}
