import type { Lease, MetadataStore } from '@rocketmq-connect/metadata-store';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import { type LeaseEvent, type LeaseState, nextLeaseState, openedLease, wakeAtMs } from './lease-state.ts';

/** A lease that somebody keeps alive. */
export interface KeptLease {
  readonly id: bigint;
  /** Whether what the lease holds may still be acted on, by the clock of now. */
  readonly live: boolean;
  /** The lease, or what it held, was found gone. */
  lost(reason: string): void;
  /** No more keep-alives and no calls back; revokes the lease. If the store cannot be reached the lease expires by itself. */
  release(): Promise<void>;
}

export interface KeptLeaseOptions {
  /** How long before the deadline the end is latched. */
  readonly killTimeMs: number;
  /** Told of each new deadline, monotonic ms; 0 when there is none any more. */
  readonly onDeadline?: (deadlineMs: number) => void;
  /** Once, when the end is latched. */
  readonly onEnding: (reason: string) => void;
}

/** Opens a lease and keeps it, here or in a thread of its own. Rejects when the store cannot be reached. */
export type OpenLease = (ttlMs: number, options: KeptLeaseOptions) => Promise<KeptLease>;

export interface LeaseKeeperOptions extends KeptLeaseOptions {
  readonly clock: Clock;
  /** Asked before each keep-alive, which is not sent before it resolves. */
  readonly permit?: () => Promise<void>;
}

/** A lease and its keep-alives: drives `LeaseState` with a clock and a store. */
export class LeaseKeeper implements KeptLease {
  readonly lease: Lease;
  readonly #options: LeaseKeeperOptions;
  #state: LeaseState;
  #cancelTimer: () => void = () => undefined;
  #stopped = false;
  #ending = false;

  /** Opens a lease and keeps it in this thread. Rejects when the store cannot be reached. */
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

  get id(): bigint {
    return this.lease.id;
  }

  get live(): boolean {
    this.#dispatch({ type: 'tick', nowMs: this.#options.clock.monotonic() });
    return this.#state.phase === 'live' && !this.#stopped;
  }

  lost(reason: string): void {
    this.#dispatch({ type: 'lost', reason });
  }

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
    if (this.#ending) return;
    this.#ending = true;
    this.#options.onEnding(this.#state.reason);
  }

  #arm(): void {
    const { clock } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(wakeAtMs(this.#state) - clock.monotonic(), () => this.#wake());
  }

  #wake(): void {
    const nowMs = this.#options.clock.monotonic();
    this.#dispatch({ type: 'tick', nowMs });
    const { phase, asked, sentMs, nextSendMs } = this.#state;
    if (this.#stopped || phase !== 'live' || asked || sentMs !== null || nowMs < nextSendMs) return;
    if (this.#options.permit === undefined) return this.#send();
    this.#dispatch({ type: 'asked', nowMs });
    void this.#options.permit().then(() => this.#send());
  }

  #send(): void {
    this.#dispatch({ type: 'sent', nowMs: this.#options.clock.monotonic() });
    if (!this.#stopped && this.#state.phase === 'live') void this.#keepAlive();
  }

  async #keepAlive(): Promise<void> {
    const answer = await this.lease.keepAlive().then(
      (ttlMs) => ({ type: 'answered', ttlMs }) as const,
      () => ({ type: 'failed' }) as const,
    );
    this.#dispatch({ ...answer, nowMs: this.#options.clock.monotonic() });
  }
}
