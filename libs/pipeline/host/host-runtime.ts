import { type SinkDefinition, type SourceDefinition, toPlainError } from '@rocketmq-connect/sdk';
import { hideSecretsInError } from '../config/secrets.ts';
import type { HostCommand, TaskStart } from '../host-protocol.ts';
import { answer } from './answers.ts';
import { ConnectorUnit } from './connector-unit.ts';
import type { Host, HostOptions } from './host.ts';
import { HostLogs } from './host-logs.ts';
import { HostStats } from './host-stats.ts';
import { openSink } from './sink-body.ts';
import { openSource } from './source-body.ts';
import { type ResolvedConnector, resolveConnector, type TaskBody } from './task-body.ts';
import { type HostUnit, type OpenUnit, TaskUnit } from './unit.ts';

export type { HostOptions } from './host.ts';

/** The inside of a task host: takes commands, posts events (host-protocol.ts). */
export interface HostRuntime {
  handle(command: HostCommand): void;
  /** An error that belongs to no unit, without the secrets of all of them. */
  hideSecrets(error: unknown): unknown;
  /** Ends everything, without last words. */
  close(): Promise<void>;
}

/** Runs tasks and connectors, side by side; an error of one ends that one only. Whoever listens to commands posts `ready`. */
export function createHostRuntime(options: HostOptions): HostRuntime {
  const units = new Map<string, HostUnit>();
  const ended = new AbortController();
  const host: Host = {
    ...options,
    logs: new HostLogs(options.clock, (lines) => options.post({ type: 'logs', lines })),
    stats: new HostStats(options.clock, (counters) => options.post({ type: 'stats', counters })),
    secrets: new Set(),
    remove: (unit) => {
      host.stats.remove(unit);
      host.logs.flush();
      units.delete(unit);
    },
  };

  const start = (unit: string, open: () => HostUnit): void => {
    try {
      if (units.has(unit)) throw new Error(`unit ${unit} runs in this host already`);
      units.set(unit, open());
    } catch (error) {
      options.post({ type: 'failed', unit, error: toPlainError(error) });
    }
  };

  const handle = (command: HostCommand): void => {
    switch (command.type) {
      case 'startTask':
        return start(command.unit, () => new TaskUnit(host, command.unit, (unit) => openTask(host, command.start, unit)));
      case 'startConnector':
        return start(command.unit, () => new ConnectorUnit(host, command.unit, command.start));
      case 'pause':
      case 'resume':
        return units.get(command.unit)?.setPaused(command.type === 'pause');
      case 'freeze':
        return void units.get(command.unit)?.freeze(command.freeze);
      case 'committed':
        return void units.get(command.unit)?.committed(command.freeze);
      case 'stop':
        return void units.get(command.unit)?.stop();
      case 'ask':
        return void answer(host, command.id, command.question, ended.signal);
      case 'setLogLevel':
        return host.logs.setLevel(command.level);
    }
  };

  return {
    handle,
    hideSecrets: (error) =>
      hideSecretsInError(
        error,
        [...host.secrets].sort((a, b) => b.length - a.length),
      ),
    async close() {
      ended.abort(new Error('the host ends'));
      await Promise.all([...units.values()].map((unit) => unit.stop()));
      host.stats.close();
      host.logs.flush();
    },
  };
}

function openTask(host: Host, start: TaskStart, unit: OpenUnit): TaskBody {
  const connector = resolveConnector(host, start.connectorConfig);
  return connector.definition.kind === 'source'
    ? openSource(host, start, connector as ResolvedConnector<SourceDefinition>, unit)
    : openSink(host, start, connector as ResolvedConnector<SinkDefinition>, unit);
}
