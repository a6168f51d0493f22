import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { decodeStored, generationOf, lastSegment, type StoredType, unitId } from '@rocketmq-connect/cluster';
import type { KeyRange, KeyValue } from '@rocketmq-connect/metadata-store';
import { type PlacementRunner, type PlacementUnit, placementWishes } from '@rocketmq-connect/placement';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredOwner, StoredRunner, StoredSpec, StoredTarget, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { toPlainError } from '@rocketmq-connect/sdk';

/** One runner's row of targets as it is stored. */
export interface TargetRow {
  readonly modRevision: bigint;
  /** As stored; for fields that this version does not know. */
  readonly value: string;
  /** Unit → generation, '' for a connector instance. */
  readonly units: ReadonlyMap<string, string>;
}

/** What placement is computed from, at one moment. */
export interface Snapshot {
  readonly units: readonly PlacementUnit[];
  /** Unit → generation. */
  readonly generations: ReadonlyMap<string, string>;
  readonly runners: readonly PlacementRunner[];
  /** Runner → its row. */
  readonly rows: ReadonlyMap<string, TargetRow>;
  /** Unit → the runner that owns it. */
  readonly owners: ReadonlyMap<string, string>;
  /** Runners with a recorded absence. */
  readonly absences: ReadonlySet<string>;
  /** Those of them whose grace delay is not over. */
  readonly awaited: ReadonlySet<string>;
}

/** The keys that scheduling depends on. They are all there is: a new leader starts from them alone. */
export function scheduledRanges(keys: ClusterKeys) {
  const { runners, specs, taskSets, owners, targets, drains, absences, absenceTimers } = keys;
  return { runners, specs, taskSets, owners, targets, drains, absences, absenceTimers } satisfies Record<string, KeyRange>;
}

export function mapValues<K extends string, T, R>(record: Readonly<Record<K, T>>, to: (value: T, index: number) => R): Record<K, R> {
  return Object.fromEntries(Object.entries<T>(record).map(([name, value], index) => [name, to(value, index)])) as Record<K, R>;
}

export type ScheduledRange = keyof ReturnType<typeof scheduledRanges>;

/** Reads stored values, each once. What cannot be read is null, and told once: it must not stop the scheduling of everything else. */
export class SnapshotReader {
  readonly #keys: ClusterKeys;
  readonly #onCorrupt: (error: string) => void;
  readonly #decoded = new WeakMap<KeyValue, unknown>();

  constructor(keys: ClusterKeys, onCorrupt: (error: string) => void) {
    this.#keys = keys;
    this.#onCorrupt = onCorrupt;
  }

  read(found: Readonly<Record<ScheduledRange, ReadonlyMap<string, KeyValue>>>): Snapshot {
    const units: PlacementUnit[] = [];
    const generations = new Map<string, string>();
    for (const kv of found.specs.values()) this.#addUnits(kv, found.taskSets, units, generations);
    const drained = new Set([...found.drains.keys()].map(lastSegment));
    const rows = new Map<string, TargetRow>();
    for (const kv of found.targets.values()) {
      const target = this.#decode(StoredTarget, kv);
      const row = { modRevision: kv.modRevision, value: kv.value, units: new Map(Object.entries(target?.units ?? {})) };
      rows.set(lastSegment(kv.key), row);
    }
    return {
      units,
      generations,
      runners: [...found.runners.values()].flatMap((kv) => {
        const runner = this.#decode(StoredRunner, kv);
        const id = lastSegment(kv.key);
        return runner === null ? [] : [{ ...runner, id, draining: runner.leaving || drained.has(id) }];
      }),
      rows,
      owners: this.#owners(found.owners),
      absences: new Set([...found.absences.keys()].map(lastSegment)),
      awaited: new Set([...found.absenceTimers.keys()].map(lastSegment)),
    };
  }

  #addUnits(kv: KeyValue, taskSets: ReadonlyMap<string, KeyValue>, units: PlacementUnit[], generations: Map<string, string>): void {
    const spec = this.#decode(StoredSpec, kv);
    const connector = lastSegment(kv.key);
    if (spec === null || spec.targetState === TargetState.STOPPED) return;
    const { selector, weight, tasksPerRunnerMax } = placementWishes(spec.config);
    const base = { connector, plugin: spec.plugin, pluginVersion: spec.config['connector.plugin.version']?.trim() ?? '', selector };
    const instance = unitId({ connector });
    units.push({ ...base, id: instance, kind: 'connector', weight: 1 });
    generations.set(instance, '');
    const pointer = taskSets.get(this.#keys.taskSet(connector));
    const taskSet = pointer === undefined ? null : this.#decode(StoredTaskSet, pointer);
    if (pointer === undefined || taskSet === null) return;
    const generation = generationOf(pointer.modRevision);
    for (let task = 0; task < taskSet.tasks; task++) {
      const id = unitId({ connector, task });
      units.push({ ...base, id, kind: 'task', weight, tasksPerRunnerMax });
      generations.set(id, generation);
    }
  }

  #owners(found: ReadonlyMap<string, KeyValue>): Map<string, string> {
    const owners = new Map<string, string>();
    const prefix = this.#keys.owners.start;
    for (const kv of found.values()) {
      const owner = this.#decode(StoredOwner, kv);
      // owners/connectors/{connector} or owners/tasks/{connector}/{generation}/{task}, escaped as unit ids are.
      const [kind, connector, , task] = kv.key.slice(prefix.length).split('/');
      if (owner !== null) owners.set(task === undefined ? `${kind}/${connector}` : `${kind}/${connector}/${task}`, owner.runner);
    }
    return owners;
  }

  #decode<T>(type: StoredType<T>, kv: KeyValue): T | null {
    const known = this.#decoded.get(kv);
    if (known !== undefined) return known as T | null;
    let decoded: T | null = null;
    try {
      decoded = decodeStored(type, kv);
    } catch (error) {
      this.#onCorrupt(toPlainError(error).message);
    }
    this.#decoded.set(kv, decoded);
    return decoded;
  }
}
