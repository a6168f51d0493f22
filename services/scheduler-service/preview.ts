import { type Placement, type PlacementRunner, place } from '@rocketmq-connect/placement';
import type { Move, PreviewPlacementRequest, PreviewPlacementResponse, PreviewRunner } from '@rocketmq-connect/proto/cluster';
import { ConfigError, ConnectError } from '@rocketmq-connect/sdk';
import { previousPlacement } from './rows.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Where everything would be if runners were drained, gone or added, and each move were made before the next round. Throws `notFound` for
 * a runner that is not there, `ConfigError` for one that is there already.
 */
export function previewPlacement(snapshot: Snapshot, change: PreviewPlacementRequest): PreviewPlacementResponse {
  const runners = changedRunners(snapshot.runners, change);
  const live = new Set(runners.map(({ id }) => id));
  const missing = new Set([...snapshot.awaited].filter((id) => !live.has(id) && !change.remove.includes(id)));
  const before = previousPlacement(snapshot);
  let previous: Placement = before;
  let owners: ReadonlyMap<string, string> = snapshot.owners;
  let rounds = 0;
  for (; rounds < ROUNDS_MAX; rounds++) {
    const next = place({ units: snapshot.units, runners, missing, previous, owners });
    if (isSame(next, previous)) break;
    previous = next;
    owners = next;
  }
  const units: Record<string, number> = Object.fromEntries(runners.map(({ id }) => [id, 0]));
  for (const at of previous.values()) units[at] = (units[at] ?? 0) + 1;
  return { moves: movesBetween(snapshot, before, previous), unplaced: unplacedUnits(snapshot, previous), units, rounds };
}

/** Of rounds that each move a fifth of the units a few suffice; this only bounds what a caller can ask for. */
const ROUNDS_MAX = 100;

function movesBetween(snapshot: Snapshot, before: Placement, after: Placement): Move[] {
  return snapshot.units.flatMap(({ id }) => {
    const from = before.get(id) ?? snapshot.owners.get(id) ?? '';
    const to = after.get(id);
    return to === undefined || to === from ? [] : [{ unit: id, from, to }];
  });
}

function unplacedUnits(snapshot: Snapshot, placement: Placement): string[] {
  return snapshot.units.flatMap(({ id }) => (placement.has(id) ? [] : [id]));
}

function changedRunners(present: readonly PlacementRunner[], { drain, remove, add }: PreviewPlacementRequest): PlacementRunner[] {
  for (const [field, ids] of Object.entries({ drain, remove })) {
    const unknown = ids.find((id) => !present.some((runner) => runner.id === id));
    if (unknown !== undefined) throw unknownRunner(unknown, field);
  }
  const left = present.filter(({ id }) => !remove.includes(id));
  const kept = left.map((runner) => (drain.includes(runner.id) ? { ...runner, draining: true } : runner));
  return [...kept, ...add.map((runner) => imagined(runner, present))];
}

function imagined({ id, like, labels, zone, capacity }: PreviewRunner, present: readonly PlacementRunner[]): PlacementRunner {
  if (id === '' || present.some((runner) => runner.id === id)) {
    throw new ConfigError(id === '' ? 'a runner to add has no id' : `a task runner ${id} is there already`, {
      field: 'add.id',
      remedy: 'give it an id that no runner has',
    });
  }
  const model = present.find((runner) => runner.id === like);
  if (like !== '' && model === undefined) throw unknownRunner(like, 'add.like');
  const plugins = model?.plugins ?? present.flatMap((runner) => runner.plugins);
  return { id, labels, zone, capacity, draining: false, plugins };
}

export function unknownRunner(id: string, field: string): ConnectError {
  return new ConnectError('notFound', `no task runner ${id} is registered`, {
    code: 'NOT_FOUND',
    field,
    remedy: '`rocketmq-connect runners` lists those that are',
  });
}

function isSame(a: Placement, b: Placement): boolean {
  return a.size === b.size && [...a].every(([unit, at]) => b.get(unit) === at);
}
