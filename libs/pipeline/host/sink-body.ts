import { groupName } from '@rocketmq-connect/message-log/group-name';
import type { JsonValue, SinkDefinition, SinkState, SinkTask, SinkTaskContext } from '@rocketmq-connect/sdk';
import type { CommitContent, TaskStart } from '../host-protocol.ts';
import { RecordDecoder } from '../sink/record-decoder.ts';
import { SinkLoop } from '../sink/sink-loop.ts';
import { tagFilter } from '../sink/tag-filter.ts';
import { createChain } from '../stages/chain.ts';
import { createConverters } from '../stages/converters.ts';
import { SinkTraces } from '../tracing/sink-trace.ts';
import { type Host, sessionIsOver } from './host.ts';
import { type ResolvedConnector, type TaskBody, taskContext, taskParts } from './task-body.ts';
import type { OpenUnit } from './unit.ts';

/** A put that goes on after a stop has so long to end by itself: then its records count, else they come again. */
const PUT_GRACE_MS = 3000;

/** A sink task in its host. */
export function openSink(host: Host, start: TaskStart, connector: ResolvedConnector<SinkDefinition>, unit: OpenUnit): TaskBody {
  const { stopSignal, hooks } = unit;
  const { putMs, flushMs } = start.hookLimits;
  const { counters, meters, phase, logger, errors, spans, plainError } = taskParts(host, start, connector, stopSignal);
  const { definition, config, resolved, settings } = connector;
  const chain = createChain(resolved, host.catalogue);
  const converters = createConverters(resolved, host.catalogue, { textAsBuffer: definition.textAsBuffer === true });
  const traces = spans === null ? null : new SinkTraces(spans);
  const hardStop = new AbortController();
  let cancelGrace = (): void => undefined;
  const abortPuts = (): void => hardStop.abort(new Error('the task is to stop'));
  const onStop = (): void => {
    cancelGrace = host.clock.after(PUT_GRACE_MS, abortPuts);
  };
  stopSignal.addEventListener('abort', onStop, { once: true });
  let task: SinkTask | null = null;
  let isOpen = false;

  const loop = new SinkLoop({
    group: groupName(`connect-${start.connector}`),
    task: {
      put: (records, signal) => hooks.call('put', putMs, () => task?.put(records, signal)),
      flush: () => hooks.call('flush', flushMs, () => task?.flush?.()),
    },
    decoder: new RecordDecoder(converters, tagFilter(settings.tagExpression), traces?.links),
    chain,
    errors,
    log: host.log,
    settings,
    queues: start.queues,
    positions: start.positions,
    sinkStates: start.sinkStates,
    startTimeMs: start.startTimeMs,
    paused: start.paused,
    counters,
    meters,
    logger,
    traces,
    clock: host.clock,
    sessionIsOver: () => sessionIsOver(host),
    stopSignal,
    putSignal: hardStop.signal,
    onCommitWanted: unit.onCommitWanted,
    onLastFrozen: unit.onLastFrozen,
    onFailed: (error) => {
      abortPuts();
      unit.onFailed(error);
    },
  });
  const context: SinkTaskContext = {
    ...taskContext(host, start, logger, hardStop.signal, hooks),
    report: (record, error) => loop.report(record, error),
    requestCommit: unit.onCommitWanted,
    startTimeMs: start.startTimeMs,
  };

  return {
    counters,
    meters,
    sample: () => loop.sample(),
    logger,
    plainError,
    async start() {
      const created = hooks.call('task', 0, () => definition.task(config, context));
      task = created;
      await hooks.call('start', 0, () => created.start?.());
      stopSignal.throwIfAborted();
      await hooks.call('open', 0, () => created.open?.(start.queues, parseStates(start.sinkStates)));
      isOpen = true;
    },
    async run() {
      phase.now = 'run';
      await loop.run();
    },
    setPaused: (paused) => loop.setPaused(paused),
    freeze: (id) => loop.freeze(id),
    committed: (id) => loop.committed(id),
    async finish(): Promise<CommitContent | null> {
      phase.now = 'stop';
      return isOpen ? loop.finish() : null;
    },
    async end() {
      phase.now = 'stop';
      cancelGrace();
      abortPuts();
      chain.close();
      try {
        await loop.close();
        if (isOpen) await hooks.call('close', 0, () => task?.close?.(start.queues));
      } finally {
        await hooks.call('stop', 0, () => task?.stop?.());
      }
    },
  };
}

function parseStates(states: Readonly<Record<string, string>>): SinkState {
  return Object.fromEntries(Object.entries(states).map(([name, text]) => [name, JSON.parse(text) as JsonValue]));
}
