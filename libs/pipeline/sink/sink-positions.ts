import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import type { TaskLogger } from '@rocketmq-connect/sdk';
import type { PipelineSettings } from '../config/settings.ts';
import type { TaskCounters } from '../host-protocol.ts';
import { queueKey } from '../queues.ts';
import { startPosition } from './start-position.ts';

export interface QueuePosition {
  readonly queue: QueueAddress;
  readonly position: number;
}

interface Tracked {
  readonly queue: QueueAddress;
  /** Next to be read, once what is collected is put. */
  reached: number;
  /** Next after what was put. -1: not known yet. */
  put: number;
  start: number;
  frozen: number;
  /** Undefined: none. */
  committed: number | undefined;
}

export const TOPIC_ANEW = 'the queue ends before the position of this sink: the topic was made anew, and is read from its beginning';

/** Where a sink task stands in each of its queues: reached, put, frozen, committed. */
export class SinkPositions {
  readonly #queues: readonly Tracked[];
  readonly #byKey = new Map<string, Tracked>();
  #last: Tracked | undefined;

  constructor(queues: readonly QueueAddress[], committed: readonly QueuePosition[]) {
    const known = new Map(committed.map(({ queue, position }) => [queueKey(queue), position]));
    this.#queues = queues.map((queue) => ({ queue, reached: -1, put: -1, start: -1, frozen: -1, committed: known.get(queueKey(queue)) }));
    for (const tracked of this.#queues) this.#byKey.set(queueKey(tracked.queue), tracked);
  }

  /** Where to read from. Can be repeated after an error. */
  async start(
    log: MessageLog,
    options: {
      readonly settings: PipelineSettings;
      readonly startTimeMs: number;
      readonly counters: TaskCounters;
      readonly logger: TaskLogger;
    },
  ): Promise<QueuePosition[]> {
    const { settings, startTimeMs, counters, logger } = options;
    const starts = await Promise.all(
      this.#queues.map(({ queue, committed }) => startPosition(log, queue, committed, settings, startTimeMs)),
    );
    return this.#queues.map((tracked, i) => {
      const { position, skipped, anew = false } = starts[i] ?? { position: 0, skipped: 0 };
      if (anew) logger.warn(TOPIC_ANEW, { ...tracked.queue, position: tracked.committed });
      if (skipped > 0) {
        logger.warn(`${skipped} messages were removed from the log before this sink read them`, { ...tracked.queue, position });
        counters.polled += skipped;
        counters.skipped += skipped;
      }
      tracked.reached = position;
      tracked.put = position;
      tracked.start = position;
      return { queue: tracked.queue, position };
    });
  }

  /** Everything before `position` is collected for the next put, or settled. */
  reach(queue: QueueAddress, position: number): void {
    if (this.#last?.queue !== queue) {
      const { topic, broker, queue: id } = queue;
      const last = this.#last?.queue;
      if (last?.topic !== topic || last.broker !== broker || last.queue !== id) this.#last = this.#byKey.get(queueKey(queue));
    }
    if (this.#last !== undefined) this.#last.reached = position;
  }

  /** What was collected is put. */
  put(): void {
    for (const tracked of this.#queues) tracked.put = tracked.reached;
  }

  /** Positions that changed since the last committed ones. */
  freeze(): QueuePosition[] {
    const changed: QueuePosition[] = [];
    for (const tracked of this.#queues) {
      // Nothing is known before the log was asked. A start is no progress: it is committed only with what is put after it.
      if (tracked.put === -1 || tracked.put === (tracked.committed ?? tracked.start)) continue;
      tracked.frozen = tracked.put;
      changed.push({ queue: tracked.queue, position: tracked.put });
    }
    return changed;
  }

  /** What was frozen is stored; the positions that are new in the store. */
  committed(): QueuePosition[] {
    const stored: QueuePosition[] = [];
    for (const tracked of this.#queues) {
      if (tracked.frozen === -1 || tracked.frozen === tracked.committed) continue;
      tracked.committed = tracked.frozen;
      stored.push({ queue: tracked.queue, position: tracked.frozen });
    }
    return stored;
  }
}
