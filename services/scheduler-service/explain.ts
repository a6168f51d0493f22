import { type ClusterKeys, decodeStored, generationOf } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { place, type Verdict, verdicts } from '@rocketmq-connect/placement';
import type { ClusterServiceDefinition, ExplainResponse, RecentChange, UnitExplanation } from '@rocketmq-connect/proto/cluster';
import { type TargetState, UnitState } from '@rocketmq-connect/proto/common';
import { StoredHistory, StoredOwner, StoredSpec } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import { type ClusterRead, readCluster } from './cluster-read.ts';
import { listUnits, statusOf } from './cluster-view.ts';
import { obstacleText, type UnitFacts, unitReasons } from './explain-text.ts';
import { previousPlacement } from './rows.ts';

interface ExplainDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
}

/** Why units are where they are, told from the same keys and by the same placement that the leader decides by. */
export function explainHandlers({ store, keys }: ExplainDeps): Pick<Handlers<ClusterServiceDefinition>, 'explain'> {
  return {
    explain: async ({ connector, task }) => {
      const read = await readCluster(store, keys);
      const kv = read.found.specs.get(keys.spec(connector));
      if (kv === undefined)
        throw new ConnectError('notFound', `Connector ${connector} not found`, { code: 'NOT_FOUND', field: 'connector' });
      const { targetState } = decodeStored(StoredSpec, kv);
      const all = explainConnector(keys, read, connector, targetState);
      const units = task === undefined ? all : all.filter(({ unit }) => unit?.task === task);
      if (task !== undefined && units.length === 0)
        throw new ConnectError('notFound', `Connector ${connector} has no task ${task}`, { code: 'NOT_FOUND', field: 'task' });
      return { targetState, units, changes: await recentChanges(store, keys, connector) } satisfies ExplainResponse;
    },
  };
}

function explainConnector(keys: ClusterKeys, read: ClusterRead, connector: string, targetState: TargetState): UnitExplanation[] {
  const { snapshot, found, leader } = read;
  const previous = previousPlacement(snapshot);
  const live = new Set(snapshot.runners.map(({ id }) => id));
  const awaited = new Set([...snapshot.awaited].filter((id) => !live.has(id)));
  const wouldBe = place({ ...snapshot, missing: awaited, previous });
  const placed = new Map(snapshot.units.map((unit) => [unit.id, unit]));
  const hasTaskSet = found.taskSets.has(keys.taskSet(connector));
  const older = olderOwners(keys, read, connector);
  return listUnits(keys, read)
    .filter((unit) => unit.connector === connector)
    .map((unit): UnitExplanation => {
      const status = statusOf(keys, found.statuses, unit);
      // Invariant 3; but of a unit that nobody owns its last owner may have said why it gave it back.
      const counts = unit.ownerRunner === '' ? status?.state === UnitState.UNASSIGNED : status?.token === unit.token;
      const current = counts ? status : null;
      const placement = placed.get(unit.id);
      const judged = placement === undefined ? [] : verdicts(snapshot, previous, placement);
      const facts: UnitFacts = {
        unit,
        targetState,
        error: current?.error ?? '',
        wanted: placement !== undefined,
        verdicts: judged,
        wouldBe: wouldBe.get(unit.id) ?? '',
        live,
        awaited,
        leader,
        hasTaskSet,
        outdated: unit.ownerRunner !== '' && unit.generation !== (snapshot.generations.get(unit.id) ?? unit.generation),
        olderOwners: older,
      };
      const sinceMs = current?.sinceMs ?? 0n;
      return { unit, error: facts.error, sinceMs, reasons: unitReasons(facts), runners: judged.map(toRunnerVerdict) };
    });
}

/** Who owns tasks of this connector of other generations than the published one. */
function olderOwners(keys: ClusterKeys, { found }: ClusterRead, connector: string): string[] {
  const { start, end } = keys.taskOwners(connector);
  const pointer = found.taskSets.get(keys.taskSet(connector));
  const published = pointer === undefined ? '' : generationOf(pointer.modRevision);
  return [...found.owners.values()].flatMap((kv) => {
    if (kv.key < start || kv.key >= end || kv.key.slice(start.length).startsWith(`${published}/`)) return [];
    return [decodeStored(StoredOwner, kv).runner];
  });
}

function toRunnerVerdict({ runner, load, siblings, obstacle }: Verdict) {
  return { runner, eligible: obstacle === null, obstacle: obstacle === null ? '' : obstacleText(obstacle), load, siblings };
}

const changesMax = 3;

async function recentChanges(store: MetadataStore, keys: ClusterKeys, connector: string): Promise<RecentChange[]> {
  const { kvs } = await store.range(keys.histories(connector));
  return [...kvs]
    .sort((a, b) => (a.modRevision < b.modRevision ? 1 : -1))
    .slice(0, changesMax)
    .map((kv) => {
      const { atMs, who, what, changedKeys } = decodeStored(StoredHistory, kv);
      return { atMs, who, what, changedKeys };
    });
}
