import type { Board } from './board.ts';

/** Highest random weight: each unit ranks the runners in an order of its own, which a change of other runners leaves as it is. */
export function rendezvous(board: Board, unit: number, runner: number): number {
  let h = (board.unitHash[unit] ?? 0) ^ Math.imul(board.runnerHash[runner] ?? 0, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a over UTF-16 code units. */
export function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
