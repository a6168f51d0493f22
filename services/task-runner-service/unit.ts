import { type ClusterKeys, unitId } from '@rocketmq-connect/cluster';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { UnitState as ShownState } from '@rocketmq-connect/proto/common';
import type { StoredStatus } from '@rocketmq-connect/proto/storage';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { type Blocker, type ClaimedUnit, claim, ownerKeyOf, type Registration } from './claims.ts';
import { type Failure, toFailure } from './failure.ts';
import { decideRestart, type RestartPolicy } from './restart-policy.ts';
import { StatusWriter } from './status.ts';
import type { UnitFigures } from './unit-figures.ts';
import { idle, next, owns, type UnitAction, type UnitEvent, type UnitPhase, type UnitState } from './unit-state.ts';

/** What a unit is made of under one token: its code over all incarnations, and what it has to commit. */
export interface UnitCode {
  /**
   * Waits for outstanding commits, then runs the code. Rejects with the error that keeps it from running, with `Fenced` when the token is
   * not the owner's any more, with `Unable` when it cannot run on this runner.
   */
  start(paused: boolean): Promise<void>;
  setPaused(paused: boolean): void;
  /** Resolves when nothing of the code runs any more. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** Resolves when the owner key is certainly not ours any more. */
  release(status: StoredStatus): Promise<void>;
  /** The session is over: nothing is sent or written any more. */
  close(): void;
}

export class Fenced extends Error {}
export class Unable extends Error {}

/** What the code says by itself after it has started. */
export interface CodeEvents {
  onFailed(failure: Failure): void;
  onFenced(): void;
  /** It runs, and waits for what is told here; '' when that is over. */
  onHindered(why: string): void;
}

export interface UnitEnvironment {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly registration: Registration;
  readonly figures: UnitFigures;
  readonly restartPolicy: () => RestartPolicy;
  readonly version: string;
  readonly onSessionLost: () => void;
  /** Another runner still has the unit. */
  readonly onWaiting: () => void;
  /** The unit is IDLE and nobody wants it: it may be forgotten. */
  readonly onIdle: () => void;
  readonly createCode: (owned: Owned, events: CodeEvents) => UnitCode;
  /** What a restart is measured by: the code restarts when it differs from what it was started with. */
  readonly startedFor: () => string;
}

export interface Owned {
  readonly unit: ClaimedUnit;
  readonly token: bigint;
  readonly ownerKey: string;
  readonly statusKey: string;
}

/** After this a unit that waits tries again without having seen its blocker go: a watch can be silently dead. */
const CLAIM_AGAIN_MS = 30_000;
const CLAIM_SOON_MS = 100;
const ABLE_AGAIN_MS = 30_000;

/** Runs one unit through `unit-state.ts`: does its actions, feeds it their outcomes, shows its status. */
export class Unit {
  readonly unit: ClaimedUnit;
  readonly #env: UnitEnvironment;
  #state: UnitState = idle;
  #closed = false;
  #code: UnitCode | null = null;
  #status: StatusWriter | null = null;
  #token = 0n;
  #shown = '';
  #sinceMs = 0;
  #error = '';
  #blocker: Blocker | null = null;
  #restartInMs = 0;
  #restarts = 0;
  #startedAtMs: number | null = null;
  #startedFor = '';
  /** Counts starts and stops: what an earlier one says late is ignored. */
  #turn = 0;
  #cancelWait: () => void = () => undefined;

  constructor(unit: ClaimedUnit, env: UnitEnvironment) {
    this.unit = unit;
    this.#env = env;
  }

  get phase(): UnitPhase {
    return this.#state.phase;
  }

  get shown(): ShownState {
    return showAs[this.#state.phase] ?? ShownState.UNASSIGNED;
  }

  get error(): string {
    return this.#error;
  }

  want(paused: boolean): void {
    this.#dispatch({ type: 'want', paused });
    if (owns(this.phase) && this.#startedFor !== '' && this.#startedFor !== this.#env.startedFor()) this.#restartForUser();
  }

  unwant(): void {
    this.#dispatch({ type: 'unwant' });
  }

  /** The session is over; the runner ends the hosts. */
  close(): void {
    this.#dispatch({ type: 'sessionOver' });
    this.#closed = true;
  }

  #restartForUser(): void {
    this.#restarts = 0;
    this.#dispatch({ type: 'restart' });
  }

  #dispatch(event: UnitEvent): void {
    if (this.#closed) return;
    const before = this.#state;
    const { state, actions } = next(before, event);
    this.#state = state;
    if (state.phase !== before.phase) {
      this.#env.figures.step(unitId(this.unit), this.unit.task === undefined ? 'connector' : 'task', before.phase, state.phase);
      this.#env.log.debug(`${before.phase} → ${state.phase}`, { on: event.type });
    }
    this.#show();
    for (const action of actions) this.#do(action);
    if (state.phase === 'IDLE' && !state.wanted) this.#env.onIdle();
  }

  #do(action: UnitAction): void {
    switch (action) {
      case 'claim':
        void this.#claim();
        return;
      case 'awaitBlocker':
        this.#awaitBlocker();
        return;
      case 'awaitAbility':
        this.#wait(ABLE_AGAIN_MS, { type: 'unblocked' });
        return;
      case 'forgetBlocker':
      case 'cancelRestart':
        this.#cancelWait();
        return;
      case 'start':
        void this.#start();
        return;
      case 'setPaused':
        this.#code?.setPaused(this.#state.paused);
        return;
      case 'stop':
        void this.#end(this.#code?.stop());
        return;
      case 'kill':
        this.#cancelWait();
        if (this.#state.phase === 'IDLE') this.#dropCode();
        else void this.#end(this.#code?.kill());
        return;
      case 'scheduleRestart':
        this.#wait(this.#restartInMs, { type: 'due' });
        return;
      case 'release':
        void this.#release();
        return;
    }
  }

  async #claim(): Promise<void> {
    const { store, keys, registration, log } = this.#env;
    try {
      const result = await claim(store, keys, registration, this.unit);
      if (this.#closed) return;
      if (result.type === 'sessionLost') return this.#env.onSessionLost();
      if (result.type === 'claimed') {
        this.#own(result.token, result.statusModRevision);
        return this.#dispatch({ type: 'claimed' });
      }
      log.debug('the claim was refused', { why: result.why });
      this.#blocker = result.blocker;
    } catch (error) {
      log.debug('the claim failed', { error: (error as Error).message });
      this.#blocker = null;
    }
    this.#dispatch({ type: 'refused' });
  }

  #own(token: bigint, modRevision: bigint): void {
    const { store, keys, clock, log } = this.#env;
    const owned = { unit: this.unit, token, ownerKey: ownerKeyOf(keys, this.unit), statusKey: keys.status(this.unit) };
    const onFenced = (): void => this.#dispatch({ type: 'fenced' });
    this.#token = token;
    this.#restarts = 0;
    this.#startedAtMs = null;
    this.#shown = '';
    this.#error = '';
    this.#status = new StatusWriter({ store, key: owned.statusKey, ownerKey: owned.ownerKey, token, modRevision, clock, log, onFenced });
    const onHindered = (why: string): void => {
      this.#error = why;
      this.#show();
    };
    this.#code = this.#env.createCode(owned, { onFailed: (failure) => this.#failed(failure), onFenced, onHindered });
  }

  #awaitBlocker(): void {
    if (this.#blocker === null) return this.#wait(CLAIM_SOON_MS, { type: 'unblocked' });
    const { range, revision } = this.#blocker;
    this.#env.onWaiting();
    const unblocked = (): void => {
      this.#cancelWait();
      this.#dispatch({ type: 'unblocked' });
    };
    const watch = this.#env.store.watch(range, revision + 1n, {
      onEvents: unblocked,
      onEnd: () => this.#wait(CLAIM_SOON_MS, { type: 'unblocked' }),
    });
    const cancelTimer = this.#env.clock.after(CLAIM_AGAIN_MS, unblocked);
    this.#cancelWait = () => {
      watch.cancel();
      cancelTimer();
    };
  }

  #wait(ms: number, then: UnitEvent): void {
    this.#cancelWait();
    this.#cancelWait = this.#env.clock.after(ms, () => this.#dispatch(then));
  }

  async #start(): Promise<void> {
    const turn = ++this.#turn;
    const { clock, startedFor, log } = this.#env;
    this.#startedFor = startedFor();
    this.#startedAtMs = null;
    try {
      await this.#code?.start(this.#state.paused);
      if (turn !== this.#turn) return;
      this.#startedAtMs = clock.monotonic();
      this.#error = '';
      this.#dispatch({ type: 'started' });
    } catch (error) {
      // What the end of the session interrupts is no failure.
      if (turn !== this.#turn || this.#closed) return;
      if (error instanceof Fenced) this.#dispatch({ type: 'fenced' });
      else if (error instanceof Unable) {
        this.#error = error.message;
        log.warn(`cannot run here: ${error.message}`);
        this.#dispatch({ type: 'unable' });
      } else this.#failed(toFailure(error));
    }
  }

  #failed(failure: Failure): void {
    if (this.#closed) return;
    const { restartPolicy, clock, random, log } = this.#env;
    if (!failure.counted) {
      log.info(`goes on in another host: ${failure.message}`);
      return this.#dispatch({ type: 'moved' });
    }
    const history = { restarts: this.#restarts, startedAtMs: this.#startedAtMs };
    const decision = decideRestart(restartPolicy(), failure.kind, history, clock.monotonic(), random);
    this.#restarts = decision.restarts;
    this.#restartInMs = decision.restartInMs ?? 0;
    this.#error = failure.message;
    const what = decision.restartInMs === null ? 'stays failed' : `restarts in ${Math.round(decision.restartInMs)} ms`;
    log.error(`failed, ${what}: ${failure.message}`);
    this.#dispatch({ type: 'failed', restartInMs: decision.restartInMs });
  }

  async #end(ended: Promise<void> | undefined): Promise<void> {
    const turn = ++this.#turn;
    await ended;
    if (turn === this.#turn) this.#dispatch({ type: 'stopped' });
  }

  async #release(): Promise<void> {
    await this.#status?.close();
    const error = this.#state.unable ? this.#error : '';
    this.#sinceMs = this.#env.clock.now();
    await this.#code?.release(this.#statusOf(ShownState.UNASSIGNED, error));
    if (this.#closed) return;
    this.#dropCode();
    this.#dispatch({ type: 'released' });
  }

  #dropCode(): void {
    void this.#status?.close();
    this.#code?.close();
    this.#code = null;
    this.#status = null;
    this.#startedFor = '';
  }

  #show(): void {
    const state = showAs[this.#state.phase];
    if (state === undefined || this.#status === null) return;
    const shown = `${state} ${this.#error}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#sinceMs = this.#env.clock.now();
    this.#status.write(this.#statusOf(state, this.#error));
  }

  #statusOf(state: ShownState, error: string): StoredStatus {
    const { registration, version } = this.#env;
    const sinceMs = BigInt(Math.floor(this.#sinceMs));
    const runner = registration.runner;
    return { state, token: this.#token, generation: this.unit.generation, runner, error, sinceMs, version };
  }
}

/** What users see; nothing while another runner may own the unit. The last status is written with the release. */
const showAs: Partial<Record<UnitPhase, ShownState>> = {
  STARTING: ShownState.STARTING,
  RUNNING: ShownState.RUNNING,
  PAUSED: ShownState.PAUSED,
  FAILED: ShownState.FAILED,
  RESTARTING: ShownState.RESTARTING,
  STOPPING: ShownState.STOPPING,
};
