import { type Board, OWN_KIND, put } from './board.ts';
import { rendezvous } from './rendezvous.ts';

/**
 * Moves at most `limit` units, one at a time, each from the fullest runner to the emptiest that takes it, while that lowers the sum of the
 * squared loads. That sum falls with every move, so a fixpoint exists and is kept.
 */
export function level(board: Board, limit: number, pinned: ReadonlySet<number>): void {
  if (board.runners.length < 2) return;
  const held = unitsByRunner(board, pinned);
  const pairs = (): Uint8Array => new Uint8Array(board.runners.length ** 2);
  const order = (): Int32Array => Int32Array.from(board.runners.keys());
  const search: Search = {
    board,
    held,
    heaviest: heaviestOf(board),
    barren: { task: pairs(), connector: pairs() },
    order: { task: order(), connector: order() },
  };
  for (let moves = 0; moves < limit; moves++) {
    const move = bestMove(search);
    if (move === null) return;
    remove(held[move.kind][move.from] ?? [], move.unit);
    held[move.kind][move.to]?.push(move.unit);
    put(board, move.unit, move.to);
  }
}

/** How often a unit counts in the fullness of its runner: in its kind, and in all. */
const COUNTS = OWN_KIND + 1;
const kinds = ['task', 'connector'] as const;
type Kind = (typeof kinds)[number];
/** The units of each runner that may move, in no order. */
type Held = Readonly<Record<Kind, readonly number[][]>>;

interface Search {
  readonly board: Board;
  readonly held: Held;
  readonly heaviest: number;
  /**
   * 1 for each pair of runners (`from * runners + to`) between which nothing might move: not searched again in this round. A later move may open
   * such a pair; the next round sees that, and a round that moves nothing has searched them all.
   */
  readonly barren: Readonly<Record<Kind, Uint8Array>>;
  /** Runners, as they were last sorted by their fullness. */
  readonly order: Readonly<Record<Kind, Int32Array>>;
}

interface Move {
  readonly unit: number;
  readonly kind: Kind;
  readonly from: number;
  readonly to: number;
  readonly gain: number;
}

function unitsByRunner(board: Board, pinned: ReadonlySet<number>): Held {
  const lists = (): number[][] => board.runners.map(() => []);
  const held = { task: lists(), connector: lists() };
  board.units.forEach((unit, index) => {
    if (!pinned.has(index)) held[unit.kind][board.at[index] ?? -1]?.push(index);
  });
  return held;
}

function remove(units: number[], unit: number): void {
  const last = units.pop();
  if (last !== undefined && last !== unit) units[units.indexOf(unit)] = last;
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
  const { barren } = search;
  const full = fullness(search.board, kind);
  const quick = extremeMove(search, kind, full, floor?.gain ?? 0);
  if (quick !== undefined) return quick;
  const width = full.length;
  const byFullness = search.order[kind];
  sortByFullness(byFullness, full);
  const sorted = Float64Array.from(byFullness, (runner) => full[runner] ?? 0);
  let best: Move | null = null;
  let gain = floor?.gain ?? 0;
  // A smaller difference gains no more than what is found: most pairs are done with by this.
  let tooLittle = COUNTS;
  for (const from of byFullness) {
    for (let i = width - 1; i >= 0; i--) {
      const to = byFullness[i] ?? 0;
      const room = (full[from] ?? 0) - (sorted[i] ?? 0);
      if (room <= tooLittle) break;
      const pair = from * width + to;
      if (barren[kind][pair] === 1) continue;
      if (mostGain(room, search.heaviest) <= gain) {
        tooLittle = room;
        break;
      }
      const move = bestUnit(search, kind, from, to, room);
      if (move === 'none may') barren[kind][pair] = 1;
      else if (move !== null && move.gain > gain) {
        best = move;
        gain = move.gain;
      }
    }
  }
  return best;
}

/** The fullest first. One move changes the place of two: insertion has little to do. */
function sortByFullness(order: Int32Array, full: Float64Array): void {
  for (let i = 1; i < order.length; i++) {
    const runner = order[i] ?? 0;
    const own = full[runner] ?? 0;
    let at = i;
    for (; at > 0; at--) {
      const before = order[at - 1] ?? 0;
      const its = full[before] ?? 0;
      if (its > own || (its === own && before < runner)) break;
      order[at] = before;
    }
    order[at] = runner;
  }
}

/**
 * The move from the fullest to the emptiest runner, if no other pair can gain more: in the common case there is no need to sort. Null if no
 * pair can gain more than `floor`; undefined if that is not known.
 */
function extremeMove(search: Search, kind: Kind, full: Float64Array, floor: number): Move | null | undefined {
  let from = 0;
  let to = 0;
  for (let runner = 1; runner < full.length; runner++) {
    if ((full[runner] ?? 0) > (full[from] ?? 0)) from = runner;
    if ((full[runner] ?? 0) <= (full[to] ?? 0)) to = runner;
  }
  const room = (full[from] ?? 0) - (full[to] ?? 0);
  const most = mostGain(room, search.heaviest);
  if (most <= floor) return null;
  if (search.barren[kind][from * full.length + to] === 1) return undefined;
  const move = bestUnit(search, kind, from, to, room);
  return move !== null && move !== 'none may' && move.gain === most ? move : undefined;
}

/** By how much the squares fall at best: a unit of weight w counts three times (twice in its kind, once in all), so by w × (room − 3w). */
function mostGain(room: number, heaviest: number): number {
  const weight = Math.min(Math.max(room / (2 * COUNTS), 1), heaviest);
  return weight * (room - COUNTS * weight);
}

/**
 * The unit whose move gains most; among equals the one with most siblings here and fewest there, the same by zone, then by hash, then the
 * first. Every unit of the fullest runner is looked at for every move: numbers only, and a hash only where the rest is equal.
 */
function bestUnit(search: Search, kind: Kind, from: number, to: number, room: number): Move | null | 'none may' {
  const { board } = search;
  const units = search.held[kind][from] ?? [];
  let best = -1;
  let gain = 0;
  let bestApart = 0;
  let bestZones = 0;
  let bestHash = -1;
  for (const unit of units) {
    const weight = board.weight(unit);
    const gains = weight * (room - COUNTS * weight);
    if (gains < gain) continue;
    const apart = board.siblings(unit, from) - board.siblings(unit, to);
    const zones = board.siblingsInZone(unit, from) - board.siblingsInZone(unit, to);
    let hash = -1;
    if (best !== -1 && gains === gain) {
      if (apart < bestApart || (apart === bestApart && zones < bestZones)) continue;
      if (apart === bestApart && zones === bestZones) {
        if (bestHash === -1) bestHash = rendezvous(board, best, to);
        hash = rendezvous(board, unit, to);
        if (hash < bestHash || (hash === bestHash && unit > best)) continue;
      }
    }
    if (!board.takes(unit, to)) continue;
    best = unit;
    gain = gains;
    bestApart = apart;
    bestZones = zones;
    bestHash = hash;
  }
  if (best !== -1) return { unit: best, kind, from, to, gain };
  return units.some((unit) => board.takes(unit, to)) ? null : 'none may';
}

function fullness(board: Board, kind: Kind): Float64Array {
  const own = kind === 'connector' ? board.loads.connectors : board.loads.tasks;
  return own.map((load, runner) => OWN_KIND * load + (board.loads.all[runner] ?? 0));
}
