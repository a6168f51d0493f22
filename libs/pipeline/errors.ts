import { NAME_END, VALUE_END } from '@rocketmq-connect/message-log/message';
import { type Clock, ConnectError, type Random, sleep, type TaskLogger } from '@rocketmq-connect/sdk';
import { backoffMs } from './backoff.ts';
import type { PipelineSettings } from './config/settings.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { TaskCounters } from './host-protocol.ts';
import type { Meters } from './meters.ts';
import { propertiesFit } from './record-properties.ts';

/** Where in the data path a record failed; Kafka Connect's names. */
export type Stage = 'TRANSFORMATION' | 'KEY_CONVERTER' | 'VALUE_CONVERTER' | 'HEADER_CONVERTER' | 'TASK_PUT' | 'PRODUCE';

/** A record that cannot be processed, as its dead letter. */
export interface FailedRecord {
  readonly stage: Stage;
  readonly topic: string;
  /** Of records that came from the log. */
  readonly origin?: { readonly broker: string; readonly queue: number; readonly offset: number };
  readonly body: Buffer;
  /** Encoded properties, ids left out. */
  readonly properties: string;
}

export interface ErrorPlaceOptions {
  readonly settings: PipelineSettings['errors'];
  readonly connector: string;
  readonly connectorClass: string;
  readonly task: number;
  readonly deadLetters: DeadLetters | null;
  readonly counters: TaskCounters;
  readonly meters: Meters;
  readonly log: TaskLogger;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborted when the task stops. */
  readonly signal: AbortSignal;
  /** The same error without secrets. */
  readonly hide: (error: unknown) => unknown;
}

/** The one place where it is decided what becomes of an error: tried again, skipped, dead-lettered, or the end of the task. */
export class ErrorPlace {
  readonly #options: ErrorPlaceOptions;

  constructor(options: ErrorPlaceOptions) {
    this.#options = options;
  }

  /**
   * Runs a record's stages again after its error, as long as it is a `RetriableError` and `errors.retry.timeout` allows. Returns what
   * they return, or throws the last error.
   */
  async retry<T>(first: unknown, attempt: () => T | Promise<T>): Promise<T> {
    const { meters } = this.#options;
    const { retryTimeoutMs } = this.#options.settings;
    let error = first;
    meters.recordFailures++;
    const sinceMs = this.#options.clock.monotonic();
    for (let repetition = 1; isRetriable(error); repetition++) {
      if (retryTimeoutMs >= 0 && this.#options.clock.monotonic() - sinceMs >= retryTimeoutMs) break;
      await this.backoff(repetition, this.#options.signal);
      try {
        return await attempt();
      } catch (again) {
        error = again;
        meters.recordFailures++;
      }
    }
    throw error;
  }

  /**
   * Waits before a repetition of what has to succeed some time: sends and puts. They are repeated for ever, as in Kafka Connect, unless
   * `errors.retry.timeout` is set to a positive time: then throws the error when it is over.
   */
  async backoffUntilTimeout(
    repetition: number,
    sinceMs: number,
    error: unknown,
    signal: AbortSignal,
    delayMaxMs = this.#options.settings.retryDelayMaxMs,
  ): Promise<void> {
    const { retryTimeoutMs } = this.#options.settings;
    if (retryTimeoutMs > 0 && this.#options.clock.monotonic() - sinceMs >= retryTimeoutMs) throw error;
    if (repetition === 3) this.#options.log.warn('still failing, trying on', { error: messageOf(this.#options.hide(error)) });
    await this.backoff(repetition, signal, delayMaxMs);
  }

  /** The same where it is the message log that is away. */
  backoffForLog(repetition: number, sinceMs: number, error: unknown, signal: AbortSignal): Promise<void> {
    return this.backoffUntilTimeout(repetition, sinceMs, error, signal, this.#options.settings.logRetryDelayMaxMs);
  }

  async backoff(repetition: number, signal: AbortSignal, delayMaxMs = this.#options.settings.retryDelayMaxMs): Promise<void> {
    const { clock, random, counters } = this.#options;
    counters.retries++;
    await sleep(clock, backoffMs(repetition, delayMaxMs, random), signal);
  }

  /**
   * What becomes of a record: resolves when it is durable in the dead-letter topic or may be skipped; throws the error when the task must
   * fail of it. Positions that pass the record may be committed only afterwards (invariant 5).
   */
  async settle(thrown: unknown, failed: FailedRecord): Promise<'deadLettered' | 'skipped'> {
    const { settings, deadLetters, log, signal, meters } = this.#options;
    const error = this.#options.hide(thrown);
    // A stop fails whatever waits; that is no record's error.
    if (signal.aborted || isOfTheTask(error)) throw error;
    meters.recordError(failed.stage);
    // What is tried again elsewhere, or not at all.
    if (failed.stage === 'PRODUCE' || failed.stage === 'TASK_PUT') meters.recordFailures++;
    // Which record it was has to be told where the task fails of it, or nobody finds it.
    if (settings.logEnable || settings.tolerance === 'none') {
      meters.errorsLogged++;
      log.error(`a record failed in ${failed.stage}: ${messageOf(error)}`, this.#details(failed, error));
    }
    if (settings.tolerance === 'none') throw error;
    if (deadLetters === null) return 'skipped';
    const headers = settings.deadLetterHeaders ? this.#headers(failed, error) : '';
    meters.deadLetterRequests++;
    await deadLetters.send(failed.body, withRoom(failed.properties, headers));
    return 'deadLettered';
  }

  #details(failed: FailedRecord, error: unknown): Record<string, unknown> {
    const { origin, topic, stage } = failed;
    const text = failed.body.toString('utf8', 0, 2000);
    return {
      stage,
      topic,
      ...(origin ?? {}),
      error: messageOf(error),
      ...(this.#options.settings.logIncludeMessages ? { record: text, properties: printable(failed.properties) } : {}),
    };
  }

  #headers({ origin, topic, stage }: FailedRecord, error: unknown): string {
    const { connector, connectorClass, task } = this.#options;
    const header = (name: string, value: string): string =>
      `__connect.errors.${name}${NAME_END}${value.toWellFormed().replaceAll(NAME_END, ' ').replaceAll(VALUE_END, ' ')}${VALUE_END}`;
    return (
      header('topic', topic) +
      (origin === undefined
        ? ''
        : header('partition', String(origin.queue)) + header('offset', String(origin.offset)) + header('broker', origin.broker)) +
      header('connector.name', connector) +
      header('task.id', String(task)) +
      header('stage', stage) +
      header('class.name', connectorClass) +
      header('exception.class.name', error instanceof Error ? error.name : typeof error) +
      header('exception.message', messageOf(error).slice(0, 2000)) +
      header('exception.stacktrace', (error instanceof Error ? (error.stack ?? '') : '').slice(0, 4000))
    );
  }
}

export function isRetriable(error: unknown): boolean {
  return error instanceof ConnectError && error.kind === 'retriable';
}

/** The log takes no batch of this size. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof ConnectError && error.code === 'MESSAGE_TOO_LARGE';
}

/** The log does not take this one message; it takes others. */
export function isOfTheMessage(error: unknown): boolean {
  return isTooLarge(error) || (error instanceof ConnectError && error.code === 'DELAY_TOO_LONG');
}

/** A wrong configuration fails every record: it is no record's error. */
function isOfTheTask(error: unknown): boolean {
  return error instanceof ConnectError && error.kind !== 'data' && error.kind !== 'retriable';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function printable(properties: string): string {
  return properties.replaceAll(NAME_END, '=').replaceAll(VALUE_END, ' ');
}

/** The record's own properties matter more than what is said about its error, where there is room for one of them only. */
function withRoom(properties: string, headers: string): string {
  return [properties + headers, properties, headers].find(propertiesFit) ?? '';
}
