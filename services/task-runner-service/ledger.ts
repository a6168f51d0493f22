import { parseUnitId, unitId } from '@rocketmq-connect/cluster';
import type { TaskCounters, TaskMeters } from '@rocketmq-connect/pipeline/host-protocol';
import { emptyCounters } from '@rocketmq-connect/pipeline/task-counters';
import type { ConnectorType, UnitState } from '@rocketmq-connect/proto/common';
import type { TaskStats } from '@rocketmq-connect/proto/runner';
import { histogram, observe, SECONDS } from '@rocketmq-connect/telemetry/metrics/histogram';
import type { CommitOutcome } from './committer.ts';
import { noMeters, sumOfMeters } from './meter-totals.ts';

/**
 * A task's counters over all its incarnations on this runner: they only grow, and invariant 9 (polled = acknowledged + deduplicated +
 * filtered + deadLettered + skipped + inFlight) holds at every moment. Records in flight when an incarnation died stay in
 * flight: the next one polls them again, so its first polls count as these.
 */
export class TaskLedger {
  #settled: TaskCounters = emptyCounters();
  #current: TaskCounters = emptyCounters();
  #carried = 0;
  #commits = 0;
  #settledMeters = noMeters;
  #currentMeters = noMeters;
  /** A sink that reports a record after its put takes it back from those acknowledged; a counter that others read must not fall. */
  #acknowledgedMost = 0;
  readonly commits = new CommitFigures();

  /** Figures of the present incarnation. */
  update(counters: TaskCounters, meters: TaskMeters = this.#currentMeters): void {
    this.#current = counters;
    this.#currentMeters = meters;
    this.#acknowledgedMost = Math.max(this.#acknowledgedMost, this.#settled.acknowledged + counters.acknowledged);
  }

  get acknowledgedMost(): number {
    return this.#acknowledgedMost;
  }

  /** What the present incarnation polled less what it settled and what it has in flight, each counted for itself: 0, or an error of ours. */
  get imbalance(): number {
    const { polled, acknowledged, deduplicated, filtered, deadLettered, skipped, inFlight } = this.#current;
    return polled - acknowledged - deduplicated - filtered - deadLettered - skipped - inFlight;
  }

  meters(): TaskMeters {
    return sumOfMeters(this.#settledMeters, this.#currentMeters);
  }

  countCommit(): void {
    this.#commits++;
  }

  /** The incarnation is over; the next counts from zero. */
  endIncarnation(): void {
    const total = this.totals();
    this.#settled = { ...total, inFlight: 0 };
    this.#carried = total.inFlight;
    this.#current = emptyCounters();
    this.#settledMeters = { ...this.meters(), queueLags: [], partitionLags: [] };
    this.#currentMeters = noMeters;
  }

  stats(connector: string, task: number, type: ConnectorType, state: UnitState): TaskStats {
    const { lag, ...totals } = this.totals();
    const counters = Object.fromEntries(Object.entries(totals).map(([name, count]) => [name, BigInt(count)]));
    const imbalance = BigInt(this.imbalance);
    return {
      id: { connector, task },
      type,
      state,
      imbalance,
      lag: BigInt(Math.round(lag)),
      ...(counters as Record<keyof typeof totals, bigint>),
    };
  }

  totals(): TaskCounters & { readonly commits: number } {
    const sum = { ...this.#settled };
    for (const name of ['acknowledged', 'deduplicated', 'filtered', 'deadLettered', 'skipped', 'bytes', 'retries'] as const) {
      sum[name] += this.#current[name];
    }
    sum.polled += Math.max(0, this.#current.polled - this.#carried);
    sum.inFlight = sum.polled - sum.acknowledged - sum.deduplicated - sum.filtered - sum.deadLettered - sum.skipped;
    sum.lag = this.#current.lag;
    return { ...sum, commits: this.#commits };
  }
}

/** Commits by what became of them, and how long they took. */
export class CommitFigures {
  readonly outcomes = { stored: 0, refused: 0, fenced: 0 };
  readonly durations = histogram(SECONDS);

  count(outcome: CommitOutcome['type'], seconds: number): void {
    if (outcome === 'closed') return;
    this.outcomes[outcome]++;
    if (outcome === 'stored') observe(this.durations, SECONDS, seconds);
  }
}

/** The ledgers of every task that this runner has had, as long as it lives. */
export class TaskLedgers {
  readonly #ledgers = new Map<string, TaskLedger>();

  of(connector: string, task: number): TaskLedger {
    const id = unitId({ connector, task });
    const ledger = this.#ledgers.get(id) ?? new TaskLedger();
    this.#ledgers.set(id, ledger);
    return ledger;
  }

  /** How many tasks are known. */
  get size(): number {
    return this.#ledgers.size;
  }

  /** The connector is deleted: one of its name that is created anew counts from zero. */
  forget(connector: string): void {
    for (const id of this.#ledgers.keys()) if (parseUnitId(id).connector === connector) this.#ledgers.delete(id);
  }
}
