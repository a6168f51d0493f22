import { type ClusterKeys, encodeStored } from '@rocketmq-connect/cluster';
import type { CallContext, Handlers } from '@rocketmq-connect/mesh';
import { absent, type Compare, type MetadataStore } from '@rocketmq-connect/metadata-store';
import type { ClusterServiceDefinition } from '@rocketmq-connect/proto/cluster';
import { StoredDrain } from '@rocketmq-connect/proto/storage';
import { readCluster } from './cluster-read.ts';
import { previewPlacement, unknownRunner } from './preview.ts';

interface DrainDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
}

/** A drain is a key that any replica writes; the leader sees it and places everything elsewhere. */
export function drainHandlers({ store, keys }: DrainDeps): Pick<Handlers<ClusterServiceDefinition>, 'drain' | 'undrain'> {
  return {
    drain: async ({ runner }, { identity }: CallContext) => {
      const present: Compare = { key: keys.runner(runner), target: 'createRevision', value: 0n, result: 'greater' };
      const { succeeded, responses } = await store.txn({
        compare: [present, absent(keys.drain(runner))],
        then: [{ op: 'put', key: keys.drain(runner), value: encodeStored(StoredDrain, { who: identity }) }],
        otherwise: [{ op: 'get', key: keys.runner(runner) }],
      });
      // A misspelt id must not look like a drain that has ended.
      if (!succeeded && responses[0]?.[0] === undefined) throw unknownRunner(runner, 'runner');
      const { snapshot } = await readCluster(store, keys);
      const { moves, unplaced } = previewPlacement(snapshot, { drain: [], remove: [], add: [] });
      const owned = new Set(snapshot.units.flatMap(({ id }) => (snapshot.owners.get(id) === runner ? [id] : [])));
      return { moves: moves.filter(({ from }) => from === runner), unplaced: unplaced.filter((unit) => owned.has(unit)) };
    },
    undrain: async ({ runner }) => {
      const { responses } = await store.txn({
        compare: [],
        then: [
          { op: 'get', key: keys.runner(runner) },
          { op: 'delete', key: keys.drain(runner) },
        ],
      });
      // One that is gone may be undrained too, before it comes back.
      if (responses.every((found) => found.length === 0)) throw unknownRunner(runner, 'runner');
      return {};
    },
  };
}
