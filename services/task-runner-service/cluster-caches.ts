import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { decodeStored, type StoredType } from '@rocketmq-connect/cluster/codec';
import { PrefixCache } from '@rocketmq-connect/cluster/prefix-cache';
import { type KeyRange, keyRange, type MetadataStore, type StoreSetBackError } from '@rocketmq-connect/metadata-store';
import { StoredSpec, StoredTarget, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import type { Clock, TaskLogger } from '@rocketmq-connect/sdk';
import type { ClusterView, Versioned } from './desired.ts';

export interface ClusterCachesOptions {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly runner: string;
  readonly clock: Clock;
  readonly log: TaskLogger;
  readonly onChange: () => void;
  /** The store was set back in time: nothing that is known can be trusted. */
  readonly onSetBack: (error: StoreSetBackError) => void;
}

/** What a runner follows of the cluster: its own target, all specs, all task sets. May lag; every write is fenced by compares. */
export class ClusterCaches implements ClusterView {
  readonly #keys: ClusterKeys;
  readonly #log: TaskLogger;
  readonly #specs: PrefixCache;
  readonly #taskSets: PrefixCache;
  readonly #targets: PrefixCache;
  readonly #targetKey: string;
  /** Each value is decoded once. */
  readonly #decoded = new Map<string, { readonly modRevision: bigint; readonly versioned: Versioned<unknown> | undefined }>();

  constructor(options: ClusterCachesOptions) {
    const { keys, runner, log, onChange } = options;
    this.#keys = keys;
    this.#log = log;
    this.#targetKey = keys.target(runner);
    const follow = (range: KeyRange): PrefixCache => {
      const cache = new PrefixCache({
        ...options,
        range,
        onTrouble: (error) => log.debug('a watch of the metadata store starts anew', { error: error.message }),
      });
      cache.onChange((changed) => {
        for (const key of changed) if (!cache.entries().has(key)) this.#decoded.delete(key);
        onChange();
      });
      return cache;
    };
    this.#specs = follow(keys.specs);
    this.#taskSets = follow(keys.taskSets);
    this.#targets = follow(keyRange(this.#targetKey));
  }

  /** Resolves when everything was read once. */
  async start(): Promise<void> {
    const caches = [this.#specs, this.#taskSets, this.#targets];
    for (const cache of caches) cache.start();
    await Promise.all(caches.map((cache) => cache.synced));
  }

  stop(): void {
    for (const cache of [this.#specs, this.#taskSets, this.#targets]) cache.stop();
  }

  target(): StoredTarget | undefined {
    return this.#read(this.#targets, this.#targetKey, StoredTarget)?.value;
  }

  spec(connector: string): Versioned<StoredSpec> | undefined {
    return this.#read(this.#specs, this.#keys.spec(connector), StoredSpec);
  }

  taskSet(connector: string): Versioned<StoredTaskSet> | undefined {
    return this.#read(this.#taskSets, this.#keys.taskSet(connector), StoredTaskSet);
  }

  taskSetRevision(): bigint {
    return this.#taskSets.revision;
  }

  #read<T>(cache: PrefixCache, key: string, type: StoredType<T>): Versioned<T> | undefined {
    const kv = cache.entries().get(key);
    if (kv === undefined) return undefined;
    const known = this.#decoded.get(key);
    if (known?.modRevision === kv.modRevision) return known.versioned as Versioned<T> | undefined;
    let versioned: Versioned<T> | undefined;
    try {
      versioned = { value: decodeStored(type, kv), createRevision: kv.createRevision, modRevision: kv.modRevision };
    } catch (error) {
      // Taken for absent, so that one broken value stops its own units and no others.
      this.#log.error((error as Error).message, { key });
    }
    this.#decoded.set(key, { modRevision: kv.modRevision, versioned });
    return versioned;
  }
}
