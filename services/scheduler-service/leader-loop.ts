import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { type Compare, createdAt, type MetadataStore, modifiedAt, type Operation } from '@rocketmq-connect/metadata-store';
import { place } from '@rocketmq-connect/placement';
import { type Clock, toPlainError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { absentRunners, givenUp } from './absences.ts';
import type { ClusterState } from './cluster-state.ts';
import type { SchedulerFigures } from './figures.ts';
import { previousPlacement, type RowChanges, rowChanges } from './rows.ts';
import type { Snapshot } from './snapshot.ts';

interface LoopDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long a runner that is gone keeps its units, as things are now. */
  readonly graceMs: () => number;
  readonly state: ClusterState;
  /** `create_revision` of the leader key while it is ours, else null. */
  readonly leader: () => bigint | null;
  readonly figures: SchedulerFigures;
}

const quietMs = 50;
const latestMs = 500;
const againMs = 500;
const periodMs = 30_000;

/**
 * While this replica leads: whenever something changes, places anew and writes the targets that differ. Decides by level, from the keys
 * alone, so that any leader goes on where another stopped; every write is guarded by the leader key and each row's revision.
 */
export class LeaderLoop {
  readonly #deps: LoopDeps;
  #unsubscribe: () => void = () => undefined;
  #cancelTimer: () => void = () => undefined;
  #firstAskedMs: number | null = null;
  #round: Promise<void> | null = null;
  #askedMeanwhile = false;
  #stopped = true;
  #synced = false;
  /** Of our last write: no round before the cache shows it. */
  #written = 0n;

  constructor(deps: LoopDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stopped = false;
    this.#unsubscribe = this.#deps.state.onChange(() => this.wake());
    void this.#deps.state.synced().then(() => {
      this.#synced = true;
      this.wake();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    this.#unsubscribe();
    await this.#round;
  }

  /** A round once it has been quiet for a moment, or has not been for long. */
  wake(): void {
    if (this.#stopped || !this.#synced || this.#deps.leader() === null) return;
    if (this.#round !== null) {
      this.#askedMeanwhile = true;
      return;
    }
    const now = this.#deps.clock.monotonic();
    this.#firstAskedMs ??= now;
    this.#schedule(Math.min(now + quietMs, this.#firstAskedMs + latestMs));
  }

  #schedule(atMs: number): void {
    const { clock } = this.#deps;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(Math.max(0, atMs - clock.monotonic()), () => this.#begin());
  }

  #begin(): void {
    this.#firstAskedMs = null;
    this.#askedMeanwhile = false;
    this.#round = this.#run().then((nextInMs) => {
      this.#round = null;
      if (this.#stopped || this.#deps.leader() === null) return;
      if (this.#askedMeanwhile) this.wake();
      else this.#schedule(this.#deps.clock.monotonic() + nextInMs);
    });
  }

  /** Resolves to the milliseconds after which to look again though nothing changes. */
  async #run(): Promise<number> {
    const { state, log, figures, clock } = this.#deps;
    const sinceMs = clock.monotonic();
    try {
      if (state.targetsRevision < this.#written) return againMs;
      const leader = this.#deps.leader();
      if (leader === null) return periodMs;
      const outcome = await this.#placeOnce(leader, state.snapshot());
      figures.round(outcome, (clock.monotonic() - sinceMs) / 1000);
      return outcome === 'refused' ? againMs : periodMs;
    } catch (error) {
      figures.round('failed', (clock.monotonic() - sinceMs) / 1000);
      log.warn('placing failed, it is tried again', { error: toPlainError(error).message });
      return againMs;
    }
  }

  /** `refused`: somebody changed a row, or leads. */
  async #placeOnce(leader: bigint, snapshot: Snapshot): Promise<'unchanged' | 'written' | 'refused'> {
    const { store, keys, graceMs, log, figures } = this.#deps;
    const { missing, gone } = await absentRunners(store, keys, leader, graceMs(), snapshot);
    const { units, runners, owners } = snapshot;
    const placement = place({ units, runners, missing, previous: previousPlacement(snapshot), owners });
    const revisions = new Map([...snapshot.rows].map(([runner, row]) => [runner, row.modRevision]));
    let transactions = 0;
    for (const changes of rowChanges(snapshot, placement, gone)) {
      const revision = await this.#write(leader, changes, revisions);
      if (revision === null) return 'refused';
      for (const runner of changes.keys()) revisions.set(runner, revision);
      transactions++;
    }
    const unplaced = units.length - placement.size;
    figures.placed({ placed: placement.size, unplaced, missing: missing.size, runners });
    if (transactions > 0) log.info('targets were written', { units: units.length, runners: runners.length, unplaced, transactions });
    return transactions > 0 ? 'written' : 'unchanged';
  }

  /** The revision of the write, or null if it was refused. */
  async #write(leader: bigint, changes: RowChanges, revisions: ReadonlyMap<string, bigint>): Promise<bigint | null> {
    const { store, keys } = this.#deps;
    const compare: Compare[] = [createdAt(keys.leader, leader)];
    const then: Operation[] = [];
    for (const [runner, value] of changes) {
      const key = keys.target(runner);
      compare.push(modifiedAt(key, revisions.get(runner) ?? 0n));
      if (value === null) {
        const given = givenUp(keys, runner);
        compare.push(given.compare);
        for (const old of [key, ...given.keys]) then.push({ op: 'delete', key: old });
      } else then.push({ op: 'put', key, value });
    }
    const { succeeded, revision } = await store.txn({ compare, then });
    if (!succeeded) return null;
    this.#written = revision;
    return revision;
  }
}
