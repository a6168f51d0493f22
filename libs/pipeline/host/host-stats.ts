import type { Clock } from '@rocketmq-connect/sdk';
import type { HostEvent, LogMeters, TaskCounters, TaskMeters } from '../host-protocol.ts';
import type { Meters } from '../meters.ts';

const INTERVAL_MS = 500;

/** Posts the figures of units, those that changed, every 500 ms while there are units. */
export class HostStats {
  readonly #clock: Clock;
  readonly #log: { sample(): LogMeters };
  readonly #post: (stats: Omit<StatsEvent, 'type'>) => void;
  readonly #units = new Map<string, { readonly figures: UnitFigures; posted: string }>();
  #logPosted = '';
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, log: { sample(): LogMeters }, post: (stats: Omit<StatsEvent, 'type'>) => void) {
    this.#clock = clock;
    this.#log = log;
    this.#post = post;
  }

  add(unit: string, figures: UnitFigures): void {
    this.#units.set(unit, { figures, posted: '' });
    this.#schedule();
  }

  /** Posts the last figures of a unit that ends. */
  remove(unit: string): void {
    this.postChanged();
    this.#units.delete(unit);
    if (this.#units.size === 0) this.close();
  }

  postChanged(): void {
    const counters: Record<string, TaskCounters> = {};
    const meters: Record<string, TaskMeters> = {};
    for (const [unit, entry] of this.#units) {
      const { figures } = entry;
      figures.sample();
      const text = textOf(figures);
      if (text === entry.posted) continue;
      entry.posted = text;
      counters[unit] = { ...figures.counters };
      meters[unit] = figures.meters.data();
    }
    const log = this.#log.sample();
    const logText = `${Object.values(log.requests).join()} ${log.inFlight} ${log.connections}`;
    const logChanged = logText !== this.#logPosted;
    if (Object.keys(counters).length === 0 && !logChanged) return;
    this.#logPosted = logText;
    this.#post({ counters, meters, log: logChanged ? log : null });
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#units.clear();
  }

  #schedule(): void {
    this.#cancel ??= this.#clock.after(INTERVAL_MS, () => {
      this.#cancel = null;
      this.postChanged();
      if (this.#units.size > 0) this.#schedule();
    });
  }
}

/** What a unit counts, and how it looks at the rest when it is time. */
export interface UnitFigures {
  readonly counters: TaskCounters;
  readonly meters: Meters;
  sample(): void;
}

type StatsEvent = Extract<HostEvent, { readonly type: 'stats' }>;

/** Histograms change with counters only. */
function textOf({ counters, meters }: UnitFigures): string {
  const lags = [...meters.queueLags, ...meters.partitionLags].map(({ lag }) => lag);
  return [...Object.values(counters), meters.deadLetterFailures, meters.lastErrorAtMs, ...lags].join();
}
