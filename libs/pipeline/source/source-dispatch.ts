import type { MessageLog } from '@rocketmq-connect/message-log';
import { type Clock, FatalError, type SourceRecord } from '@rocketmq-connect/sdk';
import type { PipelineSettings } from '../config/settings.ts';
import { type ErrorPlace, isRetriable } from '../errors.ts';
import type { TaskCounters } from '../host-protocol.ts';
import { WrittenProperties } from '../property-writer.ts';
import type { SourceTrace } from '../tracing/source-trace.ts';
import type { AckSegment, AckTracker, TrackedPoll } from './ack-tracker.ts';
import type { SenderOptions } from './delivery.ts';
import { Runs } from './marks.ts';
import type { RecordEncoder } from './record-encoder.ts';
import { RecordIds } from './record-id.ts';
import type { ReplayWindow } from './replay.ts';
import { openRoute, type TopicRoute } from './router.ts';

export interface DispatchOptions {
  readonly connector: string;
  readonly encoder: RecordEncoder;
  readonly errors: ErrorPlace;
  readonly log: MessageLog;
  readonly settings: PipelineSettings;
  readonly exactlyOnce: boolean;
  readonly author: string;
  readonly counters: TaskCounters;
  readonly tracker: AckTracker;
  readonly window: ReplayWindow;
  readonly clock: Clock;
  readonly stopSignal: AbortSignal;
  readonly sender: SenderOptions;
  /** Bytes that were added to batches. */
  readonly onAdded: (bytes: number) => void;
  readonly onCommitWanted: () => void;
}

/**
 * From a poll's records to the batches of queues: transforms, converters, route. Synchronous from record to record; it waits only where a
 * transform does, where a topic is opened, and where a record fails.
 */
export class SourceDispatch {
  readonly #options: DispatchOptions;
  readonly #ids: RecordIds | null;
  readonly #routes = new Map<string, TopicRoute>();
  #lastRoute: TopicRoute | undefined;
  #closed = false;

  constructor(options: DispatchOptions) {
    this.#options = options;
    this.#ids = options.exactlyOnce ? new RecordIds(options.connector, options.author) : null;
  }

  get routes(): Iterable<TopicRoute> {
    return this.#routes.values();
  }

  get isEmpty(): boolean {
    for (const route of this.#routes.values()) if (!route.isEmpty) return false;
    return true;
  }

  /** Puts the records of a poll into batches. Ends early, with an error, where the task must fail or stop. */
  async process(records: readonly SourceRecord[], poll: TrackedPoll, trace: SourceTrace | null): Promise<void> {
    const { encoder, tracker, stopSignal } = this.#options;
    const { chain } = encoder;
    encoder.trace = trace;
    let segment: AckSegment | undefined;
    for (const record of records) {
      if (segment === undefined || segment.partition.partition !== record.partition) {
        segment = tracker.partition(record.partition).segmentOf(poll);
      }
      const index = segment.cursor++;
      this.#ids?.next(segment.partition, record.offset);
      try {
        encoder.stage = 'TRANSFORMATION';
        if (trace !== null && !chain.empty) trace.transforms();
        let outcome = chain.empty ? record : chain.apply(record);
        if (outcome instanceof Promise) {
          this.sendReady();
          outcome = await outcome;
          stopSignal.throwIfAborted();
        }
        if (trace !== null && !chain.empty) trace.converts();
        if (outcome === null) this.#drop(segment, index);
        else if (isList(outcome)) await this.#addParts(outcome, segment, index);
        else {
          if (!this.#isOpen(outcome.topic)) await this.#openRoute(outcome.topic);
          this.#add(outcome, segment, index);
        }
      } catch (error) {
        this.sendReady();
        await this.#troubled(error, record, segment, index);
      }
    }
  }

  /** Sends what may go; batches that are not full may linger. */
  sendReady(): void {
    for (const { senders } of this.#routes.values()) for (const sender of senders) sender.send();
  }

  /** Sends everything, as queues become free. False where a queue may not be sent to yet: what waits there is given up. */
  sendAll(): boolean {
    let isWhole = true;
    for (const { senders } of this.#routes.values()) for (const sender of senders) isWhole = sender.drain() && isWhole;
    return isWhole;
  }

  /** Those that got records since the last call. */
  takeUsedTopics(): readonly string[] {
    return [...this.#routes.values()].filter((route) => route.takeUsed()).map(({ topic }) => topic);
  }

  /** The marks of these topics are committed: they may be sent to. */
  release(topics: readonly string[]): void {
    for (const topic of topics) for (const sender of this.#routes.get(topic)?.senders ?? []) sender.release();
  }

  /** Moves the marks of queues that are not sent to now to where these end: others may write there. */
  async moveIdleMarks(): Promise<void> {
    const { log } = this.#options;
    const idle = [...this.#routes.values()].flatMap(({ senders }) => senders.filter(({ isEmpty }) => isEmpty));
    await Promise.all(
      idle.map(async (sender) => {
        const { queue, mark } = sender;
        if (mark === null) return;
        const before = mark.end;
        const end = await log.maxOffset(queue);
        // What was sent meanwhile may lie before this end.
        if (sender.isEmpty && mark.end === before) mark.moveTo(end);
      }),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#routes.values()].map((route) => route.close()));
  }

  #add(record: SourceRecord, segment: AckSegment, index: number): void {
    const { encoder, window, onAdded } = this.#options;
    const ids = this.#ids;
    if (ids !== null && window.isOpen && window.meet(ids.text, segment, index)) return this.#deduplicated(segment, index);
    encoder.encode(record, ids);
    const route = this.#routeOf(record.topic);
    const sender = route.choose(record.queue, encoder.routeKey, segment.partition);
    const { body, properties, delayMs, trace } = encoder;
    if (delayMs > 0) {
      const runs = new Runs();
      runs.add(segment, index);
      onAdded(route.delayed.add(sender.queue, body, properties, delayMs, runs, trace));
      return;
    }
    onAdded(sender.add(body, properties));
    sender.runs.add(segment, index);
    if (trace !== null) sender.joinedBy(trace);
  }

  /** All parts are converted before the first is added, so that an error in one leaves nothing behind. */
  async #addParts(parts: readonly SourceRecord[], segment: AckSegment, index: number): Promise<void> {
    const { encoder, window, onAdded } = this.#options;
    if (parts.length === 0) return this.#drop(segment, index);
    for (const { topic } of parts) if (!this.#isOpen(topic)) await this.#openRoute(topic);
    const encoded = parts.map((part, i) => {
      const id = this.#ids?.partText(i) ?? null;
      encoder.encode(part, this.#ids === null ? null : new WrittenProperties(this.#ids.partBytes(i)));
      const { body, routeKey, delayMs } = encoder;
      return { part, id, body, routeKey, delayMs, properties: encoder.properties.copy() };
    });
    segment.split(index, parts.length);
    for (const { part, id, body, routeKey, delayMs, properties } of encoded) {
      if (id !== null && window.isOpen && window.meet(id, segment, index)) {
        this.#deduplicated(segment, index);
        continue;
      }
      const route = this.#routeOf(part.topic);
      const sender = route.choose(part.queue, routeKey, segment.partition);
      if (delayMs > 0) {
        const runs = new Runs();
        runs.addPart(segment, index);
        onAdded(route.delayed.add(sender.queue, body, properties, delayMs, runs, encoder.trace));
        continue;
      }
      onAdded(sender.add(body, properties));
      sender.runs.addPart(segment, index);
      if (encoder.trace !== null) sender.joinedBy(encoder.trace);
    }
  }

  /** One record failed somewhere in its stages: tries again where that may help, else asks what becomes of it. */
  async #troubled(first: unknown, record: SourceRecord, segment: AckSegment, index: number): Promise<void> {
    const { errors, encoder, tracker, counters, stopSignal } = this.#options;
    if (stopSignal.aborted) throw first;
    try {
      await errors.retry(first, async () => {
        encoder.stage = 'TRANSFORMATION';
        const outcome = await encoder.chain.apply(record);
        if (outcome === null) return this.#drop(segment, index);
        if (isList(outcome)) return await this.#addParts(outcome, segment, index);
        if (!this.#isOpen(outcome.topic)) await this.#openRoute(outcome.topic);
        this.#add(outcome, segment, index);
      });
      return;
    } catch (error) {
      const { stage } = encoder;
      const failed = { stage, topic: record.topic, ...encoder.plain(record) };
      counters[await errors.settle(error, failed)]++;
    }
    tracker.done(segment, index, index + 1);
  }

  #drop(segment: AckSegment, index: number): void {
    this.#options.counters.filtered++;
    this.#options.tracker.done(segment, index, index + 1);
  }

  #deduplicated(segment: AckSegment, index: number): void {
    const { counters, tracker } = this.#options;
    counters.deduplicated += tracker.done(segment, index, index + 1);
  }

  #isOpen(topic: string): boolean {
    return this.#lastRoute?.topic === topic || this.#routes.has(topic);
  }

  #routeOf(topic: string): TopicRoute {
    if (this.#lastRoute?.topic === topic) return this.#lastRoute;
    const route = this.#routes.get(topic);
    if (route === undefined) throw new RangeError(`topic ${topic} is not open`);
    this.#lastRoute = route;
    return route;
  }

  /** Waits for the log where it cannot be reached: that is no record's error. */
  async #openRoute(topic: string): Promise<void> {
    const { log, settings, exactlyOnce, errors, clock, stopSignal, onCommitWanted, sender } = this.#options;
    this.sendReady();
    this.#options.encoder.trace?.waits();
    const sinceMs = clock.monotonic();
    const { topicCreation: creation, sendOrdering: ordering } = settings;
    for (let repetition = 1; ; repetition++) {
      try {
        checkTopic(topic);
        const route = await openRoute(log, topic, { creation, ordering, keepMarks: exactlyOnce }, sender);
        if (this.#closed) throw stopSignal.reason;
        this.#routes.set(topic, route);
        // Before the first send its marks must be committed: docs/decisions/0002.
        if (exactlyOnce) onCommitWanted();
        this.#options.encoder.trace?.converts();
        return;
      } catch (error) {
        if (stopSignal.aborted || !isRetriable(error)) throw error;
        await errors.backoffForLog(repetition, sinceMs, error, stopSignal).catch((last: Error) => {
          throw stopSignal.aborted ? last : new FatalError(last.message, { code: 'TOPIC_UNAVAILABLE', cause: last });
        });
      }
    }
  }
}

function checkTopic(topic: string): void {
  if (typeof topic === 'string' && topic !== '') return;
  throw new FatalError('a record has no topic', {
    code: 'SOURCE_RECORD_INVALID',
    field: 'topic',
    remedy: 'Every record needs a topic: look at the plugin and its transforms.',
  });
}

function isList(outcome: SourceRecord | readonly SourceRecord[]): outcome is readonly SourceRecord[] {
  return Array.isArray(outcome);
}
