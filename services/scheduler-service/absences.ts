import { type ClusterKeys, encodeStored } from '@rocketmq-connect/cluster';
import { absent, type Compare, createdAt, type MetadataStore } from '@rocketmq-connect/metadata-store';
import { StoredAbsence } from '@rocketmq-connect/proto/storage';
import type { Snapshot } from './snapshot.ts';

/** Which runners are gone: those within their grace delay keep their units, the others lose them. */
export interface Absent {
  readonly missing: ReadonlySet<string>;
  readonly gone: ReadonlySet<string>;
}

/**
 * Runners that have targets but are not registered. The delay is a timer key under a lease, put in one transaction with the record: a
 * record without a timer means that the delay is over. No wall clock, and it goes on over a change of leaders.
 */
export async function absentRunners(
  store: MetadataStore,
  keys: ClusterKeys,
  leader: bigint,
  graceMs: number,
  snapshot: Snapshot,
): Promise<Absent> {
  const live = new Set(snapshot.runners.map(({ id }) => id));
  const missing = new Set<string>();
  const gone = new Set<string>();
  for (const [runner, row] of snapshot.rows) {
    if (live.has(runner)) continue;
    if (row.units.size === 0 || (graceMs <= 0 && !snapshot.absences.has(runner))) gone.add(runner);
    else if (await delayIsOver(store, keys, leader, graceMs, runner)) gone.add(runner);
    else missing.add(runner);
  }
  for (const runner of snapshot.absences) if (live.has(runner)) await forget(store, keys, leader, runner);
  return { missing, gone };
}

/** What must still hold, and what goes, when a runner's row is deleted for good. */
export function givenUp(keys: ClusterKeys, runner: string): { readonly compare: Compare; readonly keys: readonly string[] } {
  return { compare: absent(keys.runner(runner)), keys: [keys.absence(runner), keys.absenceTimer(runner)] };
}

/** Forgets the absence of a runner that is back. */
async function forget(store: MetadataStore, keys: ClusterKeys, leader: bigint, runner: string): Promise<void> {
  await store.txn({
    compare: [createdAt(keys.leader, leader)],
    then: [
      { op: 'delete', key: keys.absence(runner) },
      { op: 'delete', key: keys.absenceTimer(runner) },
    ],
  });
}

/** Begins the delay if it has not begun. Read linearizably: a cache may show the record before its timer. */
async function delayIsOver(store: MetadataStore, keys: ClusterKeys, leader: bigint, graceMs: number, runner: string): Promise<boolean> {
  const { responses } = await store.txn({
    compare: [],
    then: [
      { op: 'get', key: keys.runner(runner) },
      { op: 'get', key: keys.absence(runner) },
      { op: 'get', key: keys.absenceTimer(runner) },
    ],
  });
  const [registered = [], record = [], timer = []] = responses;
  if (registered.length > 0) return false;
  if (record.length > 0) return timer.length === 0;
  const lease = await store.grantLease(graceMs);
  const { succeeded } = await store.txn({
    compare: [createdAt(keys.leader, leader), absent(keys.runner(runner)), absent(keys.absence(runner))],
    then: [
      { op: 'put', key: keys.absence(runner), value: encodeStored(StoredAbsence, { session: '' }) },
      { op: 'put', key: keys.absenceTimer(runner), value: '{}', leaseId: lease.id },
    ],
  });
  if (!succeeded) await lease.revoke();
  return false;
}
