import type { FetchedMessages } from '@rocketmq-connect/message-log';
import { inParts } from '@rocketmq-connect/message-log/slices';
import { type Clock, type ConnectError, FatalError, type SinkRecord, type SinkTask, sleep } from '@rocketmq-connect/sdk';
import { type ErrorPlace, isRetriable } from '../errors.ts';
import { type CommitContent, LAST_FREEZE } from '../host-protocol.ts';
import type { Meters } from '../meters.ts';
import { sessionOver } from '../session.ts';
import type { TransformChain } from '../stages/chain.ts';
import type { SinkTrace, SinkTraces } from '../tracing/sink-trace.ts';
import { Turns } from '../turns.ts';
import type { RecordDecoder } from './record-decoder.ts';
import { type SinkInput, type SinkInputOptions, sinkInput } from './sink-input.ts';
import { SinkStages } from './sink-stages.ts';

export interface SinkLoopOptions extends SinkInputOptions {
  readonly task: SinkTask;
  readonly meters: Meters;
  readonly decoder: RecordDecoder;
  readonly chain: TransformChain;
  readonly errors: ErrorPlace;
  /** Name → JSON text, as last committed. */
  readonly sinkStates: Readonly<Record<string, string>>;
  readonly paused: boolean;
  /** Null: nothing is traced. */
  readonly traces: SinkTraces | null;
  readonly clock: Clock;
  readonly sessionIsOver: () => boolean;
  /** Aborted when the task is to stop: ends reads and waits. */
  readonly stopSignal: AbortSignal;
  /** Aborted when a `put` must not go on: what it leaves behind is then not committed. */
  readonly putSignal: AbortSignal;
  readonly onFailed: (error: unknown) => void;
  /** Content frozen while the task stops, which is to be stored before its end; `committed` follows if that is possible. */
  readonly onLastFrozen: (id: number, content: CommitContent) => void;
}

const READ_WAIT_MS = 1000;
/** Readers fetch ahead by themselves. What is read at once lives until all of it is put: little enough to die young. */
const READ_BYTES_MAX = 256 * 1024;
const MAX_STATE_BYTES = 64 * 1024;
/** A stop does not wait longer for the store and the log: what they do not know of comes again. */
const LAST_WAIT_MS = 1000;

/** The data path of a sink task: read, decode, transform, put, flush, commit. Reads top-down: `run`, `freeze`, `committed`. */
export class SinkLoop {
  readonly #options: SinkLoopOptions;
  readonly #input: SinkInput;
  #paused: boolean;
  #wake: (() => void) | null = null;
  /** What was read last; dead letters are taken from it. */
  #read: readonly FetchedMessages[] = [];
  readonly #stages: SinkStages;
  /** Of the messages being put, handed to the error place by the sink. */
  #reported = 0;
  #isPutting = false;
  /** A put ended half done: flushing now would commit the half without its positions. */
  #isTorn = false;
  #reports = new Set<Promise<void>>();
  #turn: Promise<unknown> = Promise.resolve();
  #states: Record<string, string>;
  #frozen: { readonly id: number; readonly states: Record<string, string> } | null = null;
  #onCommitted: (id: number) => void = () => undefined;

  constructor(options: SinkLoopOptions) {
    this.#options = options;
    this.#paused = options.paused;
    this.#states = { ...options.sinkStates };
    this.#stages = new SinkStages(options);
    this.#input = sinkInput(options);
    options.stopSignal.addEventListener('abort', () => this.#awake(), { once: true });
  }

  /** Reads and puts until the task is to stop. Failures go to `onFailed`. */
  async run(): Promise<void> {
    const { stopSignal, settings, errors, clock, traces } = this.#options;
    const input = this.#input;
    const turns = new Turns(clock);
    let failures = 0;
    let failingSinceMs = 0;
    try {
      while (!stopSignal.aborted) {
        if (this.#paused || input.empty) {
          input.pause();
          await this.#sleepUntilWoken();
          continue;
        }
        await turns.take();
        const sinceMs = traces === null ? 0 : traces.nowMs();
        try {
          this.#read = await input.read(Math.min(settings.bytesInFlightMax, READ_BYTES_MAX), READ_WAIT_MS, stopSignal);
          failures = 0;
        } catch (error) {
          if (stopSignal.aborted) return;
          if (!isRetriable(error)) throw error;
          if (failures === 0) failingSinceMs = clock.monotonic();
          await errors.backoffForLog(++failures, failingSinceMs, error, stopSignal);
          continue;
        }
        // What was read before a pause is put; what was read before a stop is read again by whoever goes on.
        await this.#take(this.#read, sinceMs);
      }
    } catch (error) {
      if (!stopSignal.aborted) this.#options.onFailed(error);
    }
  }

  /** Brings up to date what nothing counts. */
  sample(): void {
    const { counters, meters } = this.#options;
    const lags = this.#input.lags();
    if (lags === null) return;
    counters.lag = lags.reduce((sum, { lag }) => sum + lag, 0);
    meters.queueLags = lags;
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#awake();
  }

  /**
   * Flushes the sink, between two puts, and gives what a commit stores of everything put (invariant 5). Dead letters are durable first
   * (KIP-610). Null when the last put was cut off.
   */
  async freeze(id: number): Promise<CommitContent | null> {
    return this.#inTurn(async () => {
      const { task, log, meters, sessionIsOver, traces } = this.#options;
      if (this.#isTorn) return null;
      const tracedMs = traces === null ? 0 : traces.nowMs();
      const sinceMs = meters.now();
      const states = (await task.flush?.()) ?? {};
      meters.time('flush', sinceMs);
      await Promise.all(this.#reports);
      await log.flush();
      // Invariant 6: nothing is committed once the session may be over.
      if (sessionIsOver()) throw sessionOver();
      const texts = stateTexts(states);
      this.#frozen = { id, states: texts };
      const traceparent = traces?.frozen(id, tracedMs);
      const changed = Object.entries(texts).filter(([name, text]) => this.#states[name] !== text);
      const content = { offsets: [], positions: this.#input.freeze(), sinkStates: Object.fromEntries(changed), marks: [], topics: [] };
      return traceparent === undefined ? content : { ...content, traceparent };
    });
  }

  /** The frozen content is stored. */
  async committed(id: number): Promise<void> {
    const frozen = this.#frozen;
    if (frozen === null || frozen.id !== id) return;
    this.#frozen = null;
    Object.assign(this.#states, frozen.states);
    this.#options.traces?.committed(id);
    await this.#input.committed();
    this.#onCommitted(id);
  }

  /**
   * After `run`: the last content. A log that is to be told what is done with is told here, since nobody is here any more when the content
   * is stored with the release; what the sink returned is therefore stored before.
   */
  async finish(): Promise<CommitContent | null> {
    const { onLastFrozen, clock } = this.#options;
    const content = await this.freeze(LAST_FREEZE);
    if (content === null || !this.#input.acknowledges) return content;
    const isStored = Object.keys(content.sinkStates).length === 0;
    const told = isStored
      ? this.committed(LAST_FREEZE)
      : new Promise<void>((resolve) => {
          this.#onCommitted = (id) => (id === LAST_FREEZE ? resolve() : undefined);
          onLastFrozen(LAST_FREEZE, content);
        });
    const tooLate = new AbortController();
    await Promise.race([told, sleep(clock, LAST_WAIT_MS, tooLate.signal).catch(() => undefined)]);
    tooLate.abort();
    return content;
  }

  /** The sink cannot take a record: resolves when it is durable in the dead-letter topic, or may be skipped. */
  report(record: SinkRecord, error: ConnectError): Promise<void> {
    const { errors, decoder, counters, onFailed } = this.#options;
    const { origin } = record;
    const fetched = this.#read.find(
      ({ queue, offset, count }) =>
        origin.offset >= offset &&
        origin.offset < offset + count &&
        queue.queue === origin.queue &&
        queue.broker === origin.broker &&
        queue.topic === origin.topic,
    );
    const work = async (): Promise<void> => {
      const outcome = await errors.settle(error, decoder.failed(record, 'TASK_PUT', fetched));
      counters[outcome]++;
      if (this.#isPutting) {
        this.#reported++;
        counters.inFlight--;
      } else counters.acknowledged--;
    };
    const reported = work();
    this.#reports.add(reported);
    reported.then(
      () => this.#reports.delete(reported),
      // A sink may look away from the promise: the record is not lost for that.
      (refused: unknown) => onFailed(refused),
    );
    return reported;
  }

  async close(): Promise<void> {
    this.#options.traces?.close();
    await this.#input.close();
  }

  async #take(fetched: readonly FetchedMessages[], sinceMs: number): Promise<void> {
    const { counters, traces } = this.#options;
    let messages = 0;
    for (const { count, bytes } of fetched) {
      messages += count;
      counters.bytes += bytes.length;
    }
    counters.polled += messages;
    counters.inFlight += messages;
    const trace = messages === 0 ? null : (traces?.begin(sinceMs, messages) ?? null);
    try {
      await this.#process(fetched, trace);
      trace?.end(null);
    } catch (error) {
      // What a stop interrupts is no failure.
      trace?.end(this.#options.stopSignal.aborted ? null : error);
      throw error;
    }
  }

  async #process(fetched: readonly FetchedMessages[], trace: SinkTrace | null): Promise<void> {
    const { settings, stopSignal, chain } = this.#options;
    const stages = this.#stages;
    // No more at a time than is put at once: records that outlive a turn of the nursery cost more than all else.
    for (const messages of inParts(fetched, settings.putMaxRecords)) {
      trace?.converts();
      const records = await stages.decode(messages);
      if (!chain.empty) trace?.transforms();
      for (let i = 0; i < records.length; i++) {
        const transformed = stages.take(records[i] ?? null, messages);
        if (transformed !== undefined) await transformed;
        if (stages.records.length >= settings.putMaxRecords) {
          this.#input.reach(messages, i + 1);
          await this.#put(trace);
          if (stopSignal.aborted) return;
          if (!chain.empty) trace?.transforms();
        }
      }
      this.#input.reach(messages, messages.count);
    }
    await this.#put(trace);
  }

  /** Puts what was collected, as often as the sink asks for it; then its positions count. */
  async #put(trace: SinkTrace | null): Promise<void> {
    const { errors, clock, counters, stopSignal } = this.#options;
    const { records, messages } = this.#stages.collected();
    const sinceMs = clock.monotonic();
    const tracedMs = records.length === 0 || trace === null ? 0 : trace.putting();
    try {
      for (let repetition = 1; records.length > 0; repetition++) {
        try {
          await this.#inTurn(() => this.#putOnce(records));
          break;
        } catch (error) {
          if (!isRetriable(error)) throw error;
          await errors.backoffUntilTimeout(repetition, sinceMs, error, stopSignal);
        }
      }
    } catch (error) {
      trace?.put(tracedMs, records, stopSignal.aborted ? null : error);
      throw error;
    }
    if (records.length === 0) this.#input.put();
    else trace?.put(tracedMs, records, null);
    counters.acknowledged += messages - this.#reported;
    counters.inFlight -= messages - this.#reported;
    this.#reported = 0;
  }

  async #putOnce(records: readonly SinkRecord[]): Promise<void> {
    const { task, meters, putSignal, stopSignal, sessionIsOver } = this.#options;
    stopSignal.throwIfAborted();
    // Invariant 6: nothing is written once the session may be over.
    if (sessionIsOver()) throw sessionOver();
    this.#isPutting = true;
    const sinceMs = meters.now();
    try {
      await task.put(records, putSignal);
      meters.time('put', sinceMs);
      meters.count('putBatch', records.length);
      const fromMs = records[0]?.timestamp ?? this.#read[0]?.storedAtMs;
      if (fromMs !== undefined) meters.latency(fromMs);
      // In the same turn, so that no flush comes between the records and their positions.
      this.#input.put();
    } catch (error) {
      if (!isRetriable(error) || putSignal.aborted) this.#isTorn = true;
      throw error;
    } finally {
      this.#isPutting = false;
    }
  }

  /** Puts and flushes one at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #sleepUntilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

function stateTexts(states: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(states).map(([name, state]) => {
      const text = JSON.stringify(state) ?? 'null';
      if (Buffer.byteLength(text) <= MAX_STATE_BYTES) return [name, text];
      throw new FatalError(`the sink's state ${name} has ${Buffer.byteLength(text)} bytes; at most ${MAX_STATE_BYTES} are stored`, {
        code: 'SINK_STATE_TOO_LARGE',
        remedy: 'This is an error of the plugin: keep large state in the outside system, and its name here.',
      });
    }),
  );
}
