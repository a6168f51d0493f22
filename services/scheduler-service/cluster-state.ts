import { type ClusterKeys, PrefixCache } from '@rocketmq-connect/cluster';
import type { MetadataStore, StoreSetBackError } from '@rocketmq-connect/metadata-store';
import { type Clock, toPlainError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { mapValues, type ScheduledRange, type Snapshot, SnapshotReader, scheduledRanges } from './snapshot.ts';

interface StateDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onSetBack: (error: StoreSetBackError) => void;
}

/** The keys that scheduling depends on, followed by list and watch. */
export class ClusterState {
  readonly #caches: Readonly<Record<ScheduledRange, PrefixCache>>;
  readonly #reader: SnapshotReader;

  constructor({ store, keys, clock, log, onSetBack }: StateDeps) {
    this.#reader = new SnapshotReader(keys, (error) => log.error('a stored value is left out of scheduling', { error }));
    this.#caches = mapValues(scheduledRanges(keys), (range) => {
      const onTrouble = (error: Error): void =>
        log.debug('a watch was interrupted and goes on', { prefix: range.start, error: toPlainError(error).message });
      return new PrefixCache({ store, range, clock, onSetBack, onTrouble });
    });
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
    return this.#reader.read(mapValues(this.#caches, (cache) => cache.entries()));
  }
}
