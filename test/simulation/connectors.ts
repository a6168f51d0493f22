import {
  type AnyConnector,
  defineSink,
  defineSource,
  FatalError,
  type QueueId,
  type Random,
  RetriableError,
  type SinkRecord,
  type SinkState,
  type SinkTask,
  type SourceBatch,
  type SourceRecord,
  type SourceTask,
  Type,
} from '@rocketmq-connect/sdk';
import type { OutsideSink, OutsideSource } from './outside.ts';

/** Told of what the code of a unit does, in the moment in which it does it. */
export interface CodeObserver {
  opened(unit: string): void;
  /** `put` and `open` change the outside system. Throws when the host is dead: then nothing may happen any more. */
  runs(unit: string, what: 'poll' | 'put' | 'open' | 'flush'): void;
  closed(unit: string): void;
}

export interface ConnectorWorld {
  readonly source: OutsideSource;
  readonly sink: OutsideSink;
  readonly observer: CodeObserver;
  readonly random: Random;
  /** Chance that a call of the outside system fails and may be tried again. */
  readonly troubleRate: () => number;
  /** What comes from outside reaches code only while its process is not suspended. */
  readonly enter: (act: () => void) => void;
}

const POLL_RECORDS_MAX = 4;
const POLL_EVERY_MS = 150;
/** Of each stream: its records lie in several queues, and are acknowledged in any order. */
export const KEYS = 2;

/** `Numbers` sends `{stream}:{n}` for each record of each stream, under one of two keys in turn; `Lines` writes what it gets, and commits how much it wrote. */
export function simulatedConnectors(world: ConnectorWorld): readonly AnyConnector[] {
  return [numbers(world), lines(world)];
}

function numbers({ source, observer, random, troubleRate, enter }: ConnectorWorld): AnyConnector {
  return defineSource({
    name: 'Numbers',
    version: '1.0.0',
    deterministic: true,
    config: Type.Object({ topic: Type.String() }),
    plan: (_, { maxTasks }) => {
      const tasks = Math.min(maxTasks, source.streams);
      const streamsOf = (task: number) => Array.from({ length: source.streams }, (_, stream) => stream).filter((s) => s % tasks === task);
      return Array.from({ length: tasks }, (_, task) => ({ streams: streamsOf(task).join(' ') }));
    },
    watch: async (_, replan, signal) => {
      // While nobody watched there may have come some.
      if (source.hasGrown) replan();
      const cancel = source.watch(() => enter(replan));
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      cancel();
    },
    task: ({ topic }, context, taskConfig): SourceTask => {
      const unit = `tasks/${context.connector}/${context.task}`;
      const streams = (taskConfig['streams'] ?? '').split(' ').map((text) => {
        const partition = { stream: Number(text) };
        return { partition, stream: partition.stream, next: Number(context.offset(partition)?.['n'] ?? 0) };
      });
      observer.opened(unit);
      return {
        async poll(): Promise<SourceBatch | null> {
          observer.runs(unit, 'poll');
          if (random() < troubleRate()) throw new RetriableError('the source is away');
          const records: SourceRecord[] = [];
          for (const at of streams) {
            const end = Math.min(source.count(at.stream), at.next + POLL_RECORDS_MAX);
            for (; at.next < end; at.next++) {
              const key = `${at.stream}.${at.next % KEYS}`;
              records.push({ topic, partition: at.partition, offset: { n: at.next + 1 }, key, value: `${at.stream}:${at.next}` });
            }
          }
          if (records.length === 0) await context.sleep(POLL_EVERY_MS);
          return records.length === 0 ? null : { records };
        },
        stop: () => observer.closed(unit),
      };
    },
  });
}

function lines({ sink, observer, random, troubleRate }: ConnectorWorld): AnyConnector {
  return defineSink({
    name: 'Lines',
    version: '1.0.0',
    keepsState: true,
    config: Type.Object({}),
    task: (_, context): SinkTask => {
      const unit = `tasks/${context.connector}/${context.task}`;
      const fileOf = (queue: number) => sink.file(context.startTimeMs, queue);
      let open: readonly QueueId[] = [];
      observer.opened(unit);
      return {
        open(queues: readonly QueueId[], state: SinkState) {
          observer.runs(unit, 'open');
          open = queues;
          for (const { queue } of queues) {
            const file = fileOf(queue);
            const committed = Number(state[`queue-${queue}`] ?? 0);
            if (file.lines.length < committed)
              throw new FatalError(`queue ${queue}: ${committed} lines were committed, ${file.lines.length} are there`);
            file.lines.length = committed;
            file.flushed = committed;
          }
        },
        put(records: readonly SinkRecord[]) {
          observer.runs(unit, 'put');
          if (random() < troubleRate()) throw new RetriableError('the sink is away');
          for (const { origin, value } of records) fileOf(origin.queue).lines.push(String(value));
        },
        async flush() {
          await context.sleep(Math.floor(random() * 20)).catch(() => undefined);
          observer.runs(unit, 'flush');
          const state: Record<string, number> = {};
          for (const { queue } of open) {
            const file = fileOf(queue);
            file.flushed = file.lines.length;
            state[`queue-${queue}`] = file.lines.length;
          }
          return state;
        },
        stop: () => observer.closed(unit),
      };
    },
  });
}
