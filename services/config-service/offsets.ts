import { decodeStored } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import type { KeyValue } from '@rocketmq-connect/metadata-store';
import { ConnectorType } from '@rocketmq-connect/proto/common';
import type { OffsetServiceDefinition } from '@rocketmq-connect/proto/offset';
import type { AlterOffset } from '@rocketmq-connect/proto/plugin';
import { StoredOffset, StoredRunner, type StoredSpec } from '@rocketmq-connect/proto/storage';
import { ConfigError } from '@rocketmq-connect/sdk';
import { type AlterWatch, alterOffsets, type OffsetAlteration, requireStopped } from './alteration.ts';
import { offsetOperation } from './commit-piece.ts';
import type { ConfigContext } from './context.ts';
import { type OffsetChange, parseOffsetChanges, toPartitionOffset } from './offset-input.ts';
import { queueHash } from './partition.ts';
import { requireSpec } from './specs.ts';

/** Positions as users see and edit them. */
export function offsetHandlers(context: ConfigContext, watch: AlterWatch): Handlers<OffsetServiceDefinition> {
  return {
    get: async ({ connector }) => {
      const { spec } = await requireSpec(context, connector);
      await requireKeptPositions(context, spec);
      const offsets = await storedOffsets(context, spec);
      return { offsets: offsets.map(toPartitionOffset).sort((a, b) => (a.partitionJson < b.partitionJson ? -1 : 1)) };
    },
    alter: async ({ connector, offsets }, call) => {
      const { spec } = await requireSpec(context, connector);
      await requireKeptPositions(context, spec);
      requireStopped(spec);
      const changes = parseOffsetChanges(spec.type, offsets, await storedOffsets(context, spec));
      await alterOffsets(context, watch, connector, call.identity, alteration(context, spec, changes));
      return { message: 'The offsets for this connector have been altered successfully' };
    },
    reset: async ({ connector }, call) => {
      const { spec } = await requireSpec(context, connector);
      await requireKeptPositions(context, spec);
      requireStopped(spec);
      await alterOffsets(context, watch, connector, call.identity, await resetting(context, spec));
      return { message: 'The offsets for this connector have been reset successfully' };
    },
  };
}

/** Throws `ConfigError` for a sink whose positions are kept by the message log: nothing is here that could be shown or changed. */
async function requireKeptPositions(context: ConfigContext, { name, type }: StoredSpec): Promise<void> {
  if (type !== ConnectorType.SINK) return;
  const { kvs } = await context.store.range(context.keys.runners);
  if (!kvs.some((kv) => decodeStored(StoredRunner, kv).logKeepsPositions)) return;
  throw new ConfigError(`the sink ${name} has no offsets here: it reads through the gRPC proxy of RocketMQ, which keeps them itself`, {
    code: 'LOG_KEEPS_POSITIONS',
    field: 'connector',
    remedy: `see and set those of its consumer group by RocketMQ's tools: mqadmin consumerProgress -g connect-${name}, mqadmin resetOffsetByTime`,
  });
}

/** The positions that the connector's present type has; others are left from before a change of its class. */
async function storedOffsets(context: ConfigContext, spec: StoredSpec): Promise<StoredOffset[]> {
  const { kvs } = await context.store.range(context.keys.offsets(spec.name));
  return kvs
    .map((kv: KeyValue) => decodeStored(StoredOffset, kv))
    .filter((offset) => (offset.queue !== undefined) === (spec.type === ConnectorType.SINK));
}

function alteration(context: ConfigContext, spec: StoredSpec, changes: readonly OffsetChange[]): OffsetAlteration {
  const { keys } = context;
  const operations = changes.map((change) => {
    const position = { ...StoredOffset.create(), plugin: spec.plugin };
    if (change.queue === undefined) {
      return offsetOperation(keys, spec.name, { ...position, partitionJson: change.partitionJson, offsetJson: change.offset ?? '' });
    }
    if (change.offset === null) return { op: 'delete' as const, key: keys.offset(spec.name, queueHash(change.queue)) };
    return offsetOperation(keys, spec.name, { ...position, queue: change.queue, position: change.offset });
  });
  return {
    asks: asksOf(changes),
    operations,
    // What was sent after the old positions must not be taken for sent after the new ones.
    last: [{ op: 'deleteRange', range: keys.commits(spec.name) }],
    change: (current) => current,
    changedKeys: [`${changes.length} positions`],
  };
}

/** A source is asked about all of them. Of a sink only what is set: whether the queue is there. */
function asksOf(changes: readonly OffsetChange[]): AlterOffset[] {
  if (changes.every(({ queue, offset }) => queue !== undefined && offset === null)) return [];
  return changes.map((change) => {
    if (change.queue === undefined) return { partitionJson: change.partitionJson, offsetJson: change.offset ?? '' };
    const { queue, offset } = change;
    const shown = toPartitionOffset({ ...StoredOffset.create(), queue, position: offset ?? 0n });
    return offset === null ? { ...shown, offsetJson: '' } : shown;
  });
}

async function resetting(context: ConfigContext, spec: StoredSpec): Promise<OffsetAlteration> {
  const { keys, clock } = context;
  const asks = (await storedOffsets(context, spec)).flatMap(({ queue, partitionJson }) =>
    queue === undefined ? [{ partitionJson, offsetJson: '' }] : [],
  );
  return {
    asks,
    operations: [],
    last: [keys.offsets, keys.sinkStates, keys.commits].map((range) => ({ op: 'deleteRange', range: range(spec.name) })),
    // "latest" begins anew, where queues have no position any more.
    change: (current) => ({ ...current, startTimeMs: BigInt(Math.floor(clock.now())) }),
    changedKeys: ['reset'],
  };
}
