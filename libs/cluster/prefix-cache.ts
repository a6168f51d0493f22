import {
  CompactedError,
  type KeyRange,
  type KeyValue,
  type MetadataStore,
  StoreSetBackError,
  type Watch,
  type WatchEvent,
} from '@rocketmq-connect/metadata-store';
import type { Clock } from '@rocketmq-connect/sdk';

export interface PrefixCacheOptions {
  readonly store: MetadataStore;
  readonly range: KeyRange;
  readonly clock: Clock;
  /**
   * The store was set back, or is another one: nothing this process remembers can be trusted. The cache has stopped; the process must
   * stop what it runs and refuse to go on.
   */
  readonly onSetBack: (error: StoreSetBackError) => void;
  /** A list failed, a watch ended or a listener threw; the cache goes on by itself. For the log. */
  readonly onTrouble?: (error: Error) => void;
  /** How often the range is listed although a watch is open: one that is half-open raises no error. Default 30 s. */
  readonly listEveryMs?: number;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

/**
 * The keys of a range, followed by list and watch. It may lag behind the store, never show a state that was not: decide by it,
 * but fence every write by compares. What a stopped or cut off cache shows is its last state.
 */
export class PrefixCache {
  /** Resolves when the range was listed for the first time; waits as long as that takes. */
  readonly synced: Promise<void>;
  readonly #options: PrefixCacheOptions;
  readonly #listeners = new Set<(changed: ReadonlySet<string>) => void>();
  #entries: Map<string, KeyValue> = new Map();
  #revision = 0n;
  readonly #firstList = Promise.withResolvers<void>();
  #running = false;
  #watch: Watch | undefined;
  #cancelTimer: () => void = () => undefined;
  /** Failures since the last sign of life. */
  #failures = 0;
  /** Grows with each start and stop, so that what an older life left behind finds itself outdated. */
  #life = 0;

  constructor(options: PrefixCacheOptions) {
    this.#options = options;
    this.synced = this.#firstList.promise;
  }

  /** Key → its value and revisions, as of `revision`. Ask again after each change; copy it to keep it. */
  entries(): ReadonlyMap<string, KeyValue> {
    return this.#entries;
  }

  /** The revision that `entries` is of, as far as this range is concerned; 0n before the first list. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Calls back with the keys that changed or went, after each change; the result unsubscribes. */
  onChange(listener: (changed: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#life++;
    void this.#list();
  }

  stop(): void {
    this.#running = false;
    this.#life++;
    this.#cancelTimer();
    this.#unwatch();
  }

  async #list(): Promise<void> {
    const life = this.#life;
    const seen = this.#revision;
    try {
      const { kvs, revision } = await this.#options.store.range(this.#options.range);
      if (life === this.#life) this.#listed(kvs, revision, seen);
    } catch (error) {
      if (life === this.#life) this.#failed(error as Error);
    }
  }

  #listed(kvs: readonly KeyValue[], revision: bigint, seen: bigint): void {
    if (revision < seen) {
      return this.#failed(
        new StoreSetBackError(`the metadata store answers revision ${revision} after it had answered ${seen}: it was set back`),
      );
    }
    // Otherwise the watch has overtaken this list.
    if (revision >= this.#revision) {
      const entries = new Map(kvs.map((kv) => [kv.key, kv]));
      const changed = difference(this.#entries, entries);
      this.#entries = entries;
      this.#revision = revision;
      // The open watch should have told. It is late, or dead without knowing it: a new one costs little.
      if (changed.size > 0) this.#unwatch();
      this.#notify(changed);
    }
    this.#firstList.resolve();
    if (!this.#running) return;
    if (this.#watch === undefined) this.#openWatch();
    else this.#failures = 0;
    this.#listAfter(this.#options.listEveryMs ?? 30_000);
  }

  #openWatch(): void {
    const { store, range } = this.#options;
    let current = true;
    const watch = store.watch(range, this.#revision + 1n, {
      onEvents: (events, revision) => {
        if (current) this.#apply(events, revision);
      },
      onEnd: (error) => {
        if (!current) return;
        this.#watch = undefined;
        this.#failed(error);
      },
    });
    this.#watch = {
      cancel: () => {
        current = false;
        watch.cancel();
      },
    };
  }

  #apply(events: readonly WatchEvent[], revision: bigint): void {
    const changed = new Set<string>();
    for (const event of events) {
      // A list may already hold what the watch tells now.
      if (revisionOf(event) <= this.#revision) continue;
      const key = event.type === 'put' ? event.kv.key : event.key;
      if (event.type === 'put') this.#entries.set(key, event.kv);
      else this.#entries.delete(key);
      changed.add(key);
    }
    if (revision > this.#revision) this.#revision = revision;
    this.#failures = 0;
    this.#notify(changed);
  }

  #failed(error: Error): void {
    if (error instanceof StoreSetBackError) {
      this.stop();
      return this.#options.onSetBack(error);
    }
    this.#options.onTrouble?.(error);
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LAST_RETRY_MS);
    // Compaction is no sign of trouble: the first time, list again at once.
    this.#listAfter(error instanceof CompactedError && this.#failures === 0 ? 0 : retryMs);
    this.#failures++;
  }

  #listAfter(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(ms, () => void this.#list());
  }

  #unwatch(): void {
    this.#watch?.cancel();
    this.#watch = undefined;
  }

  #notify(changed: ReadonlySet<string>): void {
    if (changed.size === 0) return;
    for (const listener of this.#listeners) {
      try {
        listener(changed);
      } catch (error) {
        this.#options.onTrouble?.(error as Error);
      }
    }
  }
}

function difference(before: ReadonlyMap<string, KeyValue>, after: ReadonlyMap<string, KeyValue>): Set<string> {
  const changed = new Set<string>();
  for (const key of before.keys()) if (!after.has(key)) changed.add(key);
  for (const [key, kv] of after) if (before.get(key)?.modRevision !== kv.modRevision) changed.add(key);
  return changed;
}

function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.kv.modRevision : event.revision;
}
