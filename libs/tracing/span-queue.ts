import type { Clock } from '@rocketmq-connect/sdk';
import type { SpanData } from './index.ts';

export interface SpanQueueOptions {
  readonly clock: Clock;
  /** How long a span waits for others at most. */
  readonly delayMs: number;
  /** Spans that wait at most; beyond, new ones are dropped and counted. */
  readonly spansMax: number;
  /** Takes what has come in a delay. */
  readonly deliver: (spans: readonly SpanData[], dropped: number) => void;
}

/** Finished spans of a task host on their way, in batches: so many in so much time, for whoever takes them has better things to do. */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  #spans: SpanData[] = [];
  #dropped = 0;
  #cancelTimer: (() => void) | null = null;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  add(span: SpanData): void {
    const { clock, delayMs, spansMax } = this.#options;
    if (this.#spans.length < spansMax) this.#spans.push(span);
    else this.#dropped++;
    this.#cancelTimer ??= clock.after(delayMs, () => this.drain());
  }

  /** Gives everything now: for a thread that may be ended in a moment. */
  drain(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#spans.length === 0) return;
    const [spans, dropped] = [this.#spans, this.#dropped];
    this.#spans = [];
    this.#dropped = 0;
    this.#options.deliver(spans, dropped);
  }
}
