import { encodeStored } from '@rocketmq-connect/cluster/codec';
import { createdAt, type MetadataStore, modifiedAt } from '@rocketmq-connect/metadata-store';
import { StoredStatus } from '@rocketmq-connect/proto/storage';
import { type Clock, sleep, type TaskLogger } from '@rocketmq-connect/sdk';

export interface StatusWriterOptions {
  readonly store: MetadataStore;
  readonly key: string;
  readonly ownerKey: string;
  readonly token: bigint;
  /** Of the status key when the unit was claimed. */
  readonly modRevision: bigint;
  readonly clock: Clock;
  readonly log: TaskLogger;
  readonly onFenced: () => void;
}

/**
 * Writes one owned unit's status: accepted only with its token and over its own last write, else a delayed RUNNING could cover a
 * later FAILED (invariant 3, S089). One write at a time; of several that wait only the latest is written.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #end = new AbortController();
  #modRevision: bigint;
  #next: StoredStatus | null = null;
  #writing: Promise<void> | null = null;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#modRevision = options.modRevision;
  }

  write(status: StoredStatus): void {
    this.#next = status;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  /** Writes nothing more; resolves when nothing is on its way from here, so that the release has the last word. */
  async close(): Promise<void> {
    this.#next = null;
    this.#end.abort();
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    const { store, key, ownerKey, token, clock, log, onFenced } = this.#options;
    for (let attempt = 0; this.#next !== null; attempt++) {
      const status: StoredStatus = this.#next;
      try {
        const result = await store.txn({
          compare: [createdAt(ownerKey, token), modifiedAt(key, this.#modRevision)],
          then: [{ op: 'put', key, value: encodeStored(StoredStatus, status) }],
          otherwise: [
            { op: 'get', key: ownerKey },
            { op: 'get', key },
          ],
        });
        if (result.succeeded) {
          this.#modRevision = result.revision;
          if (this.#next === status) this.#next = null;
          attempt = 0;
          continue;
        }
        const [owner = [], present = []] = result.responses;
        if (owner[0]?.createRevision !== token) {
          this.#next = null;
          if (!this.#end.signal.aborted) onFenced();
          return;
        }
        // A write of ours whose outcome was unknown has landed.
        this.#modRevision = present[0]?.modRevision ?? 0n;
      } catch (error) {
        if (attempt === 3) log.warn('the status cannot be written, trying on', { error: (error as Error).message });
        await sleep(clock, Math.min(2000, 100 * 2 ** attempt), this.#end.signal).catch(() => undefined);
      }
    }
  }
}
