import { generationOf, parseUnitId } from '@rocketmq-connect/cluster';
import { TargetState } from '@rocketmq-connect/proto/common';
import type { StoredSpec, StoredTarget, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import type { ClaimedUnit } from './claims.ts';

/** A stored value with the revisions of its key. */
export interface Versioned<T> {
  readonly value: T;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
}

/** What a runner sees of the cluster. */
export interface ClusterView {
  spec(connector: string): Versioned<StoredSpec> | undefined;
  taskSet(connector: string): Versioned<StoredTaskSet> | undefined;
  /** Up to which revision task sets are known. */
  taskSetRevision(): bigint;
}

export interface DesiredUnit {
  readonly unit: ClaimedUnit;
  readonly paused: boolean;
}

/**
 * The units that this runner should own now, by the name of their life: a task's life ends with its generation, a connector instance's
 * with the connector (one that is deleted and created anew is another). What the target says of another generation than the published one, or
 * of a connector that is STOPPED or deleted, is out of date.
 */
export function desiredUnits(target: StoredTarget | undefined, view: ClusterView): Map<string, DesiredUnit> {
  const desired = new Map<string, DesiredUnit>();
  for (const [id, generation] of Object.entries(target?.units ?? {})) {
    const ref = parseUnitId(id);
    const spec = view.spec(ref.connector);
    if (spec === undefined || spec.value.targetState === TargetState.STOPPED) continue;
    // What a newer version asks for is not known here: then nothing is the safe thing to do.
    const paused = spec.value.targetState === TargetState.PAUSED || spec.value.targetState === TargetState.UNRECOGNIZED;
    if (ref.task === undefined) {
      desired.set(`${id}@${spec.createRevision}`, { unit: { ...ref, generation: '' }, paused });
      continue;
    }
    const pointer = view.taskSet(ref.connector);
    if (pointer === undefined || generationOf(pointer.modRevision) !== generation || ref.task >= pointer.value.tasks) continue;
    desired.set(`${id}@${generation}`, { unit: { ...ref, generation }, paused });
  }
  return desired;
}

/** The unit of a life, as users name it. */
export function unitOfLife(life: string): string {
  return life.slice(0, life.lastIndexOf('@'));
}

/** What the code of a unit was started for: it restarts when this changes. */
export function startedFor(unit: ClaimedUnit, spec: StoredSpec | undefined): string {
  if (spec === undefined) return '';
  return unit.task === undefined ? `${spec.configRevision}/${spec.connectorRestarts}` : String(spec.taskRestarts[unit.task] ?? 0n);
}
