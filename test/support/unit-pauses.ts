import { type ClusterKeys, decodeStored } from '@rocketmq-connect/cluster';
import type { MetadataStore, Watch } from '@rocketmq-connect/metadata-store';
import { UnitState } from '@rocketmq-connect/proto/common';
import { StoredStatus } from '@rocketmq-connect/proto/storage';

export interface Pause {
  readonly unit: string;
  /** From STOPPING to the release of the owner key, from there to the claim, from there to RUNNING. */
  readonly stopMs: number;
  readonly claimMs: number;
  readonly startMs: number;
  readonly totalMs: number;
}

interface Seen {
  stoppingAtMs: number;
  releasedAtMs: number;
  claimedAtMs: number;
}

/** Sees in a real store how long each unit does not run when another runner takes it over. */
export class UnitPauses {
  readonly all: Pause[] = [];
  readonly #seen = new Map<string, Seen>();
  readonly #watches: readonly Watch[];

  constructor(store: MetadataStore, keys: ClusterKeys, fromRevision: bigint) {
    const onEnd = (error: Error): void => {
      throw error;
    };
    this.#watches = [
      store.watch(keys.statuses, fromRevision, {
        onEvents: (events) => {
          for (const event of events) {
            if (event.type === 'put') this.#onStatus(event.kv.key.slice(keys.statuses.start.length), decodeStored(StoredStatus, event.kv));
          }
        },
        onEnd,
      }),
      store.watch(keys.owners, fromRevision, {
        onEvents: (events) => {
          for (const event of events) {
            const [kind, name, , task] = (event.type === 'put' ? event.kv.key : event.key).slice(keys.owners.start.length).split('/');
            const seen = this.#of(task === undefined ? `${kind}/${name}` : `${kind}/${name}/${task}`);
            if (event.type === 'put') seen.claimedAtMs = performance.now();
            else seen.releasedAtMs = performance.now();
          }
        },
        onEnd,
      }),
    ];
  }

  close(): void {
    for (const watch of this.#watches) watch.cancel();
  }

  #onStatus(unit: string, { state }: StoredStatus): void {
    const seen = this.#of(unit);
    const nowMs = performance.now();
    if (state === UnitState.STOPPING) seen.stoppingAtMs = nowMs;
    if (state !== UnitState.RUNNING || seen.stoppingAtMs === 0) return;
    const { stoppingAtMs, releasedAtMs, claimedAtMs } = seen;
    this.all.push({
      unit,
      stopMs: releasedAtMs - stoppingAtMs,
      claimMs: claimedAtMs - releasedAtMs,
      startMs: nowMs - claimedAtMs,
      totalMs: nowMs - stoppingAtMs,
    });
    seen.stoppingAtMs = 0;
  }

  #of(unit: string): Seen {
    const known = this.#seen.get(unit) ?? { stoppingAtMs: 0, releasedAtMs: 0, claimedAtMs: 0 };
    this.#seen.set(unit, known);
    return known;
  }
}
