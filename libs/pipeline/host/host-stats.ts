import type { Clock } from '@rocketmq-connect/sdk';
import type { TaskCounters } from '../host-protocol.ts';

const INTERVAL_MS = 500;

export function emptyCounters(): TaskCounters {
  return {
    polled: 0,
    acknowledged: 0,
    deduplicated: 0,
    filtered: 0,
    deadLettered: 0,
    skipped: 0,
    inFlight: 0,
    bytes: 0,
    retries: 0,
    lag: -1,
  };
}

/** Posts the counters of units, those that changed, every 500 ms while there are units. */
export class HostStats {
  readonly #clock: Clock;
  readonly #post: (counters: Readonly<Record<string, TaskCounters>>) => void;
  readonly #units = new Map<string, { readonly counters: TaskCounters; posted: string }>();
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, post: (counters: Readonly<Record<string, TaskCounters>>) => void) {
    this.#clock = clock;
    this.#post = post;
  }

  add(unit: string, counters: TaskCounters): void {
    this.#units.set(unit, { counters, posted: '' });
    this.#schedule();
  }

  /** Posts the last counters of a unit that ends. */
  remove(unit: string): void {
    this.#postChanged();
    this.#units.delete(unit);
    if (this.#units.size === 0) this.close();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#units.clear();
  }

  #schedule(): void {
    this.#cancel ??= this.#clock.after(INTERVAL_MS, () => {
      this.#cancel = null;
      this.#postChanged();
      if (this.#units.size > 0) this.#schedule();
    });
  }

  #postChanged(): void {
    const changed: Record<string, TaskCounters> = {};
    for (const [unit, entry] of this.#units) {
      const text = Object.values(entry.counters).join();
      if (text === entry.posted) continue;
      entry.posted = text;
      changed[unit] = { ...entry.counters };
    }
    if (Object.keys(changed).length > 0) this.#post(changed);
  }
}
