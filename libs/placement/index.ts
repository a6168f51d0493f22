import { type Board, layBoard, put } from './board.ts';
import { level } from './level.ts';
import { rendezvous } from './rendezvous.ts';

export { type Verdict, verdicts } from './verdicts.ts';
export { placementWishes } from './wishes.ts';

/** A connector instance or a task, as placement sees it. */
export interface PlacementUnit {
  /** Unique, see `unitId` of libs/cluster. */
  readonly id: string;
  readonly connector: string;
  /** The two kinds are spread each on its own: a runner full of tasks may still watch a connector. */
  readonly kind: 'connector' | 'task';
  /** Positive integer; 1 is usual. */
  readonly weight: number;
  /** Name or alias of the plugin it needs. */
  readonly plugin: string;
  /** '' takes any version. */
  readonly pluginVersion: string;
  /** Labels that a runner must have. */
  readonly selector?: Readonly<Record<string, string>>;
  /** Tasks of this connector that one runner may have; 0, the default: no limit. */
  readonly tasksPerRunnerMax?: number;
}

/** A live runner. */
export interface PlacementRunner {
  readonly id: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Sum of weights it takes; 0 = no limit. */
  readonly capacity: number;
  /** Takes nothing and gives everything away. */
  readonly draining: boolean;
  readonly plugins: readonly { readonly name: string; readonly version: string; readonly aliases: readonly string[] }[];
}

export interface PlacementInput {
  readonly units: readonly PlacementUnit[];
  readonly runners: readonly PlacementRunner[];
  /** Runners that are gone but within their grace delay: they keep their units, and nothing is levelled meanwhile. */
  readonly missing: ReadonlySet<string>;
  /** Unit → the runner it was targeted at. */
  readonly previous: ReadonlyMap<string, string>;
  /** Unit → the runner that owns it now. */
  readonly owners: ReadonlyMap<string, string>;
  /** Moves under way at once, for balance only, as a share of all units; at least one. Default 0.2. */
  readonly maxMoves?: number;
}

/** Unit → runner. A unit that no runner may take is absent. */
export type Placement = ReadonlyMap<string, string>;

/**
 * Where each unit should run. Pure and total: the same for any order of the input. Units stay where they are while they may; the rest go
 * to the least loaded; then a bounded number moves while that lowers the spread. Repeated, it reaches a placement that it keeps.
 * Safety never depends on it (Invariant 1 is the store's), only balance.
 */
export function place(input: PlacementInput): Placement {
  const board = layBoard(input);
  const waitsForMissing = keep(board, input);
  const moving = movesUnderWay(board, input);
  placeRest(board);
  if (!waitsForMissing) {
    const limit = Math.max(1, Math.floor(board.units.length * (input.maxMoves ?? 0.2)));
    level(board, limit - moving.size, moving);
  }
  const placement = new Map(board.heldByMissing);
  board.units.forEach((unit, index) => {
    const runner = board.runners[board.at[index] ?? -1];
    if (runner !== undefined) placement.set(unit.id, runner.id);
  });
  return placement;
}

/** Leaves units where they were targeted, or where they run if no target is known. True if a missing runner keeps some. */
function keep(board: Board, input: PlacementInput): boolean {
  board.units.forEach((unit, index) => {
    const previous = input.previous.get(unit.id) ?? input.owners.get(unit.id);
    if (previous === undefined) return;
    const runner = board.runnerIndex.get(previous);
    if (runner !== undefined) {
      if (board.takes(index, runner)) put(board, index, runner);
    } else if (input.missing.has(previous)) {
      board.heldByMissing.set(unit.id, previous);
    }
  });
  return board.heldByMissing.size > 0;
}

/** Units that another runner than their target still owns: they count as moves, and are not moved again. */
function movesUnderWay(board: Board, input: PlacementInput): Set<number> {
  const moving = new Set<number>();
  board.units.forEach((unit, index) => {
    const owner = input.owners.get(unit.id);
    const runner = board.runners[board.at[index] ?? -1];
    if (runner !== undefined && owner !== undefined && owner !== runner.id) moving.add(index);
  });
  return moving;
}

function placeRest(board: Board): void {
  const rest: number[] = [];
  for (let unit = 0; unit < board.units.length; unit++) {
    if (board.at[unit] === -1 && !board.heldByMissing.has(board.units[unit]?.id ?? '')) rest.push(unit);
  }
  // Stable, so that units of one weight keep the order of their ids and the tasks of one connector follow each other.
  rest.sort((a, b) => board.weight(b) - board.weight(a));
  for (const unit of rest) {
    const runner = leastLoaded(board, unit);
    if (runner !== -1) put(board, unit, runner);
  }
}

/** The least loaded runner that takes the unit; among equals one without a task of this connector, then in a zone without, then by hash. */
function leastLoaded(board: Board, unit: number): number {
  let best = -1;
  let bestLoad = Number.POSITIVE_INFINITY;
  for (let runner = 0; runner < board.runners.length; runner++) {
    const load = board.load(unit, runner);
    if (load > bestLoad || !board.takes(unit, runner)) continue;
    if (load === bestLoad && !isRather(board, unit, runner, best)) continue;
    best = runner;
    bestLoad = load;
  }
  return best;
}

function isRather(board: Board, unit: number, a: number, b: number): boolean {
  const siblings = board.siblings(unit, a) - board.siblings(unit, b);
  if (siblings !== 0) return siblings < 0;
  const inZone = board.siblingsInZone(unit, a) - board.siblingsInZone(unit, b);
  if (inZone !== 0) return inZone < 0;
  return rendezvous(board, unit, a) > rendezvous(board, unit, b);
}
