import type { MessageLog } from '@rocketmq-connect/message-log';
import type { Clock } from '@rocketmq-connect/sdk';
import { type Histogram, histogram, observe, SECONDS } from '@rocketmq-connect/telemetry/metrics/histogram';
import { outcomeOf } from '@rocketmq-connect/telemetry/metrics/outcome';
import type { LogMeters } from '../host-protocol.ts';

/** The same log, with its requests counted and timed: per batch, with nothing per record. */
export function meterLog(log: MessageLog, clock: Clock): { readonly log: MessageLog; sample(): LogMeters } {
  const requests: Record<string, number> = {};
  const durations: Record<string, Histogram> = {};
  let inFlight = 0;
  const count = (operation: string, outcome: string): void => {
    const name = `${operation} ${outcome}`;
    requests[name] = (requests[name] ?? 0) + 1;
  };
  const timed = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const sinceMs = clock.monotonic();
    inFlight++;
    try {
      const result = await call();
      count(operation, 'ok');
      return result;
    } catch (error) {
      count(operation, outcomeOf(error));
      throw error;
    } finally {
      inFlight--;
      durations[operation] ??= histogram(SECONDS);
      observe(durations[operation], SECONDS, (clock.monotonic() - sinceMs) / 1000);
    }
  };
  /** Waits for what may not be there: it is counted when something came, and timed never. */
  const read = async <T>(call: () => Promise<readonly T[]>, signal: AbortSignal): Promise<readonly T[]> => {
    try {
      const result = await call();
      if (result.length > 0) count('read', 'ok');
      return result;
    } catch (error) {
      if (!signal.aborted) count('read', outcomeOf(error));
      throw error;
    }
  };
  return {
    sample: () => ({ requests: { ...requests }, durations: cloned(durations), inFlight, connections: log.connections?.() ?? 0 }),
    log: {
      capabilities: log.capabilities,
      describeTopic: (topic) => timed('describeTopic', () => log.describeTopic(topic)),
      createTopic: (topic, settings) => timed('createTopic', () => log.createTopic(topic, settings)),
      listTopics: () => timed('listTopics', () => log.listTopics()),
      deleteTopic: (topic) => timed('deleteTopic', () => log.deleteTopic(topic)),
      send: (queue, batch) => timed('send', () => log.send(queue, batch)),
      flush: () => timed('flush', () => log.flush()),
      minOffset: (queue) => timed('minOffset', () => log.minOffset(queue)),
      maxOffset: (queue) => timed('maxOffset', () => log.maxOffset(queue)),
      offsetAt: (queue, timestampMs) => timed('offsetAt', () => log.offsetAt(queue, timestampMs)),
      mirrorPosition: (group, queue, position) => timed('mirrorPosition', () => log.mirrorPosition(group, queue, position)),
      assign: async (group, assignments) => {
        const reader = await timed('assign', () => log.assign(group, assignments));
        return {
          read: (maxBytes, waitMs, signal) => read(() => reader.read(maxBytes, waitMs, signal), signal),
          seek: (queue, position) => reader.seek(queue, position),
          lags: () => reader.lags(),
          close: () => reader.close(),
        };
      },
      subscribe: async (group, topics) => {
        const subscription = await timed('subscribe', () => log.subscribe(group, topics));
        return {
          read: (maxBytes, waitMs, signal) => read(() => subscription.read(maxBytes, waitMs, signal), signal),
          acknowledge: (acknowledged) => timed('acknowledge', () => subscription.acknowledge(acknowledged)),
          close: () => subscription.close(),
        };
      },
      close: () => log.close(),
    },
  };
}

function cloned(durations: Readonly<Record<string, Histogram>>): Record<string, Histogram> {
  return Object.fromEntries(Object.entries(durations).map(([operation, counts]) => [operation, counts.slice()]));
}
