import { type Board, put } from './board.ts';
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
    forget(search, move);
  }
}

const kinds = ['task', 'connector'] as const;
type Kind = (typeof kinds)[number];
type Held = Readonly<Record<Kind, readonly Set<number>[]>>;

interface Search {
  readonly board: Board;
  readonly held: Held;
  readonly pinned: ReadonlySet<number>;
  readonly heaviest: number;
  /** Pairs of runners (`from * runners + to`) between which nothing may move, so that they are not searched at every move. */
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

/** After a move, `to` holds another unit to give and `from` has more room: what was barren for them may not be any more. */
function forget(search: Search, { from, to }: Move): void {
  const runners = search.board.runners.length;
  for (const kind of kinds) {
    for (let other = 0; other < runners; other++) {
      search.barren[kind].delete(to * runners + other);
      search.barren[kind].delete(other * runners + from);
    }
  }
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

/** By how much the squares fall at best: a unit of weight w counts three times (twice in its kind, once in all), so by w × (room − 3w). */
function mostGain(room: number, heaviest: number): number {
  const weight = Math.min(Math.max(room / 6, 1), heaviest);
  return weight * (room - 3 * weight);
}

/** The unit whose move gains most; among equals the one with most siblings here and fewest there, then by hash. */
function bestUnit(search: Search, kind: Kind, from: number, to: number, room: number): Move | null | 'none may' {
  const { board, pinned } = search;
  let best = -1;
  let gain = 0;
  let mayMove = false;
  for (const unit of search.held[kind][from] ?? []) {
    if (pinned.has(unit) || !board.takes(unit, to)) continue;
    mayMove = true;
    const weight = board.weight(unit);
    const gains = weight * (room - 3 * weight);
    if (gains <= 0 || gains < gain) continue;
    if (best !== -1 && gains === gain && !isRather(board, unit, best, from, to)) continue;
    best = unit;
    gain = gains;
  }
  if (!mayMove) return 'none may';
  return best === -1 ? null : { unit: best, kind, from, to, gain };
}

/** Whether to move `a` rather than `b`, which gains as much. */
function isRather(board: Board, a: number, b: number, from: number, to: number): boolean {
  const apart = (unit: number): number => board.siblings(unit, from) - board.siblings(unit, to);
  const zones = (unit: number): number => board.siblingsInZone(unit, from) - board.siblingsInZone(unit, to);
  const order = apart(a) - apart(b) || zones(a) - zones(b) || rendezvous(board, a, to) - rendezvous(board, b, to) || b - a;
  return order > 0;
}

function fullness(board: Board, kind: Kind): Float64Array {
  const own = kind === 'connector' ? board.loads.connectors : board.loads.tasks;
  return own.map((load, runner) => 2 * load + (board.loads.all[runner] ?? 0));
}
