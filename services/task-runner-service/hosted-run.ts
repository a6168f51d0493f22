import type { CommitContent, HostCommand } from '@rocketmq-connect/pipeline/host-protocol';
import type { Clock } from '@rocketmq-connect/sdk';
import { type Failure, fromError, UnitFailed } from './failure.ts';
import type { Home, HostedUnit, HostPool, Placement, UnitHostEvent } from './host-pool.ts';

export interface HostedRunOptions {
  readonly pool: HostPool;
  readonly clock: Clock;
  readonly unit: string;
  readonly weight: number;
  readonly home: Home;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** It ended after it was started and before it was asked to stop. `lastContent` as of `stop`. */
  readonly onFailed: (failure: Failure, lastContent: CommitContent | null) => void;
  /** What else the host says of the unit. */
  readonly onEvent: (event: UnitHostEvent) => void;
  readonly onFigures: HostedUnit['onFigures'];
}

/** One incarnation of a unit's code in a host, with its limits: from its start to the moment when nothing of it runs any more. */
export class HostedRun {
  readonly #options: HostedRunOptions;
  readonly #placement: Placement;
  readonly #whenEnded: Promise<void>;
  #resolveEnded: () => void = () => undefined;
  #started: { resolve(): void; reject(error: UnitFailed): void } | null = null;
  #phase: 'starting' | 'running' | 'moving' | 'stopping' | 'ended' = 'starting';
  #wasStarted = false;
  #lastContent: CommitContent | null = null;
  #cancelTimer: () => void = () => undefined;

  constructor(options: HostedRunOptions) {
    this.#options = options;
    this.#whenEnded = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#placement = options.pool.place(options.unit, options.weight, options.home, {
      onEvent: (event) => this.#onEvent(event),
      onFigures: options.onFigures,
      onMove: () => this.#move(),
      onGone: (exit, culprit) => {
        this.#end(culprit ?? { kind: 'host', message: `its host was ended: ${exit.message}`, counted: false });
      },
    });
  }

  /** Of a clean end: what is to be committed. */
  get lastContent(): CommitContent | null {
    return this.#lastContent;
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
    if (this.#phase === 'starting' || this.#phase === 'running') this.#stopWithin('stopping');
    else if (this.#phase === 'moving') this.#phase = 'stopping';
    await this.#whenEnded;
    return this.#lastContent;
  }

  /** Ends the code now, its host with it. */
  async kill(): Promise<void> {
    if (this.#phase !== 'ended') {
      this.#phase = 'stopping';
      this.#placement.kill();
    }
    await this.#whenEnded;
  }

  #move(): void {
    if (this.#phase === 'starting' || this.#phase === 'running') this.#stopWithin('moving');
  }

  #stopWithin(phase: 'stopping' | 'moving'): void {
    this.#phase = phase;
    this.#placement.send({ type: 'stop', unit: this.#options.unit });
    this.#limit(this.#options.stopTimeoutMs, 'did not stop');
  }

  #onEvent(event: UnitHostEvent): void {
    switch (event.type) {
      case 'started':
        if (this.#phase !== 'starting') return;
        this.#phase = 'running';
        this.#wasStarted = true;
        this.#cancelTimer();
        this.#started?.resolve();
        return;
      case 'failed':
        this.#end(this.#placement.accusation ?? fromError(event.error));
        return;
      case 'stopped':
        if (this.#phase === 'stopping' || this.#phase === 'moving') this.#lastContent = event.content;
        if (this.#phase === 'moving') this.#end({ kind: 'host', message: 'it leaves its host to a neighbour', counted: false });
        else this.#end({ kind: 'fatal', message: 'its code ended without being asked', counted: true });
        return;
      default:
        if (this.#phase === 'running' || (event.type === 'frozen' && this.#phase !== 'starting')) this.#options.onEvent(event);
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
    if (this.#wasStarted && before !== 'stopping') this.#options.onFailed(failure, this.#lastContent);
  }

  #limit(timeoutMs: number, what: string): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(timeoutMs, () => {
      this.#placement.expel(`${what} within ${timeoutMs} ms`);
    });
  }
}
