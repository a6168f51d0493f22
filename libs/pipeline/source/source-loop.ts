import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import type { Clock, JsonValue, SourceBatch, SourceTask, TaskLogger } from '@rocketmq-connect/sdk';
import { canonicalJson } from '../canonical-json.ts';
import type { PipelineSettings } from '../config/settings.ts';
import { type ErrorPlace, isRetriable } from '../errors.ts';
import { type CommitContent, LAST_FREEZE, type QueueMark as StoredMark, type TaskCounters } from '../host-protocol.ts';
import type { Meters } from '../meters.ts';
import { sessionOver } from '../session.ts';
import { SourceTraces } from '../tracing/source-trace.ts';
import type { TaskSpans } from '../tracing/task-spans.ts';
import { type AckSegment, AckTracker, type Checkpoint, type FrozenOffset } from './ack-tracker.ts';
import type { OutgoingBatch } from './delivery.ts';
import { Poller } from './poller.ts';
import type { RecordEncoder } from './record-encoder.ts';
import { ReplayWindow } from './replay.ts';
import { SourceDispatch } from './source-dispatch.ts';

export interface SourceLoopOptions {
  readonly connector: string;
  /** Tells what this task sent from what its siblings sent. */
  readonly author: string;
  readonly task: SourceTask;
  readonly encoder: RecordEncoder;
  readonly errors: ErrorPlace;
  readonly log: MessageLog;
  readonly settings: PipelineSettings;
  /** The source is deterministic and exactly.once is `auto`. */
  readonly exactlyOnce: boolean;
  readonly uncleanMarks: readonly StoredMark[];
  readonly paused: boolean;
  readonly counters: TaskCounters;
  readonly meters: Meters;
  readonly logger: TaskLogger;
  /** Null: nothing is traced. */
  readonly spans: TaskSpans | null;
  readonly clock: Clock;
  readonly sessionIsOver: () => boolean;
  /** Aborted when the task is to stop: ends polls and waits, not sends. */
  readonly stopSignal: AbortSignal;
  /** Marks must be committed before the first send to a topic. */
  readonly onCommitWanted: () => void;
  readonly onFailed: (error: unknown) => void;
}

/** A mark that moves makes a commit, also of a task that has nothing else to commit. */
const MOVE_MARKS_EVERY_MS = 30_000;

/** The data path of a source task: poll, stages, send, acknowledge, commit. Reads top-down: `run`, `freeze`, `committed`, `drain`. */
export class SourceLoop {
  readonly #options: SourceLoopOptions;
  readonly #tracker = new AckTracker();
  readonly #window: ReplayWindow;
  readonly #dispatch: SourceDispatch;
  readonly #traces: SourceTraces | null;
  readonly #end = new AbortController();
  #bytesInFlight = 0;
  #paused: boolean;
  #failed = false;
  #wake: (() => void) | null = null;
  #frozen: {
    readonly id: number;
    readonly offsets: readonly FrozenOffset[];
    readonly checkpoint: Checkpoint | null;
    topics: readonly string[];
  } | null = null;
  #givenCheckpoint: Checkpoint | null = null;
  #marksMovedMs: number;
  readonly #unsafeSaid = new Set<string>();

  constructor(options: SourceLoopOptions) {
    this.#options = options;
    this.#paused = options.paused;
    this.#marksMovedMs = options.clock.monotonic();
    this.#traces = options.spans === null ? null : new SourceTraces(options.spans);
    options.stopSignal.addEventListener('abort', () => this.#awake(), { once: true });
    this.#window = new ReplayWindow(options.exactlyOnce ? options.uncleanMarks : [], options.clock);
    const { log, errors, settings } = options;
    this.#dispatch = new SourceDispatch({
      ...options,
      tracker: this.#tracker,
      window: this.#window,
      onAdded: (bytes) => {
        this.#bytesInFlight += bytes;
      },
      sender: {
        log,
        clock: options.clock,
        batch: settings.batch,
        errors,
        meters: options.meters,
        signal: this.#end.signal,
        sessionIsOver: options.sessionIsOver,
        durability: settings.sendDurability,
        onAcknowledged: (batch) => this.#done(batch, 'acknowledged'),
        onSettled: (batch, outcome) => this.#done(batch, outcome),
        onUnsafe: (queue, what) => this.#unsafe(queue, what),
        onDelivered: () => this.#awake(),
        onRefused: (error) => this.#fail(error),
      },
    });
  }

  /** Polls until the task is to stop. Failures go to `onFailed`. */
  async run(): Promise<void> {
    const { task, errors, clock, stopSignal, settings, meters } = this.#options;
    try {
      if (this.#options.exactlyOnce) await this.#scan();
      const poller = new Poller(task, errors, clock, stopSignal, meters);
      while (!stopSignal.aborted && !this.#failed) {
        if (this.#paused || this.#bytesInFlight >= settings.bytesInFlightMax) {
          await this.#sleepUntilWoken();
          continue;
        }
        const sinceMs = this.#traces === null ? 0 : clock.monotonic();
        const batch = await poller.poll();
        // What comes after the stop is not sent, and so polled again by whoever goes on.
        if (!stopSignal.aborted) await this.#take(batch, sinceMs);
      }
    } catch (error) {
      // What a stop interrupts rejects: that is no failure.
      if (!stopSignal.aborted) this.#fail(error);
    }
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#awake();
  }

  /** Brings up to date what nothing counts. */
  sample(): void {
    const { counters, meters, task } = this.#options;
    counters.inFlight = this.#tracker.open;
    // A task that has ended is as far behind as it was.
    if (this.#failed) return;
    const lags = task.lags?.() ?? [];
    counters.lag = task.lag?.() ?? (lags.length === 0 ? -1 : lags.reduce((sum, { lag }) => sum + lag, 0));
    meters.partitionLags = mostBehind(lags);
  }

  /** What may be committed now; the log has made it durable when this resolves (invariant 5). */
  async freeze(id: number): Promise<CommitContent> {
    this.#moveIdleMarks();
    const offsets = this.#tracker.freeze();
    const { marks, topics } = this.#freezeMarks();
    const used = this.#dispatch.takeUsedTopics();
    this.#frozen = { id, offsets, topics, checkpoint: this.#tracker.checkpoint };
    const sinceMs = this.#options.clock.monotonic();
    await this.#flushLog();
    // Invariant 6: nothing is committed once the session may be over.
    if (this.#options.sessionIsOver()) throw sessionOver();
    const traceparent = this.#traces?.frozen(id, sinceMs);
    return {
      offsets: offsets.map(({ partition, text }) => ({ partition: partition.text, offset: text })),
      positions: [],
      sinkStates: {},
      marks,
      topics: used,
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  }

  /** The frozen content is stored: the source may forget what is before its checkpoint, and marked topics may be sent to. */
  async committed(id: number): Promise<void> {
    const frozen = this.#frozen;
    if (frozen === null || frozen.id !== id) return;
    this.#frozen = null;
    this.#traces?.committed(id);
    this.#tracker.committed(frozen.offsets);
    this.#dispatch.release(frozen.topics);
    const { checkpoint } = frozen;
    if (checkpoint === null || checkpoint === this.#givenCheckpoint) return;
    this.#givenCheckpoint = checkpoint;
    try {
      await this.#options.task.committed?.(checkpoint.value);
    } catch (error) {
      if (!isRetriable(error)) return this.#fail(error);
      // The next commit gives a later checkpoint, or this one again.
      this.#givenCheckpoint = null;
      this.#options.logger.warn('the source could not advance its position, trying again with the next commit', {
        error: (error as Error).message,
      });
    }
  }

  /**
   * After `run` has ended: sends what was polled, so that no record behind it is sent twice, and gives the last content. Null where the end is
   * not a clean one: the loop failed, a topic's marks were never committed, an earlier unclean end is not made up for yet, or the log took
   * nothing for `limitMs` (0: no limit).
   */
  async finish(limitMs: number): Promise<CommitContent | null> {
    const { clock, logger } = this.#options;
    const giveUp = (): void => {
      logger.warn(`the log took not all that was polled within ${limitMs} ms: the task ends without, and who goes on sends it again`);
      this.#failed = true;
      this.#end.abort(new Error('the task must end'));
      this.#awake();
    };
    const cancel = limitMs === 0 ? () => undefined : clock.after(limitMs, giveUp);
    try {
      const isWhole = this.#dispatch.sendAll();
      while (!this.#failed && !this.#dispatch.isEmpty) await this.#sleepUntilWoken();
      if (!isWhole || this.#failed) return null;
      const content = await this.freeze(LAST_FREEZE);
      return this.#window.isOver ? content : null;
    } finally {
      cancel();
    }
  }

  /**
   * Nothing is sent any more, and what was on its way has arrived or not when this resolves: whoever goes on looks at the end of the log, and
   * must find it there.
   */
  async close(): Promise<void> {
    this.#failed = true;
    this.#end.abort(new Error('the task has ended'));
    this.#awake();
    await this.#dispatch.close();
    this.#traces?.close();
  }

  async #take(batch: SourceBatch, sinceMs: number): Promise<void> {
    if (batch.records.length === 0 && batch.checkpoint === undefined) return;
    const poll = this.#tracker.track(batch.records, batch.checkpoint);
    this.#options.counters.polled += batch.records.length;
    const trace = this.#traces?.begin(sinceMs, batch.records, poll) ?? null;
    try {
      await this.#dispatch.process(batch.records, poll, trace);
      trace?.dispatched(null);
    } catch (error) {
      // What a stop interrupts is no failure.
      trace?.dispatched(this.#options.stopSignal.aborted ? null : error);
      throw error;
    } finally {
      this.#dispatch.sendReady();
    }
  }

  /** What an unclean end left in the log is read before anything is polled. */
  async #scan(): Promise<void> {
    const { log, connector, author, stopSignal, errors, clock, logger } = this.#options;
    const sinceMs = clock.monotonic();
    for (let repetition = 1; ; repetition++) {
      try {
        await this.#window.scan(log, connector, author, stopSignal);
        break;
      } catch (error) {
        if (stopSignal.aborted || !isRetriable(error)) throw error;
        await errors.backoffForLog(repetition, sinceMs, error, stopSignal);
      }
    }
    if (this.#window.size > 0) {
      logger.info(`after an unclean end, ${this.#window.size} records at the end of the log may be polled again: they are not sent twice`);
    }
  }

  #done(batch: OutgoingBatch, outcome: 'acknowledged' | 'deadLettered' | 'skipped'): void {
    const { counters, meters } = this.#options;
    const { segments, from, to } = batch.runs;
    for (let run = 0; run < segments.length; run++) {
      const segment = segments[run] as AckSegment;
      const done = this.#tracker.done(segment, from[run] as number, to[run] as number);
      counters[outcome] += done;
      if (done > 0 && segment.poll.open === 0 && segment.poll.timestampMs !== undefined) meters.latency(segment.poll.timestampMs);
    }
    if (outcome === 'acknowledged') counters.bytes += batch.messages.bytes.length;
    this.#bytesInFlight -= batch.messages.bytes.length;
  }

  /** Said once of each kind: a slave that is away would fill the log. */
  #unsafe({ topic, broker }: QueueAddress, what: string): void {
    const { settings, logger } = this.#options;
    if (this.#unsafeSaid.has(what)) return;
    this.#unsafeSaid.add(what);
    const then = settings.sendDurability === 'stored' ? 'it counts as sent' : 'it is sent again';
    logger.warn(`broker ${broker} stored a batch of ${topic}, but ${what}: ${then} (send.durability=${settings.sendDurability})`);
  }

  /** For one of the next commits: this one does not wait for the log. */
  #moveIdleMarks(): void {
    const { clock, exactlyOnce, logger } = this.#options;
    const now = clock.monotonic();
    if (!exactlyOnce || now - this.#marksMovedMs < MOVE_MARKS_EVERY_MS) return;
    this.#marksMovedMs = now;
    this.#dispatch.moveIdleMarks().catch((error: Error) => logger.debug('marks stay where they are', { error: error.message }));
  }

  #freezeMarks(): { marks: StoredMark[]; topics: string[] } {
    const marks = [...this.#window.freeze().values()].map(({ queue, offset }): StoredMark => ({ queue, offset, inherited: true }));
    const topics: string[] = [];
    for (const route of this.#dispatch.routes) {
      topics.push(route.topic);
      for (const { mark } of route.senders) {
        if (mark !== null) marks.push({ queue: mark.queue, offset: mark.freeze() });
      }
    }
    return { marks, topics };
  }

  async #flushLog(): Promise<void> {
    const { log, errors, clock } = this.#options;
    const sinceMs = clock.monotonic();
    for (let repetition = 1; ; repetition++) {
      try {
        return await log.flush();
      } catch (error) {
        if (!isRetriable(error)) throw error;
        await errors.backoffForLog(repetition, sinceMs, error, this.#end.signal);
      }
    }
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#end.abort(new Error('the task has failed'));
    this.#awake();
    this.#options.onFailed(error);
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

const PARTITION_LAGS_MAX = 100;

/** A source may have any number of partitions; as many are told as can be looked at. */
function mostBehind(lags: NonNullable<ReturnType<NonNullable<SourceTask['lags']>>>): Meters['partitionLags'] {
  const most = lags.length <= PARTITION_LAGS_MAX ? lags : [...lags].sort((a, b) => b.lag - a.lag).slice(0, PARTITION_LAGS_MAX);
  return most.map(({ partition, lag }) => ({ partition: canonicalJson(partition as JsonValue), lag }));
}
