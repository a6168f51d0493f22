import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { decodeStored, generationOf, lastSegment, PrefixCache, type StoredType, unitId } from '@rocketmq-connect/cluster';
import type { KeyRange, KeyValue, MetadataStore } from '@rocketmq-connect/metadata-store';
import type { PlacementRunner, PlacementUnit } from '@rocketmq-connect/placement';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredOwner, StoredRunner, StoredSpec, StoredTarget, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { type Clock, toPlainError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';

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
}

interface StateDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onRegression: (seen: bigint, answered: bigint) => void;
}

/** The keys that scheduling depends on, followed by list and watch. They are all there is: a new leader starts from them alone. */
export class ClusterState {
  readonly #deps: StateDeps;
  readonly #caches: Readonly<
    Record<'runners' | 'specs' | 'taskSets' | 'owners' | 'targets' | 'drains' | 'absences' | 'absenceTimers', PrefixCache>
  >;
  readonly #corrupt = new Set<string>();

  constructor(deps: StateDeps) {
    this.#deps = deps;
    const { keys } = deps;
    const follow = (range: KeyRange): PrefixCache => this.#follow(range);
    this.#caches = {
      runners: follow(keys.runners),
      specs: follow(keys.specs),
      taskSets: follow(keys.taskSets),
      owners: follow(keys.owners),
      targets: follow(keys.targets),
      drains: follow(keys.drains),
      absences: follow(keys.absences),
      absenceTimers: follow(keys.absenceTimers),
    };
  }

  start(): void {
    for (const cache of Object.values(this.#caches)) cache.start();
  }

  stop(): void {
    for (const cache of Object.values(this.#caches)) cache.stop();
  }

  /** Resolves when everything was read once. */
  async synced(): Promise<void> {
    await Promise.all(Object.values(this.#caches).map((cache) => cache.synced));
  }

  onChange(listener: () => void): () => void {
    const unsubscribe = Object.values(this.#caches).map((cache) => cache.onChange(listener));
    return () => {
      for (const each of unsubscribe) each();
    };
  }

  /** The revision up to which targets are known: a round before one's own last write is seen would decide from the past. */
  get targetsRevision(): bigint {
    return this.#caches.targets.revision;
  }

  snapshot(): Snapshot {
    const { runners, drains, targets, absences } = this.#caches;
    const drained = new Set([...drains.entries().keys()].map(lastSegment));
    const units: PlacementUnit[] = [];
    const generations = new Map<string, string>();
    for (const kv of this.#caches.specs.entries().values()) this.#addUnits(kv, units, generations);
    const rows = new Map<string, TargetRow>();
    for (const kv of targets.entries().values()) {
      const target = this.#decode(StoredTarget, kv);
      const row = { modRevision: kv.modRevision, value: kv.value, units: new Map(Object.entries(target?.units ?? {})) };
      rows.set(lastSegment(kv.key), row);
    }
    return {
      units,
      generations,
      runners: [...runners.entries().values()].flatMap((kv) => {
        const runner = this.#decode(StoredRunner, kv);
        const id = lastSegment(kv.key);
        return runner === null ? [] : [{ ...runner, id, draining: drained.has(id) }];
      }),
      rows,
      owners: this.#owners(),
      absences: new Set([...absences.entries().keys()].map(lastSegment)),
    };
  }

  #addUnits(kv: KeyValue, units: PlacementUnit[], generations: Map<string, string>): void {
    const spec = this.#decode(StoredSpec, kv);
    const connector = lastSegment(kv.key);
    if (spec === null || spec.targetState === TargetState.STOPPED) return;
    const base = { connector, weight: 1, plugin: spec.plugin, pluginVersion: spec.config['connector.plugin.version']?.trim() ?? '' };
    const add = (id: string, kind: 'connector' | 'task', generation: string): void => {
      units.push({ ...base, id, kind });
      generations.set(id, generation);
    };
    add(unitId({ connector }), 'connector', '');
    const pointer = this.#caches.taskSets.entries().get(this.#deps.keys.taskSet(connector));
    const taskSet = pointer === undefined ? null : this.#decode(StoredTaskSet, pointer);
    if (pointer === undefined || taskSet === null) return;
    const generation = generationOf(pointer.modRevision);
    for (let task = 0; task < taskSet.tasks; task++) add(unitId({ connector, task }), 'task', generation);
  }

  #owners(): Map<string, string> {
    const owners = new Map<string, string>();
    const prefix = this.#deps.keys.owners.start;
    for (const kv of this.#caches.owners.entries().values()) {
      const owner = this.#decode(StoredOwner, kv);
      // owners/connectors/{connector} or owners/tasks/{connector}/{generation}/{task}, escaped as unit ids are.
      const [kind, connector, , task] = kv.key.slice(prefix.length).split('/');
      if (owner !== null) owners.set(task === undefined ? `${kind}/${connector}` : `${kind}/${connector}/${task}`, owner.runner);
    }
    return owners;
  }

  /** null for a value that cannot be read: it must not stop the scheduling of everything else. */
  #decode<T>(type: StoredType<T>, kv: KeyValue): T | null {
    try {
      return decodeStored(type, kv);
    } catch (error) {
      const seen = `${kv.key}@${kv.modRevision}`;
      if (!this.#corrupt.has(seen))
        this.#deps.log.error('a stored value is left out of scheduling', { error: toPlainError(error).message });
      this.#corrupt.add(seen);
      return null;
    }
  }

  #follow(range: KeyRange): PrefixCache {
    const { store, clock, log, onRegression } = this.#deps;
    return new PrefixCache({
      store,
      range,
      clock,
      onRegression,
      onTrouble: (error) => log.debug('a watch was interrupted and goes on', { prefix: range.start, error: toPlainError(error).message }),
    });
  }
}
