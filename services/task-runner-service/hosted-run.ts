import type { CommitContent, HostCommand, TaskCounters } from '@rocketmq-connect/pipeline/host-protocol';
import { type Clock, type PlainError, toPlainError } from '@rocketmq-connect/sdk';
import type { HostPool, Placement, UnitHostEvent } from './host-pool.ts';
import type { FailureKind } from './restart-policy.ts';

/** Why the code of a unit ended by itself. */
export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  /** False for a neighbour of the culprit: it restarts at once, and no restart is counted. */
  readonly counted: boolean;
}

/** Thrown by what starts a unit's code. */
export class UnitFailed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'UnitFailed';
    this.failure = failure;
  }
}

export interface HostedRunOptions {
  readonly pool: HostPool;
  readonly clock: Clock;
  readonly unit: string;
  readonly weight: number;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** It failed after it was started and before it was asked to stop. */
  readonly onFailed: (failure: Failure) => void;
  /** What else the host says of the unit. */
  readonly onEvent: (event: UnitHostEvent) => void;
  readonly onCounters: (counters: TaskCounters) => void;
}

/** One incarnation of a unit's code in a host, with its limits: from its start to the moment when nothing of it runs any more. */
export class HostedRun {
  readonly #options: HostedRunOptions;
  readonly #placement: Placement;
  readonly #whenEnded: Promise<void>;
  #resolveEnded: () => void = () => undefined;
  #started: { resolve(): void; reject(error: UnitFailed): void } | null = null;
  #phase: 'starting' | 'running' | 'stopping' | 'ended' = 'starting';
  #lastContent: CommitContent | null = null;
  #overdue: string | null = null;
  #cancelTimer: () => void = () => undefined;

  constructor(options: HostedRunOptions) {
    this.#options = options;
    this.#whenEnded = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#placement = options.pool.place(options.unit, options.weight, {
      onEvent: (event) => this.#onEvent(event),
      onCounters: options.onCounters,
      onGone: (exit, culprit) => {
        const message = this.#overdue ?? (culprit ? `its host ${exit.reason}: ${exit.message}` : `its host was ended (${exit.message})`);
        this.#end({ kind: 'host', message, counted: culprit });
      },
    });
  }

  /** Resolves when the code has started, rejects with `UnitFailed`. */
  start(command: HostCommand): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      this.#placement.send(command);
      this.#limit(this.#options.startTimeoutMs, 'did not start');
    });
  }

  send(command: HostCommand): void {
    if (this.#phase !== 'ended') this.#placement.send(command);
  }

  /** Ends the code within its limit. The content to commit, or null where the end was not clean or there is none. */
  async stop(): Promise<CommitContent | null> {
    if (this.#phase === 'starting' || this.#phase === 'running') {
      this.#phase = 'stopping';
      this.#placement.send({ type: 'stop', unit: this.#options.unit });
      this.#limit(this.#options.stopTimeoutMs, 'did not stop');
    }
    await this.#whenEnded;
    return this.#lastContent;
  }

  /** Ends the code now, its host with it. */
  async kill(): Promise<void> {
    if (this.#phase !== 'ended') {
      this.#phase = 'stopping';
      this.#placement.expel();
    }
    await this.#whenEnded;
  }

  #onEvent(event: UnitHostEvent): void {
    switch (event.type) {
      case 'started':
        if (this.#phase !== 'starting') return;
        this.#phase = 'running';
        this.#cancelTimer();
        this.#started?.resolve();
        return;
      case 'failed':
        this.#end(fromError(event.error));
        return;
      case 'stopped':
        if (this.#phase === 'stopping') this.#lastContent = event.content;
        this.#end({ kind: 'fatal', message: 'its code ended without being asked', counted: true });
        return;
      default:
        if (this.#phase === 'running' || (this.#phase === 'stopping' && event.type === 'frozen')) this.#options.onEvent(event);
    }
  }

  #end(failure: Failure): void {
    if (this.#phase === 'ended') return;
    const before = this.#phase;
    this.#phase = 'ended';
    this.#cancelTimer();
    this.#placement.leave();
    this.#resolveEnded();
    this.#started?.reject(new UnitFailed(failure));
    if (before === 'running') this.#options.onFailed(failure);
  }

  #limit(timeoutMs: number, what: string): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(timeoutMs, () => {
      this.#overdue = `${what} within ${timeoutMs} ms`;
      this.#placement.expel();
    });
  }
}

/** What a status shows of an error: its remedy, or, of what nobody expected, where in the code it was thrown. */
function fromError({ kind, code, message, remedy, stack }: PlainError): Failure {
  const end = /[.!?]$/.test(message) ? ' ' : '. ';
  const frames = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const more =
    remedy !== undefined
      ? end + remedy
      : code === 'UNEXPECTED'
        ? frames
            .slice(0, FRAMES_MAX)
            .map((line) => `\n${line}`)
            .join('')
        : '';
  return { kind, message: `${code}: ${message}${more}`, counted: true };
}

const FRAMES_MAX = 8;

export function toFailure(error: unknown): Failure {
  return error instanceof UnitFailed ? error.failure : fromError(toPlainError(error));
}
