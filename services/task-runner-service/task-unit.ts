import type { Client } from '@rocketmq-connect/mesh';
import type { CommitContent, HookLimits, TaskCounters, TaskStart } from '@rocketmq-connect/pipeline/host-protocol';
import type { CommitServiceDefinition, ReadResponse } from '@rocketmq-connect/proto/commit';
import type { StoredSpec, StoredStatus } from '@rocketmq-connect/proto/storage';
import { type Clock, ConnectError, sleep } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { Committer } from './committer.ts';
import { toFailure } from './failure.ts';
import type { HostPool, UnitHostEvent } from './host-pool.ts';
import { HostedRun } from './hosted-run.ts';
import { homeOf } from './isolation.ts';
import type { TaskLedger } from './ledger.ts';
import { uncleanMarks } from './pieces.ts';
import type { LoadedTask } from './task-configs.ts';
import { type CodeEvents, Fenced, type Owned, Unable, type UnitCode } from './unit.ts';

export interface TaskUnitOptions {
  readonly owned: Owned;
  readonly events: CodeEvents;
  readonly hostUnit: string;
  readonly pool: HostPool;
  readonly clock: Clock;
  readonly log: Logger;
  readonly committer: Committer;
  readonly commits: Client<CommitServiceDefinition>;
  readonly ledger: TaskLedger;
  /** The task's configuration, read once; it outlives the keys it was read from. */
  readonly loadTask: () => Promise<LoadedTask>;
  readonly spec: () => StoredSpec | undefined;
  readonly canRun: (plugin: string) => boolean;
  readonly releaseUncommitted: (status: StoredStatus, signal: AbortSignal) => Promise<void>;
  readonly settings: {
    readonly commitIntervalMs: number;
    readonly taskStartTimeoutMs: number;
    readonly taskStopTimeoutMs: number;
    readonly releaseTimeoutMs: number;
    readonly hookLimits: Omit<HookLimits, 'stopMs'>;
  };
}

/** One owned task: reads where it goes on, runs it in a host, commits while it runs, and releases with its last commit. */
export class TaskUnit implements UnitCode {
  readonly #options: TaskUnitOptions;
  readonly #session = new AbortController();
  #start = new AbortController();
  #run: HostedRun | null = null;
  /** Of a clean stop, not yet stored. */
  #lastContent: CommitContent | null = null;
  #task: LoadedTask | null = null;
  #lastFreeze = 0;
  #freezing = false;
  #freezeAtMs = 0;
  #imbalanceSaid = false;
  #commitAgain = false;
  #cancelInterval: () => void = () => undefined;

  constructor(options: TaskUnitOptions) {
    this.#options = options;
  }

  async start(paused: boolean): Promise<void> {
    const { committer, clock, pool, ledger, hostUnit, settings, events } = this.#options;
    this.#start = new AbortController();
    const signal = AbortSignal.any([this.#start.signal, this.#session.signal]);
    // The last incarnation of this token may have a commit on its way: offsets read before its answer would be too old.
    const outcome = this.#lastContent === null ? await committer.settled() : await committer.commit(this.#lastContent);
    if (outcome.type === 'fenced') throw new Fenced();
    if (outcome.type === 'refused') throw refused(outcome.message);
    this.#lastContent = null;
    this.#task ??= await this.#persist('read the task configuration', signal, this.#options.loadTask);
    const read = await this.#persist('read the offsets', signal, () => this.#read());
    const spec = this.#options.spec();
    if (spec === undefined) throw new ConnectError('conflict', 'the connector is deleted');
    if (!this.#options.canRun(spec.plugin)) throw new Unable(`plugin ${spec.plugin} is not on this runner`);
    const start = this.#taskStart(this.#task, read, spec, paused);
    committer.observe(read.lastCommits.find(({ task }) => task === start.task)?.commit, start.uncleanMarks);
    signal.throwIfAborted();
    this.#freezing = false;
    this.#commitAgain = false;
    this.#imbalanceSaid = false;
    this.#run = new HostedRun({
      pool,
      clock,
      unit: hostUnit,
      weight: 1,
      home: homeOf(start.connector, start.connectorConfig),
      startTimeoutMs: settings.taskStartTimeoutMs,
      stopTimeoutMs: settings.taskStopTimeoutMs,
      onFailed: (failure, lastContent) => {
        this.#lastContent = lastContent;
        this.#ended();
        events.onFailed(failure);
      },
      onEvent: (event) => this.#onEvent(event),
      onFigures: (counters, meters) => {
        ledger.update(counters, meters);
        this.#checkLedger(counters);
      },
    });
    try {
      await this.#run.start({ type: 'startTask', unit: hostUnit, start });
    } catch (error) {
      this.#lastContent = this.#run?.lastContent ?? null;
      this.#ended();
      throw error;
    }
    this.#scheduleCommit();
  }

  setPaused(paused: boolean): void {
    this.#run?.send({ type: paused ? 'pause' : 'resume', unit: this.#options.hostUnit });
    if (paused) this.#commitNow();
  }

  async stop(): Promise<void> {
    this.#start.abort(new Error('stopped'));
    this.#cancelInterval();
    if (this.#run === null) return;
    this.#lastContent = await this.#run.stop();
    this.#ended();
  }

  async kill(): Promise<void> {
    this.#start.abort(new Error('killed'));
    this.#cancelInterval();
    await this.#run?.kill();
    this.#ended();
  }

  async release(status: StoredStatus): Promise<void> {
    const { committer, clock, settings, log, pool, hostUnit } = this.#options;
    const content = this.#lastContent;
    pool.forget(hostUnit);
    const timeout = new AbortController();
    const last = content === null ? committer.settled() : committer.release(content, status);
    const outcome = await Promise.race([last, sleep(clock, settings.releaseTimeoutMs, timeout.signal).then(() => 'late' as const)]);
    timeout.abort();
    if (outcome === 'late')
      log.warn(`config-service took no commit for ${settings.releaseTimeoutMs} ms: released without, records will repeat`);
    committer.close();
    if (outcome !== 'late' && (outcome.type === 'fenced' || (outcome.type === 'stored' && content !== null))) return;
    await this.#options.releaseUncommitted(status, this.#session.signal);
  }

  close(): void {
    this.#session.abort(new Error('the session is over'));
    this.#cancelInterval();
    this.#options.committer.close();
    this.#options.ledger.endIncarnation();
  }

  #onEvent(event: UnitHostEvent): void {
    if (event.type === 'commitWanted') this.#commitNow();
    else if (event.type === 'frozen') void this.#store(event.freeze, event.content);
  }

  /** Invariant 9. Said once per incarnation: it will not mend. */
  #checkLedger(counters: TaskCounters): void {
    const { ledger, log } = this.#options;
    const { imbalance } = ledger;
    if (imbalance === 0 || this.#imbalanceSaid) return;
    this.#imbalanceSaid = true;
    log.error(`the ledger of the task does not add up: ${imbalance} records were polled that nobody knows of`, {
      ...counters,
      remedy: 'this is an error of RocketMQ Connect or of a plugin that reports a record twice: please report it with this line',
    });
  }

  #scheduleCommit(): void {
    this.#cancelInterval();
    this.#cancelInterval = this.#options.clock.after(this.#options.settings.commitIntervalMs, () => this.#commitNow());
  }

  #commitNow(): void {
    if (this.#freezing) {
      this.#commitAgain = true;
      return;
    }
    this.#freezing = true;
    this.#freezeAtMs = this.#options.clock.monotonic();
    this.#run?.send({ type: 'freeze', unit: this.#options.hostUnit, freeze: ++this.#lastFreeze });
  }

  async #store(freeze: number, content: CommitContent): Promise<void> {
    const { committer, events, hostUnit, ledger, clock } = this.#options;
    const run = this.#run;
    const sinceMs = this.#freezeAtMs;
    const outcome = await committer.commit(content);
    ledger.commits.count(outcome.type, (clock.monotonic() - sinceMs) / 1000);
    if (outcome.type === 'fenced') return events.onFenced();
    if (outcome.type === 'closed' || run !== this.#run) return;
    if (outcome.type === 'refused') {
      // The release will be refused too, and then says so.
      if (this.#start.signal.aborted) return;
      // Nothing later could be stored either: what the code still does would only be repeated.
      await this.stop();
      this.#lastContent = null;
      return events.onFailed(toFailure(refused(outcome.message)));
    }
    run?.send({ type: 'committed', unit: hostUnit, freeze });
    this.#freezing = false;
    if (this.#start.signal.aborted) return;
    const again = this.#commitAgain;
    this.#commitAgain = false;
    if (again) this.#commitNow();
    else this.#scheduleCommit();
  }

  #ended(): void {
    this.#cancelInterval();
    if (this.#run !== null) this.#options.ledger.endIncarnation();
    this.#run = null;
  }

  /** A linearizable read: one that is older than our own claim is of a store that went back, or not the store at all. */
  async #read(): Promise<ReadResponse> {
    const { unit, token } = this.#options.owned;
    const read = await this.#options.commits.read({ connector: unit.connector, task: unit.task ?? 0 });
    if (read.revision < token) {
      throw new ConnectError('unavailable', `offsets were read at revision ${read.revision}, before this task's claim at ${token}`, {
        code: 'STALE_READ',
        remedy: 'the metadata store went back in time: was an old snapshot restored?',
      });
    }
    return read;
  }

  /** Repeats what only waits for another service to be back. */
  async #persist<T>(what: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#options;
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof ConnectError) || (error.kind !== 'unavailable' && error.kind !== 'retriable')) throw error;
        if (attempt === 3) log.warn(`cannot ${what} yet, trying on`, { error: error.message });
        await sleep(clock, Math.min(2000, 100 * 2 ** attempt), signal);
      }
    }
  }

  #taskStart(task: LoadedTask, read: ReadResponse, spec: StoredSpec, paused: boolean): TaskStart {
    const { unit } = this.#options.owned;
    const index = unit.task ?? 0;
    return {
      connector: unit.connector,
      task: index,
      generation: unit.generation,
      connectorConfig: task.connectorConfig,
      taskConfig: task.config,
      queues: task.queues,
      paused,
      hookLimits: { ...this.#options.settings.hookLimits, stopMs: this.#options.settings.taskStopTimeoutMs },
      startTimeMs: Number(spec.startTimeMs),
      offsets: read.offsets.flatMap(({ queue, partitionJson, offsetJson }) =>
        queue === undefined ? [{ partition: partitionJson, offset: offsetJson }] : [],
      ),
      positions: read.offsets.flatMap(({ queue, position }) => (queue === undefined ? [] : [{ queue, position: Number(position) }])),
      sinkStates: read.sinkStates,
      uncleanMarks: uncleanMarks(read.lastCommits, index, unit.generation),
    };
  }
}

function refused(message: string): ConnectError {
  return new ConnectError('data', `the commit is refused: ${message}`, { code: 'COMMIT_REFUSED' });
}
