import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';
import type { QueueSettings } from '@rocketmq-connect/tracing/settings';

/** What became of spans. `dropped`: they came faster than they could be sent; `failed`: of `error`. */
export type OnSpans = (outcome: 'sent' | 'dropped' | 'failed', count: number, error?: unknown) => void;

/** OpenTelemetry's batches of spans, which say nothing of those that are lost, with an account of them. */
export class CountedSpans implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #spansMax: number;
  readonly #onSpans: OnSpans;
  /** Neither sent nor failed yet. */
  #waiting = 0;

  constructor(exporter: SpanExporter, { delayMs, spansMax, batchMax, timeoutMs }: QueueSettings, onSpans: OnSpans) {
    this.#spansMax = spansMax;
    this.#onSpans = onSpans;
    this.#batches = new BatchSpanProcessor({
      exporter: this.#counted(exporter),
      scheduledDelayMillis: delayMs,
      maxQueueSize: spansMax,
      maxExportBatchSize: Math.min(batchMax, spansMax),
      exportTimeoutMillis: timeoutMs,
    });
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#spansMax) return this.#onSpans('dropped', 1, 'they came faster than they could be sent');
    this.#waiting++;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  #counted(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          this.#waiting -= spans.length;
          if (result.code === EXPORTED) this.#onSpans('sent', spans.length);
          else this.#onSpans('failed', spans.length, result.error ?? 'the exporter gave no reason');
          done(result);
        }),
      shutdown: () => exporter.shutdown(),
    };
  }
}

/** ExportResultCode.SUCCESS */
const EXPORTED = 0;
