import type { QueueAddress } from '@rocketmq-connect/message-log';
import { ConfigError, type SourceDefinition, type TaskConfig } from '@rocketmq-connect/sdk';
import { hideSecrets, hideSecretsInError, restoreReferences } from '../config/secrets.ts';
import type { PlannedTask } from '../host-protocol.ts';
import type { Host } from './host.ts';
import { dealQueues, sinkQueues } from './sink-queues.ts';
import { type ResolvedConnector, resolveConnector } from './task-body.ts';

type Config = Readonly<Record<string, string>>;

const STATEFUL_QUEUES_MAX = 50;

/** The tasks of a connector. Throws `ConfigError` where its plan cannot be. */
export async function planTasks(
  host: Host,
  config: Config,
  positions: readonly QueueAddress[],
  signal: AbortSignal,
): Promise<PlannedTask[]> {
  const connector = resolveConnector(host, config);
  try {
    return connector.definition.kind === 'source'
      ? await planSource(connector as ResolvedConnector<SourceDefinition>, config, signal)
      : await planSink(host, connector, positions);
  } catch (error) {
    throw hideSecretsInError(error, connector.secrets);
  }
}

async function planSource(connector: ResolvedConnector<SourceDefinition>, original: Config, signal: AbortSignal): Promise<PlannedTask[]> {
  const { definition, config, settings, resolved, secrets } = connector;
  const { maxTasks } = settings;
  const planned = definition.plan === undefined ? [{}] : await definition.plan(config, { maxTasks, signal });
  if (!Array.isArray(planned)) throw new ConfigError(`${definition.name} planned no list of tasks`, { code: 'PLAN_INVALID' });
  if (planned.length > maxTasks) {
    throw new ConfigError(`${definition.name} planned ${planned.length} tasks, and tasks.max is ${maxTasks}`, {
      code: 'TOO_MANY_TASKS',
      field: 'tasks.max',
      remedy: `Raise tasks.max to ${planned.length}, or use a version of the plugin that respects it.`,
    });
  }
  return planned.map((task: TaskConfig) => ({ config: storable(task, original, resolved, secrets), queues: [] }));
}

async function planSink(
  host: Host,
  { definition, settings }: ResolvedConnector,
  positions: readonly QueueAddress[],
): Promise<PlannedTask[]> {
  // Each task takes what the log deals out to it.
  if (!host.log.capabilities.assign) return Array.from({ length: settings.maxTasks }, () => ({ config: {}, queues: [] }));
  const tasks = dealQueues(await sinkQueues(host.log, settings, positions), settings.maxTasks);
  const most = tasks[0]?.length ?? 0;
  if (definition.kind === 'sink' && definition.keepsState === true && most > STATEFUL_QUEUES_MAX) {
    throw new ConfigError(
      `a task of ${definition.name} would read ${most} queues; its state fits into a commit with ${STATEFUL_QUEUES_MAX}`,
      {
        code: 'TOO_MANY_QUEUES',
        field: 'tasks.max',
        remedy: `Raise tasks.max to ${Math.ceil((most * tasks.length) / STATEFUL_QUEUES_MAX)} or more, or read fewer topics.`,
      },
    );
  }
  return tasks.map((queues) => ({ config: {}, queues }));
}

/** Plans are stored and shown: a secret in one gets its reference back, or the plan is refused. */
function storable(task: TaskConfig, original: Config, resolved: Config, secrets: readonly string[]): Record<string, string> {
  for (const [key, value] of Object.entries(task)) {
    if (typeof value !== 'string') {
      throw new ConfigError(`the planned value of ${key} is no text`, {
        code: 'PLAN_INVALID',
        field: key,
        remedy: 'This is an error of the plugin.',
      });
    }
  }
  const restored = restoreReferences(task, original, resolved);
  for (const [key, value] of Object.entries(restored)) {
    if (value === original[key] || hideSecrets(value, secrets) === value) continue;
    throw new ConfigError(`the plan puts a secret into ${key} of a task's configuration`, {
      code: 'SECRET_IN_PLAN',
      field: key,
      remedy: 'Tasks have the whole configuration of their connector: the plugin must not copy secrets from it.',
    });
  }
  return restored;
}
