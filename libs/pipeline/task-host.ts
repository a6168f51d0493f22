import type { HostCommand, HostEvent } from './host-protocol.ts';

/** What a task host is: a thread of the runner's process, or a process of its own. */
export type HostKind = 'thread' | 'process';

/** Where connector code runs: the port. Adapters: threads, processes, simulated. */
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
  /** The unit whose hook was running when the host had to be ended, where that can be told. */
  readonly unit?: string;
}

export interface TaskHost {
  readonly id: string;
  send(command: HostCommand): void;
  /** Ends it now, whatever it does; `onExit` follows. */
  kill(): void;
}

/** The lowest bit of the word; times are exact to 4 µs, never late. */
const LATCHED = 1n;

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

  /** A session begins, or goes on; 0 ends it. For the one thread that keeps the session, where no other may latch it. */
  set(deadlineMs: number): void {
    Atomics.store(this.#word, 0, wordOf(deadlineMs));
  }

  /** The session goes on until then, unless its end is latched, or there is none: then nothing changes, and the answer is false. */
  extend(deadlineMs: number): boolean {
    for (;;) {
      const before = Atomics.load(this.#word, 0);
      if (isLatched(before)) return false;
      if (Atomics.compareExchange(this.#word, 0, before, wordOf(deadlineMs)) === before) return true;
    }
  }

  /** No thread can extend the session any more: it ends at its deadline. */
  latch(): void {
    Atomics.or(this.#word, 0, LATCHED);
  }

  get latched(): boolean {
    return isLatched(Atomics.load(this.#word, 0));
  }

  /** 0: no session. */
  get deadlineMs(): number {
    return Number(Atomics.load(this.#word, 0) & ~LATCHED) / 1000;
  }

  passed(monotonicMs: number): boolean {
    return monotonicMs * 1000 >= Number(Atomics.load(this.#word, 0));
  }
}

// Rounded down so far that latching moves it past no deadline.
function wordOf(deadlineMs: number): bigint {
  return deadlineMs === 0 ? 0n : BigInt(Math.floor(deadlineMs * 500) - 1) << 1n;
}

function isLatched(word: bigint): boolean {
  return word === 0n || (word & LATCHED) === LATCHED;
}
