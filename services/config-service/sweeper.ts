import { decodeStored, generationOf, lastSegment } from '@rocketmq-connect/cluster';
import { absent, type KeyValue, modifiedAt, type Operation, rangeEmpty } from '@rocketmq-connect/metadata-store';
import { StoredAlter, StoredDeleted, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { ConnectError, sleep, toPlainError } from '@rocketmq-connect/sdk';
import type { AlterWatch } from './alteration.ts';
import type { ConfigContext } from './context.ts';

const roundMs = 10_000;
const hurryMs = 10_000;
const recreateWaitMs = 5_000;
const chunksPerSweep = 60;

/**
 * Takes away what others left: all of a deleted connector once nothing owns its tasks, chunks of task sets that were replaced or never
 * published, offset changes whose process died before it wrote. Every replica may do it, any number of times.
 */
export class Sweeper {
  readonly #context: ConfigContext;
  readonly #alters: AlterWatch;
  readonly #end = new AbortController();
  /** Pointers whose older chunks are gone. */
  readonly #swept = new Map<string, bigint>();
  readonly #hurrying = new Map<string, Promise<void>>();
  #running: Promise<void> | null = null;

  constructor(context: ConfigContext, alters: AlterWatch) {
    this.#context = context;
    this.#alters = alters;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#end.abort(new Error('config-service stops'));
    await Promise.all([this.#running, ...this.#hurrying.values()]);
  }

  /** Tries a deleted connector soon and often, since somebody may wait to create it anew. */
  hurry(name: string): void {
    if (this.#hurrying.has(name)) return;
    const hurrying = this.#sweepWithin(name, hurryMs)
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted) this.#warn(error);
      })
      .then(() => void this.#hurrying.delete(name));
    this.#hurrying.set(name, hurrying);
  }

  /** Before a connector is created: nothing of a deleted one of its name is left. Rejects with `conflict` if that takes too long. */
  async untilSwept(name: string, signal: AbortSignal): Promise<void> {
    if (await this.#sweepWithin(name, recreateWaitMs, signal)) return;
    throw new ConnectError('conflict', `Connector ${name} was deleted, but its tasks have not stopped yet`, {
      code: 'STILL_DELETING',
      field: 'name',
      remedy: 'try again in a few seconds',
    });
  }

  /** One look at everything; for `start` and tests. */
  async sweep(): Promise<void> {
    const { store, keys } = this.#context;
    const { kvs: deletions } = await store.range(keys.deletions);
    for (const { key } of deletions) await this.#sweepDeleted(lastSegment(key));
    const { kvs: pointers } = await store.range(keys.taskSets);
    for (const pointer of pointers) await this.#sweepChunks(pointer);
    const { kvs: alters } = await store.range(keys.alters);
    for (const alter of alters) await this.#sweepAlter(alter);
    const present = new Set(pointers.map(({ key }) => key));
    for (const key of this.#swept.keys()) if (!present.has(key)) this.#swept.delete(key);
    this.#alters.retain(new Set(alters.map(({ key }) => key)));
  }

  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      await this.sweep().catch((error: unknown) => this.#warn(error));
      await sleep(this.#context.clock, roundMs * (0.9 + this.#context.random() / 5), this.#end.signal).catch(() => undefined);
    }
  }

  async #sweepWithin(name: string, withinMs: number, signal?: AbortSignal): Promise<boolean> {
    const { clock } = this.#context;
    const deadline = clock.monotonic() + withinMs;
    const signals = AbortSignal.any([this.#end.signal, ...(signal === undefined ? [] : [signal])]);
    for (let waitMs = 20; ; waitMs = Math.min(500, waitMs * 2)) {
      if (await this.#sweepDeleted(name)) return true;
      if (clock.monotonic() + waitMs > deadline) return false;
      await sleep(clock, waitMs, signals);
    }
  }

  /** True when nothing of a deleted connector is left. */
  async #sweepDeleted(name: string): Promise<boolean> {
    const { store, keys } = this.#context;
    const { kv } = await store.get(keys.deleted(name));
    if (kv === null) return true;
    const { keepOffsets } = decodeStored(StoredDeleted, kv);
    const positions = [keys.offsets(name), keys.sinkStates(name), keys.commits(name)];
    const ranges = [...(keepOffsets ? [] : positions), keys.histories(name), keys.taskStatuses(name), keys.taskConfigs(name)];
    const { succeeded } = await store.txn({
      compare: [
        absent(keys.spec(name)),
        modifiedAt(keys.deleted(name), kv.modRevision),
        absent(keys.connectorOwner(name)),
        rangeEmpty(keys.taskOwners(name)),
      ],
      then: [
        ...ranges.map((range): Operation => ({ op: 'deleteRange', range })),
        { op: 'delete', key: keys.status({ connector: name }) },
        { op: 'delete', key: keys.alter(name) },
        { op: 'delete', key: keys.deleted(name) },
      ],
    });
    return succeeded;
  }

  /** Chunks older than the pointer, when no older task runs; those of a publish in progress are newer. */
  async #sweepChunks(pointer: KeyValue): Promise<void> {
    if (this.#swept.get(pointer.key) === pointer.modRevision) return;
    const { store, keys } = this.#context;
    const name = lastSegment(pointer.key);
    const { publication } = decodeStored(StoredTaskSet, pointer);
    const { kvs } = await store.range(keys.taskConfigs(name));
    const old = kvs.filter(({ key, modRevision }) => modRevision < pointer.modRevision && key.split('/').at(-2) !== publication);
    for (let from = 0; from < old.length; from += chunksPerSweep) {
      const { succeeded } = await store.txn({
        compare: [modifiedAt(pointer.key, pointer.modRevision), rangeEmpty(keys.olderTaskOwners(name, generationOf(pointer.modRevision)))],
        then: old.slice(from, from + chunksPerSweep).map(({ key }): Operation => ({ op: 'delete', key })),
      });
      if (!succeeded) return;
    }
    this.#swept.set(pointer.key, pointer.modRevision);
  }

  /** An offset change that died before it wrote blocks no resume for ever; one that wrote waits for the user to do it again. */
  async #sweepAlter(kv: KeyValue): Promise<void> {
    if (!this.#alters.isDead(kv) || decodeStored(StoredAlter, kv).writing) return;
    await this.#context.store.txn({ compare: [modifiedAt(kv.key, kv.modRevision)], then: [{ op: 'delete', key: kv.key }] });
  }

  #warn(error: unknown): void {
    this.#context.log.warn('sweeping failed, it is tried again', { error: toPlainError(error).message });
  }
}
