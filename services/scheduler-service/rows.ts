import { encodeStored } from '@rocketmq-connect/cluster';
import type { Placement } from '@rocketmq-connect/placement';
import { StoredTarget } from '@rocketmq-connect/proto/storage';
import type { Snapshot, TargetRow } from './snapshot.ts';

/** The rows to write in one transaction: runner → its value, null to delete the row. */
export type RowChanges = ReadonlyMap<string, string | null>;

const rowsMax = 40;
/** Each takes three operations. */
const deletionsMax = 16;
const bytesMax = 800 * 1024;

/** Where units are targeted at now. Were a unit in two rows, the one that owns it counts, else the first. */
export function previousPlacement({ rows, owners }: Snapshot): Map<string, string> {
  const previous = new Map<string, string>();
  for (const runner of [...rows.keys()].sort()) {
    for (const unit of rows.get(runner)?.units.keys() ?? []) {
      if (!previous.has(unit) || owners.get(unit) === runner) previous.set(unit, runner);
    }
  }
  return previous;
}

/**
 * What differs between the rows as they are and a placement, as transactions in their order. A move of one unit is never torn: both its
 * rows change in one transaction, so that no unit is targeted at two runners, or lost between two leaders.
 */
export function* rowChanges(snapshot: Snapshot, placement: Placement, gone: ReadonlySet<string>): Generator<RowChanges> {
  const rows = new Map<string, Map<string, string>>();
  for (const [runner, row] of snapshot.rows) rows.set(runner, new Map(row.units));
  let touched = new Set<string>();
  for (const change of changedUnits(snapshot, placement)) {
    const next = new Set([...touched, ...change.from, ...(change.to === undefined ? [] : [change.to])]);
    if (touched.size > 0 && (next.size > rowsMax || bytesOf(rows, next) > bytesMax)) {
      yield encoded(snapshot.rows, rows, touched);
      touched = new Set();
    }
    for (const runner of change.from) touched.add(runner);
    for (const runner of change.from) rows.get(runner)?.delete(change.unit);
    if (change.to === undefined) continue;
    touched.add(change.to);
    const row = rows.get(change.to) ?? new Map<string, string>();
    rows.set(change.to, row.set(change.unit, change.generation));
  }
  // Rows of runners that are gone are empty by now; they go together with their last units, if that fits.
  const left = [...gone].filter((runner) => snapshot.rows.has(runner)).map((runner): [string, null] => [runner, null]);
  if (left.length > deletionsMax) {
    if (touched.size > 0) yield encoded(snapshot.rows, rows, touched);
    while (left.length > 0) yield new Map(left.splice(0, deletionsMax));
    return;
  }
  const all = new Map<string, string | null>([...encoded(snapshot.rows, rows, touched), ...left]);
  if (all.size > 0) yield all;
}

interface UnitChange {
  readonly unit: string;
  /** Rows that have it and must not. */
  readonly from: readonly string[];
  /** The row that must get it, or get it in another generation; undefined if that is as it should be, or nowhere. */
  readonly to: string | undefined;
  readonly generation: string;
}

/** In an order that lets the changes of one pair of rows follow each other. */
function changedUnits(snapshot: Snapshot, placement: Placement): UnitChange[] {
  const at = new Map<string, string[]>();
  for (const [runner, row] of snapshot.rows) for (const unit of row.units.keys()) at.set(unit, [...(at.get(unit) ?? []), runner]);
  const changes: UnitChange[] = [];
  for (const unit of new Set([...at.keys(), ...placement.keys()])) {
    const target = placement.get(unit);
    const generation = snapshot.generations.get(unit) ?? '';
    const from = (at.get(unit) ?? []).filter((runner) => runner !== target).sort();
    const asItShould = target === undefined || snapshot.rows.get(target)?.units.get(unit) === generation;
    if (from.length > 0 || !asItShould) changes.push({ unit, from, to: asItShould ? undefined : target, generation });
  }
  const order = (change: UnitChange): string => `${change.from.join('\0')}\u0001${change.to ?? ''}\u0001${change.unit}`;
  return changes
    .map((change) => ({ change, order: order(change) }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .map(({ change }) => change);
}

function encoded(
  stored: ReadonlyMap<string, TargetRow>,
  rows: ReadonlyMap<string, ReadonlyMap<string, string>>,
  runners: ReadonlySet<string>,
): Map<string, string> {
  return new Map(
    [...runners].map((runner) => {
      const units = Object.fromEntries([...(rows.get(runner) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)));
      return [runner, encodeStored(StoredTarget, { units }, stored.get(runner)?.value)];
    }),
  );
}

function bytesOf(rows: ReadonlyMap<string, ReadonlyMap<string, string>>, runners: ReadonlySet<string>): number {
  let bytes = 0;
  for (const runner of runners) for (const unit of rows.get(runner)?.keys() ?? []) bytes += Buffer.byteLength(unit) + 24;
  return bytes;
}
