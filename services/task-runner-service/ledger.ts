import type { TaskCounters } from '@rocketmq-connect/pipeline/host-protocol';

/**
 * A task's counters over all its incarnations on this runner: they only grow, and invariant 9 (polled = acknowledged + deduplicated +
 * filtered + deadLettered + skipped + inFlight) holds at every moment. Records in flight when an incarnation died stay in
 * flight: the next one polls them again, so its first polls count as these.
 */
export class TaskLedger {
  #settled: TaskCounters = zero();
  #current: TaskCounters = zero();
  #carried = 0;
  #commits = 0;

  /** Counters of the present incarnation. */
  update(counters: TaskCounters): void {
    this.#current = counters;
  }

  countCommit(): void {
    this.#commits++;
  }

  /** The incarnation is over; the next counts from zero. */
  endIncarnation(): void {
    const total = this.totals();
    this.#settled = { ...total, inFlight: 0 };
    this.#carried = total.inFlight;
    this.#current = zero();
  }

  totals(): TaskCounters & { readonly commits: number } {
    const { ...sum } = this.#settled;
    for (const name of ['acknowledged', 'deduplicated', 'filtered', 'deadLettered', 'skipped', 'bytes', 'retries'] as const) {
      sum[name] += this.#current[name];
    }
    sum.polled += Math.max(0, this.#current.polled - this.#carried);
    sum.inFlight = sum.polled - sum.acknowledged - sum.deduplicated - sum.filtered - sum.deadLettered - sum.skipped;
    sum.lag = this.#current.lag;
    return { ...sum, commits: this.#commits };
  }
}

function zero(): TaskCounters {
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
