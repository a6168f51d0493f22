import { Worker } from 'node:worker_threads';
import type { KeptLease, KeptLeaseOptions } from '@rocketmq-connect/cluster/lease-keeper';
import type { EtcdConnection } from '@rocketmq-connect/metadata-store/connection';
import type { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { type Clock, ConnectError, fromPlainError } from '@rocketmq-connect/sdk';
import type { LeaseCommand, LeaseEvent, LeaseThreadData } from './protocol.ts';

export interface LeaseThreadOptions {
  readonly connection: EtcdConnection;
  /** The thread writes it; here it is only read, and ended. */
  readonly deadline: DeadlineWord;
  readonly clock: Clock;
}

/** The control thread's side of `thread-main.ts`: opens leases that are kept in a thread of their own. */
export class LeaseThread {
  readonly #options: LeaseThreadOptions;
  #worker: Worker | undefined;
  #onEvent: (event: LeaseEvent) => void = () => {};

  constructor(options: LeaseThreadOptions) {
    this.#options = options;
  }

  /** One at a time: the lease before must be released. */
  async open(ttlMs: number, { killTimeMs, onEnding }: KeptLeaseOptions): Promise<KeptLease> {
    const opened = Promise.withResolvers<KeptLease>();
    let lease: ThreadLease | undefined;
    this.#onEvent = (event) => {
      switch (event.type) {
        case 'opened':
          lease = new ThreadLease(event.id, killTimeMs, this.#options, onEnding, (command) => this.#send(command));
          return opened.resolve(lease);
        case 'failed':
          if (lease === undefined) return opened.reject(fromPlainError(event.error));
          return lease.over('the thread that keeps the lease has ended');
        case 'ping':
          return this.#send({ type: 'pong' });
        case 'ending':
          return lease?.over(event.reason);
        case 'released':
          return lease?.released();
      }
    };
    this.#send({ type: 'open', ttlMs, killTimeMs });
    return opened.promise;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #send(command: LeaseCommand): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(command);
  }

  #start(): Worker {
    const data: LeaseThreadData = { connection: this.#options.connection, deadline: this.#options.deadline.buffer };
    const worker = new Worker(new URL('./thread-main.ts', import.meta.url), { name: 'lease', workerData: data });
    worker.unref();
    let failure = 'it exited';
    worker.on('message', (event: LeaseEvent) => this.#onEvent(event));
    worker.on('error', (error: unknown) => {
      failure = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      const gone = new ConnectError('unavailable', `the thread that keeps the lease failed: ${failure}`, { code: 'LEASE_THREAD_FAILED' });
      this.#onEvent({ type: 'failed', error: { name: gone.name, kind: gone.kind, code: gone.code, message: gone.message } });
    });
    return worker;
  }
}

const LATE = 'the lease could not be renewed in time';

class ThreadLease implements KeptLease {
  readonly id: bigint;
  readonly #killTimeMs: number;
  readonly #options: LeaseThreadOptions;
  readonly #onEnding: (reason: string) => void;
  readonly #send: (command: LeaseCommand) => void;
  readonly #released = Promise.withResolvers<void>();
  #over = false;
  #releasing = false;

  constructor(
    id: bigint,
    killTimeMs: number,
    options: LeaseThreadOptions,
    onEnding: (reason: string) => void,
    send: (command: LeaseCommand) => void,
  ) {
    this.id = id;
    this.#killTimeMs = killTimeMs;
    this.#options = options;
    this.#onEnding = onEnding;
    this.#send = send;
  }

  get live(): boolean {
    const { deadline, clock } = this.#options;
    if (this.#over || this.#releasing) return false;
    if (!deadline.passed(clock.monotonic() + this.#killTimeMs) && !deadline.latched) return true;
    // Whoever finds out first, this thread or the other.
    if (deadline.latched) this.over(LATE);
    else this.lost(LATE);
    return false;
  }

  lost(reason: string): void {
    if (this.#over || this.#releasing) return;
    this.#options.deadline.latch();
    this.#send({ type: 'lost', reason });
    this.over(reason);
  }

  /** For the thread: the end is latched. */
  over(reason: string): void {
    if (this.#over || this.#releasing) return;
    this.#over = true;
    this.#options.deadline.latch();
    this.#onEnding(reason);
  }

  /** For the thread. */
  released(): void {
    this.#released.resolve();
  }

  release(): Promise<void> {
    this.#releasing = true;
    this.#send({ type: 'release' });
    return this.#released.promise;
  }
}
