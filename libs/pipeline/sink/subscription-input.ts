import type { FetchedMessages, Subscription } from '@rocketmq-connect/message-log';
import type { SinkInput, SinkInputOptions } from './sink-input.ts';
import type { QueuePosition } from './sink-positions.ts';

/** At so many messages that are put and not frozen a commit is asked for: the log holds only so many for one member. */
const PUT_MAX = 8_192;

/**
 * What the log deals out to this task. A message is acknowledged when the sink has flushed it and the commit that followed is stored: until
 * then the log holds it for this task, and deals it out again should the task end.
 */
export class SubscriptionInput implements SinkInput {
  readonly empty = false;
  readonly acknowledges = true;
  readonly #options: SinkInputOptions;
  #subscription: Subscription | null = null;
  #paused = false;
  /** Read last, and how many messages of this subscription came before it. */
  #last: FetchedMessages | null = null;
  #before = 0;
  // Messages come in one order: how many of them are so far.
  #reached = 0;
  #put = 0;
  #asked = 0;
  #frozen = 0;
  #acknowledged = 0;

  constructor(options: SinkInputOptions) {
    this.#options = options;
  }

  async read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
    const { log, group, settings } = this.#options;
    this.#paused = false;
    this.#subscription ??= await log.subscribe(group, settings.topics);
    return this.#subscription.read(maxBytes, waitMs, signal);
  }

  lags(): null {
    return null;
  }

  reach(messages: FetchedMessages, count: number): void {
    if (messages !== this.#last) {
      this.#before += this.#last?.count ?? 0;
      this.#last = messages;
    }
    this.#reached = this.#before + count;
  }

  put(): void {
    this.#put = this.#reached;
    if (this.#put - Math.max(this.#asked, this.#frozen) < PUT_MAX) return;
    this.#asked = this.#put;
    this.#options.onCommitWanted();
  }

  freeze(): readonly QueuePosition[] {
    this.#frozen = this.#put;
    return [];
  }

  async committed(): Promise<void> {
    const { logger } = this.#options;
    const count = this.#frozen - this.#acknowledged;
    this.#acknowledged = this.#frozen;
    try {
      const lapsed = count === 0 ? 0 : ((await this.#subscription?.acknowledge(count)) ?? 0);
      if (lapsed > 0) logger.warn(`${lapsed} messages could not be acknowledged in time: they come again, as duplicates`);
    } catch (error) {
      logger.warn(`${count} messages were not acknowledged: they may come again, as duplicates`, { error: (error as Error).message });
    }
    await this.#rest();
  }

  /** What the log holds for a task that is paused it deals out to nobody, for as long as the pause lasts: it is given back. */
  pause(): void {
    this.#paused = true;
    void this.#rest();
  }

  async close(): Promise<void> {
    await this.#subscription?.close();
  }

  async #rest(): Promise<void> {
    const subscription = this.#subscription;
    if (!this.#paused || subscription === null || this.#acknowledged < this.#reached) return;
    this.#subscription = null;
    this.#last = null;
    this.#before = this.#reached;
    await subscription.close().catch((error: Error) => {
      this.#options.logger.debug('what was not acknowledged was not given back', { error: error.message });
    });
  }
}
