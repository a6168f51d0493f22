import type { Clock } from '@rocketmq-connect/sdk';
import type { SpanData } from './index.ts';

export interface SpanQueueOptions {
  readonly clock: Clock;
  /** How long a span waits for others at most. */
  readonly delayMs: number;
  /** Spans that wait at most; beyond, new ones are dropped and counted. */
  readonly spansMax: number;
  /** As many go at once. */
  readonly batchMax: number;
  /** Takes a batch; one at a time. `dropped`: since the last batch. Must not reject. */
  readonly deliver: (spans: readonly SpanData[], dropped: number) => Promise<void> | void;
}

/** Finished spans on their way, in batches. Tracing must cost no memory without end: what does not fit is dropped and counted. */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  #spans: SpanData[] = [];
  #dropped = 0;
  #cancelTimer: (() => void) | null = null;
  #delivering: Promise<void> | null = null;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  add(span: SpanData): void {
    const { clock, delayMs, spansMax, batchMax } = this.#options;
    if (this.#spans.length >= spansMax) {
      this.#dropped++;
      return;
    }
    this.#spans.push(span);
    if (this.#spans.length >= batchMax) this.#deliver();
    else this.#cancelTimer ??= clock.after(delayMs, () => this.#deliver());
  }

  /** Spans that others dropped on their way here. */
  addDropped(count: number): void {
    this.#dropped += count;
  }

  /** Resolves when nothing waits any more. */
  async flush(): Promise<void> {
    while (this.#spans.length > 0 || this.#delivering !== null) {
      this.#deliver();
      await this.#delivering;
    }
  }

  /** Gives everything now, whatever is under way: for a thread that may be ended in a moment. */
  drain(): void {
    const { batchMax, deliver } = this.#options;
    for (; this.#spans.length > 0; this.#dropped = 0) void deliver(this.#spans.splice(0, batchMax), this.#dropped);
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #deliver(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#delivering !== null || this.#spans.length === 0) return;
    const batch = this.#spans.splice(0, this.#options.batchMax);
    const dropped = this.#dropped;
    this.#dropped = 0;
    const done = this.#options.deliver(batch, dropped);
    if (done === undefined) {
      if (this.#spans.length > 0) this.#deliver();
      return;
    }
    this.#delivering = done.then(() => {
      this.#delivering = null;
      if (this.#spans.length >= this.#options.batchMax) this.#deliver();
      else if (this.#spans.length > 0) this.#cancelTimer ??= this.#options.clock.after(this.#options.delayMs, () => this.#deliver());
    });
  }
}
