import type { ClusterKeys } from '@rocketmq-connect/cluster';
import type { Client } from '@rocketmq-connect/mesh';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import type { HookLimits } from '@rocketmq-connect/pipeline/host-protocol';
import type { CommitServiceDefinition, TaskSetServiceDefinition } from '@rocketmq-connect/proto/commit';
import { ConnectorType, type UnitState } from '@rocketmq-connect/proto/common';
import type { TaskStats } from '@rocketmq-connect/proto/runner';
import type { StoredStatus, StoredTarget } from '@rocketmq-connect/proto/storage';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { ClaimedUnit, Registration } from './claims.ts';
import type { CommitStream } from './commit-stream.ts';
import { Committer } from './committer.ts';
import { ConnectorUnit } from './connector-unit.ts';
import { type ClusterView, desiredUnits, startedFor } from './desired.ts';
import type { HostPool } from './host-pool.ts';
import { homeOf } from './isolation.ts';
import type { TaskLedgers } from './ledger.ts';
import type { Questions } from './questions.ts';
import { releaseUncommitted } from './release.ts';
import { type RestartPolicy, restartPolicyOf } from './restart-policy.ts';
import { loadTask } from './task-configs.ts';
import { TaskUnit } from './task-unit.ts';
import { type CodeEvents, type Owned, Unit, type UnitCode } from './unit.ts';
import type { UnitFigures } from './unit-figures.ts';
import type { UnitPhase } from './unit-state.ts';

export interface UnitSettings {
  readonly commitIntervalMs: number;
  readonly taskStartTimeoutMs: number;
  readonly taskStopTimeoutMs: number;
  readonly releaseTimeoutMs: number;
  readonly planTimeoutMs: number;
  readonly hookLimits: Omit<HookLimits, 'stopMs'>;
}

/** What the units of all sessions of a runner share. */
export interface UnitTools {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly version: string;
  readonly settings: UnitSettings;
  readonly restartPolicy: RestartPolicy;
  readonly pool: HostPool;
  readonly questions: Questions;
  readonly commits: Client<CommitServiceDefinition>;
  readonly taskSets: Client<TaskSetServiceDefinition>;
  readonly commitStream: CommitStream;
  readonly ledgers: TaskLedgers;
  readonly figures: UnitFigures;
  readonly view: ClusterView;
  /** Whether a plugin is loaded here. */
  readonly canRun: (plugin: string) => boolean;
}

export interface UnitSummary {
  readonly connector: string;
  /** Undefined: the connector instance. */
  readonly task: number | undefined;
  readonly type: 'source' | 'sink';
  readonly plugin: string;
  readonly phase: UnitPhase;
  readonly shown: UnitState;
}

/** The units of one session: they follow the target while it lasts, and end with it. */
export class SessionUnits {
  readonly #tools: UnitTools;
  readonly #registration: Registration;
  readonly #onSessionLost: () => void;
  readonly #lives = new Map<string, Unit>();
  readonly #code = new Map<string, UnitCode>();
  #whenEmpty: (() => void)[] = [];

  constructor(tools: UnitTools, registration: Registration, onSessionLost: () => void) {
    this.#tools = tools;
    this.#registration = registration;
    this.#onSessionLost = onSessionLost;
  }

  /** By level: tells every unit what is wanted of it now. */
  follow(target: StoredTarget | undefined): void {
    const { view } = this.#tools;
    const desired = desiredUnits(target, view);
    for (const [life, unit] of [...this.#lives]) if (!desired.has(life)) unit.unwant();
    for (const [life, { unit, paused }] of desired) {
      let present = this.#lives.get(life);
      if (present === undefined) {
        present = this.#create(life, unit);
        this.#lives.set(life, present);
      }
      present.want(paused);
    }
    for (const code of this.#code.values()) if (code instanceof ConnectorUnit) code.planIfDue();
    for (const connector of this.#tools.figures.connectors()) this.#forgetIfDeleted(connector);
  }

  get isEmpty(): boolean {
    return this.#lives.size === 0;
  }

  /** Resolves when there is no unit any more. */
  async emptied(): Promise<void> {
    if (!this.isEmpty) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  /** Stops, commits and releases everything; resolves when nothing is owned any more. */
  async stop(): Promise<void> {
    this.follow(undefined);
    await this.emptied();
  }

  /** The session is over: nothing is written any more. Ending the hosts is the caller's. */
  close(): void {
    for (const unit of this.#lives.values()) unit.close();
    this.#forgetAll();
  }

  /** Every unit that is placed here, or still here. */
  list(): UnitSummary[] {
    const { view } = this.#tools;
    return [...this.#lives.values()].flatMap((life) => {
      const { connector, task } = life.unit;
      const spec = view.spec(connector)?.value;
      if (spec === undefined) return [];
      const type = spec.type === ConnectorType.SOURCE ? ('source' as const) : ('sink' as const);
      return [{ connector, task, type, plugin: spec.plugin, phase: life.phase, shown: life.shown }];
    });
  }

  stats(): TaskStats[] {
    const { ledgers, view } = this.#tools;
    return [...this.#lives.values()].flatMap((life) => {
      const { connector, task } = life.unit;
      const spec = view.spec(connector)?.value;
      return task === undefined || spec === undefined ? [] : [ledgers.of(connector, task).stats(connector, task, spec.type, life.shown)];
    });
  }

  #create(life: string, unit: ClaimedUnit): Unit {
    const { log, view } = this.#tools;
    const logOfUnit = log.child({ connector: unit.connector, ...(unit.task === undefined ? {} : { task: unit.task }) });
    const created: Unit = new Unit(unit, {
      ...this.#tools,
      log: logOfUnit,
      registration: this.#registration,
      onSessionLost: this.#onSessionLost,
      onIdle: () => {
        if (this.#lives.get(life) === created) this.#lives.delete(life);
        this.#code.delete(life);
        this.#forgetIfDeleted(unit.connector);
        if (this.isEmpty) this.#forgetAll();
      },
      onWaiting: () => this.#warmUp(unit.connector),
      createCode: (owned, events) => {
        const code =
          unit.task === undefined ? this.#connectorCode(life, owned, events, logOfUnit) : this.#taskCode(life, owned, events, logOfUnit);
        this.#code.set(life, code);
        return code;
      },
      restartPolicy: () => restartPolicyOf(this.#tools.restartPolicy, view.spec(unit.connector)?.value.config ?? {}),
      startedFor: () => startedFor(unit, view.spec(unit.connector)?.value),
    });
    return created;
  }

  /** Whoever holds the unit still runs it: the pause until it runs here is shorter when its host is up by then. */
  #warmUp(connector: string): void {
    const spec = this.#tools.view.spec(connector)?.value;
    if (spec === undefined) return;
    const waiting = [...this.#lives.values()].filter(({ phase, unit }) => phase === 'WAITING' && unit.task !== undefined);
    this.#tools.pool.prepare(homeOf(connector, spec.config), waiting.length);
  }

  #connectorCode(life: string, owned: Owned, events: CodeEvents, log: Logger): UnitCode {
    const { view } = this.#tools;
    const { connector } = owned.unit;
    return new ConnectorUnit({
      ...this.#tools,
      owned,
      events,
      log,
      hostUnit: life,
      spec: () => view.spec(connector)?.value,
      taskSet: () => ({ pointer: view.taskSet(connector)?.value, revision: view.taskSetRevision() }),
      releaseUncommitted: this.#release(owned, log),
    });
  }

  #taskCode(life: string, owned: Owned, events: CodeEvents, log: Logger): UnitCode {
    const { store, keys, view, ledgers, commitStream } = this.#tools;
    const { connector, task = 0, generation } = owned.unit;
    const ledger = ledgers.of(connector, task);
    const committer = new Committer({
      ...this.#tools,
      connector,
      task,
      generation,
      token: owned.token,
      log,
      send: (piece) => commitStream.send(piece),
      onStored: () => ledger.countCommit(),
    });
    return new TaskUnit({
      ...this.#tools,
      owned,
      events,
      log,
      hostUnit: life,
      committer,
      ledger,
      loadTask: () => loadTask(store, keys, owned.unit),
      spec: () => view.spec(connector)?.value,
      releaseUncommitted: this.#release(owned, log),
    });
  }

  /** Its instance may have run elsewhere, and it may have been deleted long after its last unit left: whoever has figures of it looks by itself. */
  #forgetIfDeleted(connector: string): void {
    const { view, ledgers, figures } = this.#tools;
    if (view.spec(connector) !== undefined) return;
    for (const { unit } of this.#lives.values()) if (unit.connector === connector) return;
    ledgers.forget(connector);
    figures.forget(connector);
  }

  #release(owned: Owned, log: Logger): (status: StoredStatus, signal: AbortSignal) => Promise<void> {
    const { store, clock } = this.#tools;
    return (status, signal) => releaseUncommitted(store, owned, status, clock, log, signal);
  }

  #forgetAll(): void {
    this.#lives.clear();
    this.#code.clear();
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}
