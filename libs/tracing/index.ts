/** Names a span to others: what a W3C `traceparent` and `tracestate` carry. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** The `tracestate`, passed on as it came; '' for none. */
  readonly state: string;
}

export type AttributeValue = string | number | boolean;

/** A finished span as plain data, so that it can cross threads and processes in batches. Only sampled ones come to be. */
export interface SpanData {
  readonly context: TraceContext;
  /** '' for the first of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** Milliseconds since the epoch, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** Spans of other traces that led to this one, at most `LINKS_MAX`. */
  readonly links: readonly TraceContext[];
  /** Links beyond that number. */
  readonly droppedLinks: number;
  /** Why it failed, without secrets; null: it did not. */
  readonly error: string | null;
}

export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** What OpenTelemetry's span limits are by default. */
export const LINKS_MAX = 128;

/** Makes the spans of control: requests and calls. Adapter: `ProcessTracer`; `noTracer` where nobody traces. */
export interface Tracer {
  /**
   * Does `work` within a span: what it calls is below it. A rejection marks the span as failed. The span is a child of `parent` where
   * that is given, else of the active one; without either it begins a trace, if the sampler wants one.
   */
  span<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T>;
  /** The span that the present code works within, sampled or not. */
  active(): TraceContext | undefined;
}

export interface SpanOptions {
  readonly kind: SpanKind;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Others that it works for. */
  readonly links?: readonly TraceContext[];
  /** As it came from another process. */
  readonly parent?: TraceContext | undefined;
  /** Begins no trace: work that nobody asked for is not traced. */
  readonly onlyBelow?: boolean;
}

/** A span at work. */
export interface Span {
  set(name: string, value: AttributeValue): void;
  /** `reason` must have no secrets. */
  fail(reason: string): void;
}

export const noSpan: Span = { set: () => undefined, fail: () => undefined };

export const noTracer: Tracer = { span: (_name, _options, work) => work(noSpan), active: () => undefined };
