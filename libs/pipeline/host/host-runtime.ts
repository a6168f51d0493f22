import { AsyncLocalStorage } from 'node:async_hooks';
import { FatalError, type SinkDefinition, type SourceDefinition, toPlainError } from '@rocketmq-connect/sdk';
import type { SpanData } from '@rocketmq-connect/tracing';
import { SpanQueue } from '@rocketmq-connect/tracing/span-queue';
import { hideSecretsInError } from '../config/secrets.ts';
import type { HostCommand, TaskStart } from '../host-protocol.ts';
import type { HostSpans } from '../tracing/task-spans.ts';
import { answer } from './answers.ts';
import { ConnectorUnit } from './connector-unit.ts';
import { HookWatch, type UnitHooks } from './hook-watch.ts';
import type { Host, HostOptions, Owner } from './host.ts';
import { HostLogs } from './host-logs.ts';
import { HostStats } from './host-stats.ts';
import { meterLog } from './metered-log.ts';
import { openSink } from './sink-body.ts';
import { openSource } from './source-body.ts';
import { type ResolvedConnector, resolveConnector, type TaskBody } from './task-body.ts';
import { type HostUnit, type OpenUnit, TaskUnit } from './unit.ts';

export type { HostOptions, Owner } from './host.ts';

/** The inside of a task host: takes commands, posts events (host-protocol.ts). */
export interface HostRuntime {
  handle(command: HostCommand): void;
  /** An error that was thrown where nobody listens. False: nobody knows by whose code. */
  blame(error: unknown): boolean;
  /** An error that belongs to no unit, without the secrets of all of them. */
  hideSecrets(error: unknown): unknown;
  /** Ends everything, without last words. */
  close(): Promise<void>;
}

/** Runs tasks and connectors, side by side; an error of one ends that one only. Whoever listens to commands posts `ready`. */
export function createHostRuntime(options: HostOptions): HostRuntime {
  const units = new Map<string, HostUnit>();
  const ended = new AbortController();
  const running = options.running ?? new AsyncLocalStorage<Owner>();
  const blamed = new Set<string>();
  let starts = 0;
  const metered = meterLog(options.log, options.clock);
  const host: Host = {
    ...options,
    log: metered.log,
    logs: new HostLogs(options.clock, (lines) => options.post({ type: 'logs', lines })),
    stats: new HostStats(options.clock, metered, (stats) => options.post({ type: 'stats', ...stats })),
    hooks: new HookWatch(options.clock, options.onHook ?? (() => undefined)),
    spans: hostSpans(options),
    secrets: new Set(),
    blame: (unit, error, hasFailed) => {
      if (blamed.has(unit)) return;
      blamed.add(unit);
      options.post({ type: 'culprit', unit, error: toPlainError(hideSecrets(error)), hasFailed });
    },
    remove: (unit) => {
      host.stats.remove(unit);
      host.logs.flush();
      host.spans?.queue.drain();
      units.delete(unit);
    },
  };

  const start = (unit: string, open: (hooks: UnitHooks) => HostUnit): void => {
    const hooks = host.hooks.of(++starts, (hook, limitMs) => host.blame(unit, overdue(hook, limitMs), false));
    try {
      if (units.has(unit)) throw new Error(`unit ${unit} runs in this host already`);
      units.set(
        unit,
        running.run({ unit }, () => open(hooks)),
      );
    } catch (error) {
      options.post({ type: 'failed', unit, error: toPlainError(error) });
    }
  };

  /** Every host has loaded the plugin: to end one would help nobody. */
  const complain = (plugin: string, error: unknown): void => {
    if (blamed.has(plugin)) return;
    blamed.add(plugin);
    const { message } = toPlainError(hideSecrets(error));
    host.logs.logger(() => ({ plugin })).error(`what a plugin left running when it was loaded threw where nobody listens: ${message}`);
  };

  const hideSecrets = (error: unknown): unknown =>
    hideSecretsInError(
      error,
      [...host.secrets].sort((a, b) => b.length - a.length),
    );

  const tell = (unit: string, act: (unit: HostUnit) => void): void => {
    const told = units.get(unit);
    if (told !== undefined) running.run({ unit }, () => act(told));
  };

  const handle = (command: HostCommand): void => {
    switch (command.type) {
      case 'startTask':
        return start(
          command.unit,
          (hooks) =>
            new TaskUnit(host, command.unit, command.start.hookLimits.stopMs, hooks, (unit) => openTask(host, command.start, unit)),
        );
      case 'startConnector':
        return start(command.unit, (hooks) => new ConnectorUnit(host, command.unit, hooks, command.start));
      case 'pause':
      case 'resume':
        return tell(command.unit, (unit) => unit.setPaused(command.type === 'pause'));
      case 'freeze':
        return tell(command.unit, (unit) => void unit.freeze(command.freeze));
      case 'committed':
        return tell(command.unit, (unit) => void unit.committed(command.freeze));
      case 'stop':
        return tell(command.unit, (unit) => void unit.stop());
      case 'ping':
        return options.post({ type: 'pong' });
      case 'ask':
        return void answer(host, command.id, command.question, ended.signal);
      case 'setLogLevels':
        return host.logs.setLevels(command.levels);
    }
  };

  return {
    handle,
    blame: (error) => {
      const owner = running.getStore();
      if (owner === undefined) return false;
      if ('unit' in owner) host.blame(owner.unit, error, false);
      else complain(owner.plugin, error);
      return true;
    },
    hideSecrets,
    async close() {
      ended.abort(new Error('the host ends'));
      await Promise.all([...units.values()].map((unit) => unit.stop()));
      host.stats.close();
      host.hooks.close();
      host.logs.flush();
    },
  };
}

function overdue(hook: string, limitMs: number): FatalError {
  return new FatalError(`${hook} did not end within ${limitMs} ms`, {
    code: 'HOOK_HUNG',
    remedy: `Look at ${hook} of the plugin: does it heed its signal, does what it waits for have a limit? Or raise tasks.*TimeoutMs.`,
  });
}

/** More spans than this in a time are dropped, and counted: the thread that takes them has better things to do. */
const SPANS_AT_ONCE = 1024;
const SPANS_EVERY_MS = 500;

function hostSpans({ sampler, clock, post }: HostOptions): HostSpans | null {
  if (sampler === undefined || sampler === null) return null;
  const deliver = (spans: readonly SpanData[], dropped: number): void => post({ type: 'spans', spans, dropped });
  return { sampler, queue: new SpanQueue({ clock, delayMs: SPANS_EVERY_MS, spansMax: SPANS_AT_ONCE, deliver }) };
}

function openTask(host: Host, start: TaskStart, unit: OpenUnit): TaskBody {
  const connector = resolveConnector(host, start.connectorConfig);
  return connector.definition.kind === 'source'
    ? openSource(host, start, connector as ResolvedConnector<SourceDefinition>, unit)
    : openSink(host, start, connector as ResolvedConnector<SinkDefinition>, unit);
}
