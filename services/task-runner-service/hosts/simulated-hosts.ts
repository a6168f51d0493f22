import type { MessageLog } from '@rocketmq-connect/message-log';
import { createHostRuntime } from '@rocketmq-connect/pipeline/host/host-runtime';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import type { Catalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import type { DeadlineWord, HostExit, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import type { Clock, Random } from '@rocketmq-connect/sdk';

export interface SimulatedHostsOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly random: Random;
  readonly deadline: DeadlineWord;
  /** A log client of one host; after `release` nothing that its code still does may reach the log. */
  readonly connectLog: () => { readonly log: MessageLog; release(): void };
  /** Time for a command or event to cross; default 0, but never at once. */
  readonly latencyMs?: number;
  /** What the hosts of one process share in their names. */
  readonly name?: string;
}

/** Task hosts in this process on an injected clock: the same code as in a thread, with crashes and hangs on request. */
export class SimulatedHosts implements TaskHosts {
  readonly #options: SimulatedHostsOptions;
  readonly #alive = new Map<string, SimulatedHost>();
  #opened = 0;

  constructor(options: SimulatedHostsOptions) {
    this.#options = options;
  }

  get alive(): readonly SimulatedHost[] {
    return [...this.#alive.values()];
  }

  open(listener: TaskHostListener): TaskHost {
    const id = `${this.#options.name ?? 'host'}-${++this.#opened}`;
    const host = new SimulatedHost(id, this.#options, listener, () => this.#alive.delete(id));
    this.#alive.set(id, host);
    return host;
  }
}

export class SimulatedHost implements TaskHost {
  readonly id: string;
  readonly #options: SimulatedHostsOptions;
  readonly #listener: TaskHostListener;
  readonly #onDead: () => void;
  readonly #runtime: ReturnType<typeof createHostRuntime>;
  readonly #release: () => void;
  #dead = false;
  #hung = false;

  constructor(id: string, options: SimulatedHostsOptions, listener: TaskHostListener, onDead: () => void) {
    this.id = id;
    this.#options = options;
    this.#listener = listener;
    this.#onDead = onDead;
    const { catalogue, clock, random, deadline } = options;
    const { log, release } = options.connectLog();
    this.#release = release;
    const references = { env: {}, readFile: noFiles };
    this.#runtime = createHostRuntime({ log, catalogue, clock, random, deadline, references, post: (event) => this.#post(event) });
    this.#post({ type: 'ready' });
  }

  send(command: HostCommand): void {
    this.#cross(() => {
      if (!this.#hung) this.#runtime.handle(structuredClone(command));
    });
  }

  kill(): void {
    this.#die({ reason: 'killed', message: 'ended by the runner' });
  }

  /** The thread ends by itself, as by an uncaught error or an exhausted heap. */
  crash(reason: 'crashed' | 'outOfMemory' = 'crashed'): void {
    this.#die({ reason, message: 'simulated' });
  }

  /** Its loop is blocked: it neither hears nor says anything until it is killed. */
  hang(): void {
    this.#hung = true;
  }

  #post(event: HostEvent): void {
    if (this.#hung) return;
    const copy = structuredClone(event);
    this.#cross(() => this.#listener.onEvent(copy));
  }

  #cross(deliver: () => void): void {
    this.#options.clock.after(this.#options.latencyMs ?? 0, () => {
      if (!this.#dead) deliver();
    });
  }

  #die(exit: HostExit): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#release();
    this.#runtime.close();
    this.#onDead();
    this.#options.clock.after(0, () => this.#listener.onExit(exit));
  }
}

function noFiles(path: string): string {
  throw new Error(`a simulated host has no file ${path}`);
}
