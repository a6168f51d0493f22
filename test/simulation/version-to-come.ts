import { type KeyValue, keyRange, type MetadataStore, type Operation } from '@rocketmq-connect/metadata-store';
import type { World, Wraps } from './world.ts';

const FIELD = 'ofTheFuture';

/**
 * Half of the mesh, one process of each service, is of a version to come: it writes fields, kinds of plugins and keys that the other half does
 * not know. What these write over must keep its fields.
 */
export function versionToCome(): Wraps {
  return { store: (store, process, world) => (/1$|^r3$/.test(process) ? newer(store) : watched(store, world)) };
}

function newer(store: MetadataStore): MetadataStore {
  return {
    ...store,
    txn: (txn) => store.txn({ ...txn, then: txn.then.flatMap(written) }),
  };
}

function written(operation: Operation): Operation[] {
  if (operation.op !== 'put') return [operation];
  const value = { [FIELD]: { since: '2.0' }, ...JSON.parse(operation.value) };
  if (operation.key.includes('/runners/')) value.plugins.push({ name: 'Future', version: '2.0.0', kind: 'PLUGIN_KIND_OF_THE_FUTURE' });
  const put = { ...operation, value: JSON.stringify(value) };
  return operation.key.includes('/specs/') ? [put, { ...put, key: operation.key.replace('/specs/', '/futures/') }] : [put];
}

/** Specifications are what several processes change by turns; of other keys the whole value is new each time. */
function watched(store: MetadataStore, world: World): MetadataStore {
  return {
    ...store,
    txn: async (txn) => {
      const before = new Map(txn.then.flatMap((put) => (put.op === 'put' ? world.store.peek(keyRange(put.key)) : [])).map(entry));
      const result = await store.txn(txn);
      if (!result.succeeded) return result;
      for (const put of txn.then) {
        if (put.op !== 'put' || !put.key.startsWith(world.keys.specs.start)) continue;
        const stored = before.get(put.key);
        if (stored?.includes(FIELD) && !put.value.includes(FIELD))
          world.violations.push(`${put.key} has lost what a newer version wrote there`);
      }
      return result;
    },
  };
}

function entry({ key, value }: KeyValue): [string, string] {
  return [key, value];
}
