import { type Clock, FatalError, type SourceBatch, type SourceTask, sleep } from '@rocketmq-connect/sdk';
import { type ErrorPlace, isRetriable } from '../errors.ts';
import type { Meters } from '../meters.ts';
import { Turns } from '../turns.ts';

/** A poll that returned at once with nothing is not repeated sooner than this. */
const EMPTY_POLL_PAUSE_MS = 10;
const NOTHING: SourceBatch = { records: [] };

/** Polls a source: tries again after a `RetriableError`, checks what it returned, and neither spins nor holds the event loop. */
export class Poller {
  readonly #task: SourceTask;
  readonly #errors: ErrorPlace;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #meters: Meters;
  readonly #turns: Turns;
  #failures = 0;
  #failingSinceMs = 0;
  #mustPause = false;

  constructor(task: SourceTask, errors: ErrorPlace, clock: Clock, signal: AbortSignal, meters: Meters) {
    this.#task = task;
    this.#errors = errors;
    this.#clock = clock;
    this.#signal = signal;
    this.#meters = meters;
    this.#turns = new Turns(clock);
  }

  /** What the source has now; an empty batch where it has nothing. Rejects when the signal ends a wait. */
  async poll(): Promise<SourceBatch> {
    if (this.#mustPause) await sleep(this.#clock, EMPTY_POLL_PAUSE_MS, this.#signal);
    await this.#turns.take();
    const sinceMs = this.#clock.monotonic();
    let batch: SourceBatch | null | undefined;
    try {
      batch = await this.#task.poll(this.#signal);
      this.#failures = 0;
    } catch (error) {
      if (this.#signal.aborted || !isRetriable(error)) throw error;
      if (this.#failures === 0) this.#failingSinceMs = sinceMs;
      await this.#errors.backoffUntilTimeout(++this.#failures, this.#failingSinceMs, error, this.#signal);
      return NOTHING;
    }
    const isNothing = batch === null || batch === undefined;
    if (!isNothing && !Array.isArray(batch?.records)) {
      throw new FatalError('the source returned no array of records', {
        code: 'SOURCE_BATCH_INVALID',
        field: 'records',
        remedy: 'This is an error of the plugin: poll returns {records: [...]} or null.',
      });
    }
    const polled = batch ?? NOTHING;
    if (polled.records.length > 0) {
      this.#meters.time('poll', sinceMs);
      this.#meters.count('pollBatch', polled.records.length);
    }
    this.#mustPause = polled.records.length === 0 && this.#clock.monotonic() - sinceMs < EMPTY_POLL_PAUSE_MS;
    return polled;
  }
}
