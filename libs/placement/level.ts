import { type Board, OWN_KIND, put } from './board.ts';
import { rendezvous } from './rendezvous.ts';

/**
 * Moves at most `limit` units, one at a time, each from the fullest runner to the emptiest that takes it, while that lowers the sum of the
 * squared loads. That sum falls with every move, so a fixpoint exists and is kept.
 */
export function level(board: Board, limit: number, pinned: ReadonlySet<number>): void {
  if (board.runners.length < 2) return;
  const held = unitsByRunner(board);
  const search: Search = { board, held, pinned, heaviest: heaviestOf(board), barren: { task: new Set(), connector: new Set() } };
  for (let moves = 0; moves < limit; moves++) {
    const move = bestMove(search);
    if (move === null) return;
    held[move.kind][move.from]?.delete(move.unit);
    held[move.kind][move.to]?.add(move.unit);
    put(board, move.unit, move.to);
  }
}

/** How often a unit counts in the fullness of its runner: in its kind, and in all. */
const COUNTS = OWN_KIND + 1;
const kinds = ['task', 'connector'] as const;
type Kind = (typeof kinds)[number];
type Held = Readonly<Record<Kind, readonly Set<number>[]>>;

interface Search {
  readonly board: Board;
  readonly held: Held;
  readonly pinned: ReadonlySet<number>;
  readonly heaviest: number;
  /**
   * Pairs of runners (`from * runners + to`) between which nothing might move: not searched again in this round. A later move may open
   * such a pair; the next round sees that, and a round that moves nothing has searched them all.
   */
  readonly barren: Readonly<Record<Kind, Set<number>>>;
}

interface Move {
  readonly unit: number;
  readonly kind: Kind;
  readonly from: number;
  readonly to: number;
  readonly gain: number;
}

function unitsByRunner(board: Board): Held {
  const sets = (): Set<number>[] => board.runners.map(() => new Set());
  const held = { task: sets(), connector: sets() };
  board.units.forEach((unit, index) => {
    held[unit.kind][board.at[index] ?? -1]?.add(index);
  });
  return held;
}

function heaviestOf(board: Board): number {
  let heaviest = 1;
  for (let unit = 0; unit < board.units.length; unit++) heaviest = Math.max(heaviest, board.weight(unit));
  return heaviest;
}

function bestMove(search: Search): Move | null {
  let best: Move | null = null;
  for (const kind of kinds) best = bestMoveOf(search, kind, best) ?? best;
  return best;
}

/** The move of this kind that gains more than `best`, if there is one. Runners are tried from the fullest and the emptiest on. */
function bestMoveOf(search: Search, kind: Kind, floor: Move | null): Move | null {
  const { board, barren } = search;
  const full = fullness(board, kind);
  const quick = extremeMove(search, kind, full);
  if (quick !== null) return quick.gain > (floor?.gain ?? 0) ? quick : null;
  const byFullness = board.runners.map((_, runner) => runner).sort((a, b) => (full[b] ?? 0) - (full[a] ?? 0) || a - b);
  let best: Move | null = null;
  for (const from of byFullness) {
    for (let i = byFullness.length - 1; i >= 0; i--) {
      const to = byFullness[i] ?? 0;
      const room = (full[from] ?? 0) - (full[to] ?? 0);
      if (to === from || mostGain(room, search.heaviest) <= (best ?? floor ?? { gain: 0 }).gain) break;
      const pair = from * board.runners.length + to;
      if (barren[kind].has(pair)) continue;
      const move = bestUnit(search, kind, from, to, room);
      if (move === 'none may') barren[kind].add(pair);
      else if (move !== null && move.gain > (best ?? floor ?? { gain: 0 }).gain) best = move;
    }
  }
  return best;
}

/** The move from the fullest to the emptiest runner, if no other pair can gain more: in the common case there is no need to sort. */
function extremeMove(search: Search, kind: Kind, full: Float64Array): Move | null {
  let from = 0;
  let to = 0;
  for (let runner = 1; runner < full.length; runner++) {
    if ((full[runner] ?? 0) > (full[from] ?? 0)) from = runner;
    if ((full[runner] ?? 0) <= (full[to] ?? 0)) to = runner;
  }
  const room = (full[from] ?? 0) - (full[to] ?? 0);
  const most = mostGain(room, search.heaviest);
  if (most <= 0 || search.barren[kind].has(from * full.length + to)) return null;
  const move = bestUnit(search, kind, from, to, room);
  return move !== null && move !== 'none may' && move.gain === most ? move : null;
}

/** By how much the squares fall at best: a unit of weight w counts three times (twice in its kind, once in all), so by w × (room − 3w). */
function mostGain(room: number, heaviest: number): number {
  const weight = Math.min(Math.max(room / (2 * COUNTS), 1), heaviest);
  return weight * (room - COUNTS * weight);
}

/** The unit whose move gains most; among equals the one with most siblings here and fewest there, then by hash. */
function bestUnit(search: Search, kind: Kind, from: number, to: number, room: number): Move | null | 'none may' {
  const { board, pinned } = search;
  let best = -1;
  let gain = 0;
  let bestRank: readonly number[] | null = null;
  let mayMove = false;
  for (const unit of search.held[kind][from] ?? []) {
    if (pinned.has(unit) || !board.takes(unit, to)) continue;
    mayMove = true;
    const weight = board.weight(unit);
    const gains = weight * (room - COUNTS * weight);
    if (gains < gain) continue;
    if (best !== -1 && gains === gain) {
      bestRank ??= rankOf(board, best, from, to);
      const rank = rankOf(board, unit, from, to);
      if (compareRanks(rank, bestRank) <= 0) continue;
      bestRank = rank;
    } else bestRank = null;
    best = unit;
    gain = gains;
  }
  if (!mayMove) return 'none may';
  return best === -1 ? null : { unit: best, kind, from, to, gain };
}

/** Of units that gain as much: most siblings here and fewest there, the same by zone, then the hash, then the order. */
function rankOf(board: Board, unit: number, from: number, to: number): readonly number[] {
  const apart = board.siblings(unit, from) - board.siblings(unit, to);
  const zones = board.siblingsInZone(unit, from) - board.siblingsInZone(unit, to);
  return [apart, zones, rendezvous(board, unit, to), -unit];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return (a[i] ?? 0) - (b[i] ?? 0);
  return 0;
}

function fullness(board: Board, kind: Kind): Float64Array {
  const own = kind === 'connector' ? board.loads.connectors : board.loads.tasks;
  return own.map((load, runner) => OWN_KIND * load + (board.loads.all[runner] ?? 0));
}
