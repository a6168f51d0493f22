import type { Compare, MetadataStore, Operation } from '@rocketmq-connect/metadata-store';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { ClusterKeys } from './keys.ts';

/** The keys that each service writes, below the prefix of the cluster: a name ends in `/` unless it is one key. Every service reads all. */
export const WRITES: Readonly<Record<string, readonly string[]>> = {
  'config-service': [
    ...[
      'layout',
      'specs/',
      'alters/',
      'deleted/',
      'tasksets/',
      'taskconfigs/',
      'offsets/',
      'sinkstates/',
      'commits/',
      'history/',
      'loggers/',
    ],
    // Released with the last commit of a task.
    ...['owners/', 'status/', 'services/'],
  ],
  'scheduler-service': ['leader', 'targets/', 'drains/', 'absences/', 'timers/', 'services/'],
  'task-runner-service': ['runners/', 'owners/', 'status/'],
  gateway: ['services/'],
};

/**
 * Asks the store whether the services of this process may read and write what they need, without writing anything. Throws
 * `ConnectError` of kind `denied` that names the first keys that they may not.
 */
export async function checkPermissions(store: MetadataStore, keys: ClusterKeys, services: readonly string[]): Promise<void> {
  const root = keys.root.start;
  const reads: Operation = { op: 'range', range: keys.root };
  const writes = [...new Set(services.flatMap((service) => WRITES[service] ?? []))];
  const put = (name: string): Operation => ({ op: 'put', key: name.endsWith('/') ? `${root}${name}?` : `${root}${name}`, value: '' });
  if (await permitted(store, keys, [reads, ...writes.map(put)])) return;
  if (!(await permitted(store, keys, [reads]))) throw denied('read', root);
  for (const name of writes) if (!(await permitted(store, keys, [put(name)]))) throw denied('write', `${root}${name}`);
}

// etcd asks for the permissions of both branches before it looks at the compares, and this one never holds.
async function permitted(store: MetadataStore, keys: ClusterKeys, operations: readonly Operation[]): Promise<boolean> {
  const never: Compare = { key: keys.layout, target: 'createRevision', value: 0n, result: 'less' };
  try {
    await store.txn({ compare: [never], then: operations });
    return true;
  } catch (error) {
    if (error instanceof ConnectError && error.code === 'STORE_PERMISSION_DENIED') return false;
    throw error;
  }
}

function denied(what: 'read' | 'write', key: string): ConnectError {
  return new ConnectError('denied', `the user of the metadata store may not ${what} ${key}`, {
    code: 'STORE_PERMISSION_DENIED',
    field: 'etcdAuth.username',
    remedy: `etcdctl role grant-permission ROLE ${what === 'read' ? 'read' : 'readwrite'} ${key.endsWith('/') ? '--prefix=true ' : ''}${key}`,
  });
}
