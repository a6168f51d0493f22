import type { Clock } from '@rocketmq-connect/sdk';
import { histogram, observe, SECONDS } from '@rocketmq-connect/telemetry/metrics/histogram';
import type { Emit } from '@rocketmq-connect/telemetry/metrics/registry';
import type { Snapshot } from './snapshot.ts';

/** What the last round of a leader found. */
interface Found {
  readonly placed: number;
  readonly unplaced: number;
  readonly missing: number;
  readonly runners: Snapshot['runners'];
}

/** What a scheduler has done; counts only grow. */
export class SchedulerFigures {
  readonly #clock: Clock;
  readonly #rounds = { unchanged: 0, written: 0, refused: 0, failed: 0 };
  readonly #durations = histogram(SECONDS);
  #found: Found | null = null;
  #changedAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  round(outcome: 'unchanged' | 'written' | 'refused' | 'failed', seconds: number): void {
    this.#rounds[outcome]++;
    observe(this.#durations, SECONDS, seconds);
    if (outcome === 'written') this.#changedAtMs = this.#clock.now();
  }

  placed(found: Found): void {
    this.#found = found;
  }

  /** What was found counts only while this scheduler leads. */
  emit(emit: Emit, leads: boolean): void {
    emit('rocketmq_connect_scheduler_leading', {}, leads ? 1 : 0);
    for (const [outcome, count] of Object.entries(this.#rounds)) emit('rocketmq_connect_scheduler_rounds_total', { outcome }, count);
    emit('rocketmq_connect_scheduler_round_duration_seconds', {}, this.#durations);
    if (this.#changedAtMs > 0) emit('rocketmq_connect_scheduler_last_change_timestamp_seconds', {}, this.#changedAtMs / 1000);
    if (!leads || this.#found === null) return;
    const { placed, unplaced, missing, runners } = this.#found;
    emit('rocketmq_connect_scheduler_placed_units', {}, placed);
    emit('rocketmq_connect_scheduler_unplaced_units', {}, unplaced);
    const draining = runners.filter((runner) => runner.draining).length;
    emit('rocketmq_connect_scheduler_runners', { state: 'ready' }, runners.length - draining);
    emit('rocketmq_connect_scheduler_runners', { state: 'draining' }, draining);
    emit('rocketmq_connect_scheduler_runners', { state: 'missing' }, missing);
  }
}
