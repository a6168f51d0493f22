import type { Placement, PlacementInput, PlacementUnit } from './index.ts';
import { type Obstacle, obstacleOf } from './obstacle.ts';

/** What placement thinks of one runner for one unit. */
export interface Verdict {
  readonly runner: string;
  /** Sum of the weights placed there, without the unit itself. */
  readonly load: number;
  /** Tasks of the unit's connector placed there, without the unit itself. */
  readonly siblings: number;
  /** null: it may run the unit. */
  readonly obstacle: Obstacle | null;
}

/** Every live runner's verdict on a unit, given where everything is placed; sorted by id. */
export function verdicts(input: Pick<PlacementInput, 'units' | 'runners'>, placement: Placement, unit: PlacementUnit): readonly Verdict[] {
  const loads = new Map<string, number>();
  const siblings = new Map<string, number>();
  for (const other of input.units) {
    const at = placement.get(other.id);
    if (at === undefined || other.id === unit.id) continue;
    loads.set(at, (loads.get(at) ?? 0) + weightOf(other));
    if (other.kind === 'task' && other.connector === unit.connector) siblings.set(at, (siblings.get(at) ?? 0) + 1);
  }
  return [...input.runners]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((runner) => {
      const load = loads.get(runner.id) ?? 0;
      const here = siblings.get(runner.id) ?? 0;
      const max = unit.kind === 'task' ? (unit.tasksPerRunnerMax ?? 0) : 0;
      let obstacle = obstacleOf(unit, runner);
      if (runner.capacity > 0 && load + weightOf(unit) > runner.capacity) obstacle ??= { kind: 'full', capacity: runner.capacity, load };
      if (max > 0 && here >= max) obstacle ??= { kind: 'siblings', max };
      return { runner: runner.id, load, siblings: here, obstacle };
    });
}

function weightOf(unit: PlacementUnit): number {
  return Math.max(1, Math.floor(unit.weight));
}
