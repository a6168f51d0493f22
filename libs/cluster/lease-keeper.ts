import type { Lease, MetadataStore } from '@rocketmq-connect/metadata-store';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import { type LeaseEvent, type LeaseState, nextLeaseState, openedLease, wakeAtMs } from './lease-state.ts';

export interface LeaseKeeperOptions {
  readonly clock: Clock;
  /** How long before the deadline the end is latched. */
  readonly killTimeMs: number;
  /** Told of each new deadline, monotonic ms; 0 when there is none any more. */
  readonly onDeadline?: (deadlineMs: number) => void;
  /** Once, when the end is latched. */
  readonly onEnding: (reason: string) => void;
}

/** A lease and its keep-alives: drives `LeaseState` with a clock and a store. */
export class LeaseKeeper {
  readonly lease: Lease;
  readonly #options: LeaseKeeperOptions;
  #state: LeaseState;
  #cancelTimer: () => void = () => undefined;
  #stopped = false;

  /** Opens a lease and keeps it. Rejects when the store cannot be reached. */
  static async open(store: MetadataStore, ttlMs: number, options: LeaseKeeperOptions): Promise<LeaseKeeper> {
    const sentMs = options.clock.monotonic();
    return new LeaseKeeper(await store.grantLease(ttlMs), sentMs, options);
  }

  private constructor(lease: Lease, sentMs: number, options: LeaseKeeperOptions) {
    this.lease = lease;
    this.#options = options;
    this.#state = openedLease(sentMs, lease.ttlMs, options.killTimeMs);
    options.onDeadline?.(this.#state.deadlineMs);
    this.#arm();
  }

  /** Whether what the lease holds may still be acted on, by the clock of now. */
  get live(): boolean {
    this.#dispatch({ type: 'tick', nowMs: this.#options.clock.monotonic() });
    return this.#state.phase === 'live' && !this.#stopped;
  }

  /** Monotonic ms; 0 when the lease is lost. */
  get deadlineMs(): number {
    return this.#state.deadlineMs;
  }

  /** The lease, or what it held, was found gone. */
  lost(reason: string): void {
    this.#dispatch({ type: 'lost', reason });
  }

  /** No more keep-alives and no calls back; revokes the lease. If the store cannot be reached the lease expires by itself. */
  async release(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.lease.revoke().catch((error: unknown) => {
      if (!(error instanceof ConnectError)) throw error;
    });
  }

  #dispatch(event: LeaseEvent): void {
    if (this.#stopped) return;
    const before = this.#state;
    this.#state = nextLeaseState(before, event);
    if (this.#state.deadlineMs !== before.deadlineMs) this.#options.onDeadline?.(this.#state.deadlineMs);
    if (this.#state.phase === 'live') return this.#arm();
    this.#cancelTimer();
    if (before.phase === 'live') this.#options.onEnding(this.#state.reason);
  }

  #arm(): void {
    const { clock } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(wakeAtMs(this.#state) - clock.monotonic(), () => this.#wake());
  }

  #wake(): void {
    const nowMs = this.#options.clock.monotonic();
    this.#dispatch({ type: 'tick', nowMs });
    const { phase, sentMs, nextSendMs } = this.#state;
    if (this.#stopped || phase !== 'live' || sentMs !== null || nowMs < nextSendMs) return;
    this.#dispatch({ type: 'sent', nowMs });
    void this.#keepAlive();
  }

  async #keepAlive(): Promise<void> {
    const answer = await this.lease.keepAlive().then(
      (ttlMs) => ({ type: 'answered', ttlMs }) as const,
      () => ({ type: 'failed' }) as const,
    );
    this.#dispatch({ ...answer, nowMs: this.#options.clock.monotonic() });
  }
}
