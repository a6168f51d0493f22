import type { PlacementInput, PlacementRunner, PlacementUnit } from './index.ts';
import { obstacleOf } from './obstacle.ts';
import { hashOf } from './rendezvous.ts';

/**
 * Units and runners by index (sorted by id, so that the order of the input does not matter) with the load that each runner has.
 * Arrays of numbers, since 10,000 units × 100 runners are looked at in each round.
 */
export interface Board {
  readonly units: readonly PlacementUnit[];
  readonly runners: readonly PlacementRunner[];
  readonly runnerIndex: ReadonlyMap<string, number>;
  readonly unitHash: Uint32Array;
  readonly runnerHash: Uint32Array;
  /** Unit → runner, -1 for none. */
  readonly at: Int32Array;
  /** Unit id → the missing runner that keeps it. */
  readonly heldByMissing: Map<string, string>;
  readonly loads: Loads;
  weight(unit: number): number;
  /** Eligible, and has room for it. */
  takes(unit: number, runner: number): boolean;
  /**
   * How full a runner is for this kind of unit: its own kind counts twice, and everything once. By that weighting a placement that
   * no single move improves has a spread of at most 1 in tasks, in connectors and in all together (equal weights, no constraints).
   */
  load(unit: number, runner: number): number;
  /** Where the row of the unit's connector begins in `loads.byRunner` and `loads.byZone`. */
  readonly row: Int32Array;
  /** Tasks of the unit's connector there. */
  siblings(unit: number, runner: number): number;
  siblingsInZone(unit: number, runner: number): number;
}

/** How often a unit counts among its own kind; see `load`. With 1, two opposite spreads of 2 could hold each other. */
export const OWN_KIND = 2;

interface Loads {
  readonly tasks: Float64Array;
  readonly connectors: Float64Array;
  readonly all: Float64Array;
  /** Tasks of a connector by runner, and by zone: one row of `runners.length` per connector. */
  readonly byRunner: Int32Array;
  readonly byZone: Int32Array;
  readonly zoneOf: Int32Array;
}

export function layBoard(input: PlacementInput): Board {
  const units = [...input.units].sort(byId);
  const runners = [...input.runners].sort(byId);
  const weights = Float64Array.from(units, (unit) => Math.max(1, Math.floor(unit.weight)));
  const eligible = eligibility(units, runners);
  const isConnector = Uint8Array.from(units, (unit) => (unit.kind === 'connector' ? 1 : 0));
  const row = rowsByConnector(units, runners.length);
  const siblingsMax = Float64Array.from(units, ({ kind, tasksPerRunnerMax = 0 }) =>
    kind === 'task' && tasksPerRunnerMax > 0 ? tasksPerRunnerMax : Number.POSITIVE_INFINITY,
  );
  const capacities = Float64Array.from(runners, (runner) => (runner.capacity > 0 ? runner.capacity : Number.POSITIVE_INFINITY));
  const loads = noLoads(units, runners);
  return {
    units,
    runners,
    runnerIndex: new Map(runners.map((runner, index) => [runner.id, index])),
    unitHash: Uint32Array.from(units, (unit) => hashOf(unit.id)),
    runnerHash: Uint32Array.from(runners, (runner) => hashOf(runner.id)),
    at: new Int32Array(units.length).fill(-1),
    heldByMissing: new Map(),
    loads,
    weight: (unit) => weights[unit] ?? 1,
    takes: (unit, runner) => {
      if (eligible[unit]?.[runner] !== 1) return false;
      if ((loads.byRunner[(row[unit] ?? 0) + runner] ?? 0) >= (siblingsMax[unit] ?? 0)) return false;
      return (loads.all[runner] ?? 0) + (weights[unit] ?? 1) <= (capacities[runner] ?? 0);
    },
    load: (unit, runner) => OWN_KIND * ((isConnector[unit] === 1 ? loads.connectors : loads.tasks)[runner] ?? 0) + (loads.all[runner] ?? 0),
    row,
    siblings: (unit, runner) => loads.byRunner[(row[unit] ?? 0) + runner] ?? 0,
    siblingsInZone: (unit, runner) => loads.byZone[(row[unit] ?? 0) + (loads.zoneOf[runner] ?? 0)] ?? 0,
  };
}

/** Puts a unit on a runner, off the one where it was. */
export function put(board: Board, index: number, runner: number): void {
  const before = board.at[index] ?? -1;
  if (before !== -1) count(board, index, before, -1);
  board.at[index] = runner;
  count(board, index, runner, 1);
}

function count(board: Board, index: number, runner: number, sign: 1 | -1): void {
  const unit = board.units[index];
  if (unit === undefined) return;
  const { loads } = board;
  const weight = sign * board.weight(index);
  loads.all[runner] = (loads.all[runner] ?? 0) + weight;
  const own = unit.kind === 'connector' ? loads.connectors : loads.tasks;
  own[runner] = (own[runner] ?? 0) + weight;
  if (unit.kind === 'connector') return;
  const row = board.row[index] ?? 0;
  const zone = loads.zoneOf[runner] ?? 0;
  loads.byRunner[row + runner] = (loads.byRunner[row + runner] ?? 0) + sign;
  loads.byZone[row + zone] = (loads.byZone[row + zone] ?? 0) + sign;
}

function noLoads(units: readonly PlacementUnit[], runners: readonly PlacementRunner[]): Loads {
  const zones = new Map<string, number>();
  // A runner without a zone is a zone of its own: nothing is known to fail together with it.
  const zoneOf = Int32Array.from(runners, (runner) => {
    const zone = runner.zone === '' ? `\0${runner.id}` : runner.zone;
    if (!zones.has(zone)) zones.set(zone, zones.size);
    return zones.get(zone) ?? 0;
  });
  const zeros = (): Float64Array => new Float64Array(runners.length);
  const rows = new Set(units.map((unit) => unit.connector)).size * runners.length;
  return { tasks: zeros(), connectors: zeros(), all: zeros(), byRunner: new Int32Array(rows), byZone: new Int32Array(rows), zoneOf };
}

function rowsByConnector(units: readonly PlacementUnit[], width: number): Int32Array {
  const rows = new Map<string, number>();
  return Int32Array.from(units, ({ connector }) => {
    let row = rows.get(connector);
    if (row === undefined) {
      row = rows.size * width;
      rows.set(connector, row);
    }
    return row;
  });
}

/** Per unit, 1 for each runner that may run it; units with the same needs share one row. */
function eligibility(units: readonly PlacementUnit[], runners: readonly PlacementRunner[]): readonly Uint8Array[] {
  const rows = new Map<string, Uint8Array>();
  return units.map((unit) => {
    const labels = Object.entries(unit.selector ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    const needs = labels.length === 0 ? `${unit.plugin}\0${unit.pluginVersion}` : JSON.stringify([unit.plugin, unit.pluginVersion, labels]);
    let row = rows.get(needs);
    if (row === undefined) {
      row = Uint8Array.from(runners, (runner) => (obstacleOf(unit, runner) === null ? 1 : 0));
      rows.set(needs, row);
    }
    return row;
  });
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
