import { MAX_BATCH_BYTES } from '@rocketmq-connect/message-log/checks';
import type { JsonValue, SourceDefinition, SourceOffset, SourcePartition, SourceTask, SourceTaskContext } from '@rocketmq-connect/sdk';
import { canonicalJson } from '../canonical-json.ts';
import { resolveReferences } from '../config/references.ts';
import type { CommitContent, HookLimits, TaskStart } from '../host-protocol.ts';
import { RecordEncoder } from '../source/record-encoder.ts';
import { authorOf } from '../source/record-id.ts';
import { SourceLoop } from '../source/source-loop.ts';
import { createChain } from '../stages/chain.ts';
import { createConverters } from '../stages/converters.ts';
import type { UnitHooks } from './hook-watch.ts';
import { type Host, sessionIsOver } from './host.ts';
import { type ResolvedConnector, type TaskBody, taskContext, taskParts } from './task-body.ts';
import type { OpenUnit } from './unit.ts';

/** Of the time that a task may take to stop: beyond that its host is killed, and its neighbours must move. */
const DRAIN_SHARE = 0.7;

/** A source task in its host. */
export function openSource(host: Host, start: TaskStart, connector: ResolvedConnector<SourceDefinition>, unit: OpenUnit): TaskBody {
  const { stopSignal, hooks } = unit;
  const { counters, meters, phase, logger, errors, spans, plainError } = taskParts(host, start, connector, stopSignal);
  const { definition, config, resolved, settings } = connector;
  const chain = createChain(resolved, host.catalogue);
  const { delay: supported, messageBytesMax = MAX_BATCH_BYTES } = host.log.capabilities;
  const delay = { byDefaultMs: settings.delayMs, supported };
  const encoder = new RecordEncoder(chain, createConverters(resolved, host.catalogue), settings.fixedProperties, delay, messageBytesMax);
  const context: SourceTaskContext = { ...taskContext(host, start, logger, stopSignal, hooks), ...committedOffsets(start) };
  let task: SourceTask | null = null;
  let loop: SourceLoop | null = null;
  let isPaused = start.paused;

  return {
    counters,
    meters,
    sample: () => loop?.sample(),
    logger,
    plainError,
    async start() {
      const taskConfig = resolveReferences(start.taskConfig, host.references);
      const created = hooks.call('task', 0, () => definition.task(config, context, taskConfig));
      task = created;
      loop = new SourceLoop({
        connector: start.connector,
        author: authorOf(start.generation, start.task),
        task: watched(created, start.hookLimits, hooks),
        encoder,
        errors,
        log: host.log,
        settings,
        exactlyOnce: definition.deterministic === true && settings.exactlyOnce === 'auto' && host.log.capabilities.assign,
        uncleanMarks: start.uncleanMarks,
        paused: isPaused,
        counters,
        meters,
        logger,
        spans,
        clock: host.clock,
        sessionIsOver: () => sessionIsOver(host),
        stopSignal,
        onCommitWanted: unit.onCommitWanted,
        onFailed: unit.onFailed,
      });
      await hooks.call('start', 0, () => created.start?.());
    },
    async run() {
      phase.now = 'run';
      await loop?.run();
    },
    setPaused(paused) {
      isPaused = paused;
      loop?.setPaused(paused);
    },
    async freeze(id) {
      return loop === null ? null : loop.freeze(id);
    },
    async committed(id) {
      await loop?.committed(id);
    },
    async finish(): Promise<CommitContent | null> {
      phase.now = 'stop';
      return loop === null ? null : loop.finish(start.hookLimits.stopMs * DRAIN_SHARE);
    },
    async end() {
      phase.now = 'stop';
      chain.close();
      try {
        await loop?.close();
      } finally {
        await hooks.call('stop', 0, () => task?.stop?.());
      }
    },
  };
}

function watched(task: SourceTask, { pollMs, flushMs }: HookLimits, hooks: UnitHooks): SourceTask {
  return {
    poll: (signal) => hooks.call('poll', pollMs, () => task.poll(signal)),
    committed: (checkpoint) => hooks.call('committed', flushMs, () => task.committed?.(checkpoint)),
    ...(task.lag === undefined ? {} : { lag: () => figure(() => task.lag?.(), -1) }),
    ...(task.lags === undefined ? {} : { lags: () => figure(() => task.lags?.(), []) }),
  };
}

/** What a plugin tells of itself is not worth its task: where it throws, the figure is unknown. */
function figure<T>(ask: () => T | undefined, unknown: T): T {
  try {
    return ask() ?? unknown;
  } catch {
    return unknown;
  }
}

type CommittedOffsets = Pick<SourceTaskContext, 'offset' | 'offsets'>;

function committedOffsets({ offsets }: TaskStart): CommittedOffsets {
  const committed = new Map<string, { partition: SourcePartition; offset: SourceOffset }>();
  for (const { partition, offset } of offsets) {
    const parsed = { partition: JSON.parse(partition) as SourcePartition, offset: JSON.parse(offset) as SourceOffset };
    committed.set(canonicalJson(parsed.partition as JsonValue), parsed);
  }
  return {
    offset: (partition) => committed.get(canonicalJson(partition as JsonValue))?.offset,
    offsets: () => [...committed.values()],
  };
}
