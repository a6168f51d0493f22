import { type ClusterKeys, decodeStored, generationOf, lastSegment, parseUnitId, unitId } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import type { KeyValue, MetadataStore } from '@rocketmq-connect/metadata-store';
import type { ClusterServiceDefinition, ListRunnersResponse, Runner, Unit } from '@rocketmq-connect/proto/cluster';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';
import { StoredOwner, StoredRunner, StoredSpec, StoredStatus, StoredTarget, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { type ClusterRead, readCluster } from './cluster-read.ts';

interface ViewDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
}

/** Who runs what. */
export function viewHandlers({ store, keys }: ViewDeps): Pick<Handlers<ClusterServiceDefinition>, 'listRunners' | 'listUnits'> {
  return {
    listRunners: async () => listRunners(await readCluster(store, keys)),
    listUnits: async ({ connector }) => {
      const units = listUnits(keys, await readCluster(store, keys));
      return { units: connector === '' ? units : units.filter((unit) => unit.connector === connector) };
    },
  };
}

function listRunners({ found, snapshot, leader }: ClusterRead): ListRunnersResponse {
  const owned = new Map<string, number>();
  for (const runner of snapshot.owners.values()) owned.set(runner, (owned.get(runner) ?? 0) + 1);
  const drained = new Set([...found.drains.keys()].map(lastSegment));
  const counts = (id: string, leaving: boolean) => ({
    draining: leaving || drained.has(id),
    ownedUnits: owned.get(id) ?? 0,
    targetUnits: snapshot.rows.get(id)?.units.size ?? 0,
  });
  const runners = [...found.runners.values()].map((kv): Runner => {
    const id = lastSegment(kv.key);
    const { endpoint, version, labels, zone, capacity, leaving } = decodeStored(StoredRunner, kv);
    return { id, endpoint, version, labels, zone, capacity, missing: false, ...counts(id, leaving) };
  });
  const live = new Set(runners.map(({ id }) => id));
  const missing = [...snapshot.awaited]
    .filter((id) => !live.has(id))
    .map((id): Runner => ({ id, endpoint: '', version: '', labels: {}, zone: '', capacity: 0, missing: true, ...counts(id, false) }));
  return { runners: [...runners, ...missing].sort((a, b) => (a.id < b.id ? -1 : 1)), leader };
}

/** The units that should run, and owned ones that should not, by connector and task. */
export function listUnits(keys: ClusterKeys, { found }: ClusterRead): Unit[] {
  const units = wantedUnits(found.specs.values(), found.taskSets.values());
  for (const kv of found.targets.values()) {
    for (const id of Object.keys(decodeStored(StoredTarget, kv).units)) unitAt(units, id).targetRunner = lastSegment(kv.key);
  }
  for (const kv of found.owners.values()) {
    const [kind, name, generation = '', task] = kv.key.slice(keys.owners.start.length).split('/');
    const unit = unitAt(units, task === undefined ? `${kind}/${name}` : `${kind}/${name}/${task}`);
    unit.ownerRunner = decodeStored(StoredOwner, kv).runner;
    unit.token = kv.createRevision;
    unit.generation = task === undefined ? '' : generation;
  }
  for (const unit of units.values()) {
    const status = statusOf(keys, found.statuses, unit);
    // Invariant 3: what a past owner said is not what is.
    if (status !== null && unit.token !== 0n && status.token === unit.token) unit.state = status.state;
  }
  return [...units.values()].sort((a, b) => (a.connector === b.connector ? a.task - b.task : a.connector < b.connector ? -1 : 1));
}

/** The last status of a unit, whoever wrote it. */
export function statusOf(keys: ClusterKeys, statuses: ReadonlyMap<string, KeyValue>, { id }: Unit): StoredStatus | null {
  const kv = statuses.get(keys.statuses.start + id);
  return kv === undefined ? null : decodeStored(StoredStatus, kv);
}

/** The units that should run; owned ones that should not are added as they are met. */
function wantedUnits(specs: Iterable<KeyValue>, taskSets: Iterable<KeyValue>): Map<string, Unit> {
  const units = new Map<string, Unit>();
  const running = new Set<string>();
  for (const kv of specs) {
    const name = lastSegment(kv.key);
    if (decodeStored(StoredSpec, kv).targetState === TargetState.STOPPED) continue;
    running.add(name);
    unitAt(units, unitId({ connector: name }));
  }
  for (const kv of taskSets) {
    const name = lastSegment(kv.key);
    const { tasks } = decodeStored(StoredTaskSet, kv);
    if (!running.has(name)) continue;
    for (let task = 0; task < tasks; task++) unitAt(units, unitId({ connector: name, task })).generation = generationOf(kv.modRevision);
  }
  return units;
}

function unitAt(units: Map<string, Unit>, id: string): Unit {
  const known = units.get(id);
  if (known !== undefined) return known;
  const { connector, task = -1 } = parseUnitId(id);
  const unit = { id, connector, task, generation: '', targetRunner: '', ownerRunner: '', token: 0n, state: UnitState.UNASSIGNED };
  units.set(id, unit);
  return unit;
}
