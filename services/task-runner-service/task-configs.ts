import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { decodeStored } from '@rocketmq-connect/cluster/codec';
import type { QueueAddress } from '@rocketmq-connect/message-log';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { StoredTaskConfigs, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { ClaimedUnit } from './claims.ts';

/** A task's configuration as its generation was planned, references unresolved. */
export interface LoadedTask {
  readonly connectorConfig: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, string>>;
  readonly queues: readonly QueueAddress[];
}

/**
 * Reads the configuration of an owned task. While this runner owns it, a sweep leaves the chunks of its generation alone; it may
 * still be that the generation is not the published one any more, which is a conflict: the unit will lose its target.
 */
export async function loadTask(store: MetadataStore, keys: ClusterKeys, unit: ClaimedUnit): Promise<LoadedTask> {
  const { kv } = await store.get(keys.taskSet(unit.connector));
  if (kv === null || kv.modRevision !== BigInt(`0x${unit.generation}`)) throw outdated(unit);
  const { publication, chunks } = decodeStored(StoredTaskSet, kv);
  let connectorConfig: Readonly<Record<string, string>> = {};
  let found: StoredTaskConfigs['tasks'][number] | undefined;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const { kv: part } = await store.get(keys.taskConfig(unit.connector, publication, chunk));
    if (part === null) throw outdated(unit);
    const stored = decodeStored(StoredTaskConfigs, part);
    if (chunk === 0) connectorConfig = stored.connectorConfig;
    found ??= stored.tasks.find(({ task }) => task === unit.task);
    if (found !== undefined) return { connectorConfig, config: found.config, queues: found.queues };
  }
  throw new ConnectError('fatal', `the task set of ${unit.connector} has no task ${unit.task}`, { code: 'TASK_CONFIG_MISSING' });
}

function outdated(unit: ClaimedUnit): ConnectError {
  return new ConnectError('conflict', `generation ${unit.generation} of ${unit.connector} is not the published one any more`, {
    code: 'GENERATION_OUTDATED',
  });
}
