import type { TraceContext } from '@rocketmq-connect/tracing';
import { formatTraceparent } from '@rocketmq-connect/tracing/trace-context';
import { LAST_FREEZE } from '../host-protocol.ts';
import type { TaskSpans } from './task-spans.ts';

interface OpenCommit {
  readonly freeze: number;
  readonly end: (error: string | null) => void;
}

/** The spans of a task's commits. They come later than the batches whose positions they store: below the first of these, linked to the others. */
export class CommitTraces {
  readonly #spans: TaskSpans;
  #open: OpenCommit | null = null;

  constructor(spans: TaskSpans) {
    this.#spans = spans;
  }

  /**
   * What these batches gave was flushed from `sinceMs` until now, and is committed now. The `traceparent` that config-service goes on from;
   * undefined: none of them is sampled.
   */
  frozen(freeze: number, [first, ...links]: readonly TraceContext[], sinceMs: number): string | undefined {
    this.close();
    if (first === undefined) return undefined;
    const make = this.#spans.open();
    const frozenMs = this.#spans.clock.monotonic();
    make({ ...this.#spans.below(first, 'flush', sinceMs, frozenMs), links });
    // Nobody is here any more when the last content is stored: config-service's span is below the batch.
    if (freeze === LAST_FREEZE) return formatTraceparent(first);
    const context = this.#spans.newContext(first.traceId);
    const end = (error: string | null): void =>
      make({ ...this.#spans.below(first, 'commit', frozenMs, this.#spans.clock.monotonic()), context, links, error });
    this.#open = { freeze, end };
    return formatTraceparent(context);
  }

  /** The frozen content is stored. */
  committed(freeze: number): void {
    if (this.#open?.freeze !== freeze) return;
    this.#open.end(null);
    this.#open = null;
  }

  /** What is not answered yet never will be, as far as the task hears. */
  close(): void {
    this.#open?.end('the task ended before it heard that its commit is stored');
    this.#open = null;
  }
}
