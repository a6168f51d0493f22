import type { QueueLag } from '@rocketmq-connect/message-log';
import type { Clock } from '@rocketmq-connect/sdk';
import { BATCH, histogram, LATENCY, observe, SECONDS } from '@rocketmq-connect/telemetry/metrics/histogram';
import type { Stage } from './errors.ts';
import type { TaskHistograms, TaskMeters } from './host-protocol.ts';

/** What a task measures beside its ledger: plain numbers, counted per batch, never per record. */
export class Meters implements TaskMeters {
  readonly recordErrors: Record<string, number> = {};
  recordFailures = 0;
  errorsLogged = 0;
  deadLetterRequests = 0;
  deadLetterFailures = 0;
  lastErrorAtMs = 0;
  readonly histograms: TaskHistograms = {};
  queueLags: readonly QueueLag[] = [];
  partitionLags: readonly { readonly partition: string; readonly lag: number }[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Monotonic, for what is measured from here on. */
  now(): number {
    return this.#clock.monotonic();
  }

  /** Measures the time since `sinceMs`, as `now` gave it. */
  time(what: 'poll' | 'send' | 'put' | 'flush', sinceMs: number): void {
    this.#observe(what, SECONDS, (this.#clock.monotonic() - sinceMs) / 1000);
  }

  count(what: 'pollBatch' | 'putBatch', records: number): void {
    this.#observe(what, BATCH, records);
  }

  /** From a record's own time, ms since the epoch, until now. Clocks differ: what lies in the future took no time. */
  latency(fromMs: number): void {
    this.#observe('latency', LATENCY, Math.max(0, this.#clock.now() - fromMs) / 1000);
  }

  recordError(stage: Stage): void {
    this.recordErrors[stage] = (this.recordErrors[stage] ?? 0) + 1;
    this.lastErrorAtMs = this.#clock.now();
  }

  /** As it is now: plain data. */
  data(): TaskMeters {
    const { recordErrors, recordFailures, errorsLogged, deadLetterRequests, deadLetterFailures, lastErrorAtMs } = this;
    const { histograms, queueLags, partitionLags } = this;
    const counts = { recordErrors, recordFailures, errorsLogged, deadLetterRequests, deadLetterFailures, lastErrorAtMs };
    return structuredClone({ ...counts, histograms, queueLags, partitionLags });
  }

  #observe(what: keyof TaskHistograms, bounds: readonly number[], value: number): void {
    this.histograms[what] ??= histogram(bounds);
    observe(this.histograms[what], bounds, value);
  }
}
