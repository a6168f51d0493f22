import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { decodeStored } from '@rocketmq-connect/cluster';
import type { KeyValue, MetadataStore } from '@rocketmq-connect/metadata-store';
import { StoredLeader } from '@rocketmq-connect/proto/storage';
import { mapValues, type ScheduledRange, type Snapshot, SnapshotReader, scheduledRanges } from './snapshot.ts';

/** The cluster at one revision, read from the store and not from a cache: so every replica answers the same, and nothing that is over. */
export interface ClusterRead {
  readonly found: Readonly<Record<ScheduledRange | 'statuses', ReadonlyMap<string, KeyValue>>>;
  readonly snapshot: Snapshot;
  /** The scheduler that leads, '' if none does. */
  readonly leader: string;
}

export async function readCluster(store: MetadataStore, keys: ClusterKeys): Promise<ClusterRead> {
  const ranges = { ...scheduledRanges(keys), statuses: keys.statuses };
  const { responses } = await store.txn({
    compare: [],
    then: [...Object.values(ranges).map((range) => ({ op: 'range', range }) as const), { op: 'get', key: keys.leader }],
  });
  const found = mapValues(ranges, (_, index) => new Map((responses[index] ?? []).map((kv) => [kv.key, kv])));
  const leader = responses.at(-1)?.[0];
  return {
    found,
    // The leader tells of what cannot be read, in its log.
    snapshot: new SnapshotReader(keys, () => undefined).read(found),
    leader: leader === undefined ? '' : decodeStored(StoredLeader, leader).scheduler,
  };
}
