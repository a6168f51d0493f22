import { type ClusterKeys, decodeStored, generationOf, lastSegment, parseUnitId, unitId } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import type { KeyValue, MetadataStore } from '@rocketmq-connect/metadata-store';
import type { ClusterServiceDefinition, ListRunnersResponse, ListUnitsResponse, Unit } from '@rocketmq-connect/proto/cluster';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';
import {
  StoredLeader,
  StoredOwner,
  StoredRunner,
  StoredSpec,
  StoredStatus,
  StoredTarget,
  StoredTaskSet,
} from '@rocketmq-connect/proto/storage';

interface ViewDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
}

/** Who runs what. Read from the store, so every replica answers the same. */
export function clusterHandlers(deps: ViewDeps): Handlers<ClusterServiceDefinition> {
  return {
    listRunners: () => listRunners(deps),
    listUnits: ({ connector }) => listUnits(deps, connector),
  };
}

async function listRunners({ store, keys }: ViewDeps): Promise<ListRunnersResponse> {
  const { responses } = await store.txn({
    compare: [],
    then: [
      { op: 'range', range: keys.runners },
      { op: 'range', range: keys.drains },
      { op: 'range', range: keys.targets },
      { op: 'range', range: keys.owners },
      { op: 'get', key: keys.leader },
    ],
  });
  const [runners = [], drains = [], targets = [], owners = [], leader = []] = responses;
  const draining = new Set(drains.map(({ key }) => lastSegment(key)));
  const targeted = new Map(targets.map((kv) => [lastSegment(kv.key), Object.keys(decodeStored(StoredTarget, kv).units).length]));
  const owned = new Map<string, number>();
  for (const kv of owners) {
    const { runner } = decodeStored(StoredOwner, kv);
    owned.set(runner, (owned.get(runner) ?? 0) + 1);
  }
  return {
    runners: runners.map((kv) => {
      const id = lastSegment(kv.key);
      const { endpoint, version, labels, zone } = decodeStored(StoredRunner, kv);
      const counts = { ownedUnits: owned.get(id) ?? 0, targetUnits: targeted.get(id) ?? 0 };
      return { id, endpoint, version, labels, zone, draining: draining.has(id), ...counts };
    }),
    leader: leader[0] === undefined ? '' : decodeStored(StoredLeader, leader[0]).scheduler,
  };
}

async function listUnits({ store, keys }: ViewDeps, connector: string): Promise<ListUnitsResponse> {
  const { responses } = await store.txn({
    compare: [],
    then: [
      { op: 'range', range: keys.specs },
      { op: 'range', range: keys.taskSets },
      { op: 'range', range: keys.targets },
      { op: 'range', range: keys.owners },
      { op: 'range', range: keys.statuses },
    ],
  });
  const [specs = [], taskSets = [], targets = [], owners = [], statuses = []] = responses;
  const units = wantedUnits(specs, taskSets);
  for (const kv of targets) {
    for (const id of Object.keys(decodeStored(StoredTarget, kv).units)) unitAt(units, id).targetRunner = lastSegment(kv.key);
  }
  for (const kv of owners) {
    const [kind, name, generation = '', task] = kv.key.slice(keys.owners.start.length).split('/');
    const unit = unitAt(units, task === undefined ? `${kind}/${name}` : `${kind}/${name}/${task}`);
    unit.ownerRunner = decodeStored(StoredOwner, kv).runner;
    unit.token = kv.createRevision;
    unit.generation = task === undefined ? '' : generation;
  }
  const statusOf = new Map(statuses.map((kv) => [kv.key.slice(keys.statuses.start.length), kv]));
  for (const unit of units.values()) {
    const kv = statusOf.get(unit.id);
    const status = kv === undefined ? null : decodeStored(StoredStatus, kv);
    // Invariant 3: what a past owner said is not what is.
    if (status !== null && unit.token !== 0n && status.token === unit.token) unit.state = status.state;
  }
  const asked = [...units.values()].filter((unit) => connector === '' || unit.connector === connector);
  return { units: asked.sort((a, b) => (a.connector === b.connector ? a.task - b.task : a.connector < b.connector ? -1 : 1)) };
}

/** The units that should run; owned ones that should not are added as they are met. */
function wantedUnits(specs: readonly KeyValue[], taskSets: readonly KeyValue[]): Map<string, Unit> {
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
