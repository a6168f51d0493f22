import { FatalError, sleep } from '@rocketmq-connect/sdk';
import type { FetchedMessages, Subscription } from './index.ts';
import type { SimulatedLog } from './simulated.ts';
import { type Held, INVISIBLE_MS, type SimulatedGroup } from './simulated-group.ts';
import { Wake } from './wake.ts';

const RENEW_EVERY_MS = INVISIBLE_MS / 3;
const ACKNOWLEDGE_AGAIN_MS = 500;

/** A member of a group of the simulated log. */
export class SimulatedSubscription implements Subscription {
  readonly #log: SimulatedLog;
  readonly #group: SimulatedGroup;
  readonly #topics: readonly string[];
  /** Lets happen what the plan of faults says. */
  readonly #meet: (operation: 'read' | 'acknowledge' | 'renew') => Promise<void>;
  readonly #wake: Wake;
  /** Read and not acknowledged, in that order. */
  readonly #held: Held[] = [];
  #reading = false;
  #closed = false;
  #lost = false;
  #cancelRenewal: () => void = () => undefined;

  constructor(
    log: SimulatedLog,
    group: SimulatedGroup,
    topics: readonly string[],
    meet: (operation: 'read' | 'acknowledge' | 'renew') => Promise<void>,
  ) {
    this.#log = log;
    this.#group = group;
    this.#topics = topics;
    this.#meet = meet;
    this.#wake = new Wake(log.clock);
  }

  async read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
    if (this.#reading) throw new FatalError('a subscription serves one read at a time', { code: 'READER_BUSY' });
    this.#reading = true;
    // From before the look on, so that nothing stored between the look and the wait is missed.
    let changed = false;
    const unwatch = this.#log.watch(() => {
      changed = true;
      this.#wake.now();
    });
    try {
      const { clock } = this.#log;
      const untilMs = clock.monotonic() + waitMs;
      for (;;) {
        signal.throwIfAborted();
        this.#checkOpen();
        changed = false;
        await this.#meet('read');
        const { fetched, held } = this.#group.receive(this.#topics, maxBytes);
        this.#hold(held);
        if (fetched.length > 0) return fetched;
        const nowMs = clock.monotonic();
        if (untilMs <= nowMs) return [];
        if (!changed) await this.#wake.wait(Math.min(untilMs, this.#group.nextLapseMs()) - nowMs, signal);
      }
    } finally {
      unwatch();
      this.#reading = false;
    }
  }

  async acknowledge(count: number): Promise<number> {
    this.#checkOpen();
    if (count > this.#held.length) throw new RangeError(`${count} messages are acknowledged of ${this.#held.length} that were read`);
    const done = this.#held.splice(0, count);
    const { clock } = this.#log;
    while (!this.#lost && done.some(({ untilMs }) => untilMs > clock.monotonic())) {
      try {
        await this.#meet('acknowledge');
        break;
      } catch {
        await sleep(clock, ACKNOWLEDGE_AGAIN_MS);
      }
    }
    // What has not arrived when its process ends never will.
    this.#checkAlive();
    return done.filter((held) => !this.#group.acknowledge(held)).length;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#end();
    for (const held of this.#held) this.#group.giveBack(held);
    this.#log.changed();
  }

  /** The process of the member is gone without a word. */
  lose(): void {
    this.#lost = true;
    this.#end();
  }

  #end(): void {
    this.#closed = true;
    this.#cancelRenewal();
    this.#wake.now();
  }

  #hold(held: readonly Held[]): void {
    if (this.#held.length === 0 && held.length > 0) this.#renewLater();
    this.#held.push(...held);
  }

  #renewLater(): void {
    this.#cancelRenewal();
    this.#cancelRenewal = this.#log.clock.after(RENEW_EVERY_MS, async () => {
      try {
        await this.#meet('renew');
        if (!this.#closed) for (const held of this.#held) this.#group.renew(held);
      } catch {
        // What is not renewed comes again.
      }
      if (!this.#closed && this.#held.length > 0) this.#renewLater();
    });
  }

  #checkAlive(): void {
    if (this.#lost) throw new FatalError('the process of this subscription is gone', { code: 'READER_CLOSED' });
  }

  #checkOpen(): void {
    if (this.#closed) throw new FatalError('the subscription is closed', { code: 'READER_CLOSED' });
  }
}
