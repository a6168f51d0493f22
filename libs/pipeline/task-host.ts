import type { HostCommand, HostEvent } from './host-protocol.ts';

/** Where connector code runs: the port. Adapters: `thread`, `process`, `simulated`. */
export interface TaskHosts {
  /** Starts a host; it posts `ready` when it listens. */
  open(listener: TaskHostListener): TaskHost;
}

export interface TaskHostListener {
  onEvent(event: HostEvent): void;
  /** The host is gone, all of it: nothing of its units runs any more. */
  onExit(exit: HostExit): void;
}

export interface HostExit {
  /** `killed`: by us. */
  readonly reason: 'killed' | 'crashed' | 'outOfMemory';
  readonly message: string;
}

export interface TaskHost {
  readonly id: string;
  send(command: HostCommand): void;
  /** Ends it now, whatever it does; `onExit` follows. */
  kill(): void;
}

/**
 * The moment (monotonic ms of this machine) at which this runner's session may be over: a word of memory shared with the hosts, which
 * look at it before every send, put and commit (invariant 6). 0: no session.
 */
export class DeadlineWord {
  readonly buffer: SharedArrayBuffer;
  readonly #word: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.buffer = buffer;
    this.#word = new BigInt64Array(buffer);
  }

  set(deadlineMs: number): void {
    Atomics.store(this.#word, 0, BigInt(Math.floor(deadlineMs * 1000)));
  }

  passed(monotonicMs: number): boolean {
    return monotonicMs * 1000 >= Number(Atomics.load(this.#word, 0));
  }
}
