import { AsyncLocalStorage } from 'node:async_hooks';
import { type Clock, ConnectError, type Random } from '@rocketmq-connect/sdk';
import {
  type AttributeValue,
  LINKS_MAX,
  noSpan,
  type Span,
  type SpanData,
  type SpanOptions,
  type TraceContext,
  type Tracer,
} from './index.ts';
import { isSampledBelow, type RootSampler, rootSampler, type SamplerSettings } from './sampler.ts';
import { newSpanId, newTraceId } from './trace-context.ts';

export interface ProcessTracerOptions {
  readonly sampler: SamplerSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEnd: (span: SpanData) => void;
}

interface Active {
  readonly context: TraceContext;
  /** Wall clock at monotonic 0. */
  readonly originMs: number;
}

/** Traces the calls of one thread: the active span follows promises and callbacks. */
export class ProcessTracer implements Tracer {
  readonly #options: ProcessTracerOptions;
  readonly #begin: RootSampler;
  readonly #active = new AsyncLocalStorage<Active | undefined>();

  constructor(options: ProcessTracerOptions) {
    this.#options = options;
    this.#begin = rootSampler(options.sampler, options.random);
  }

  active(): TraceContext | undefined {
    return this.#active.getStore()?.context;
  }

  span<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const here = this.#active.getStore();
    const above = options.parent ?? here?.context;
    if (above === undefined && options.onlyBelow === true) return work(noSpan);
    const context = this.#contextBelow(above, options.parent !== undefined);
    // One look at the wall clock per trace: it shows milliseconds, and may be set, so that spans would stick out of those above them.
    const active = { context, originMs: here?.originMs ?? clock.now() - clock.monotonic() };
    if (!context.sampled) return this.#active.run(active, work, noSpan);
    return this.#recorded(name, options, active, above?.spanId ?? '', work);
  }

  #contextBelow(above: TraceContext | undefined, isRemote: boolean): TraceContext {
    const { sampler, random } = this.#options;
    const spanId = newSpanId(random);
    if (above !== undefined) return { ...above, spanId, sampled: isRemote ? isSampledBelow(sampler, above) : above.sampled };
    const traceId = this.#begin();
    // Not sampled, it is still passed on: nobody below begins a trace of their own.
    return { traceId: traceId ?? newTraceId(random), spanId, sampled: traceId !== null, state: '' };
  }

  async #recorded<T>(
    name: string,
    { kind, attributes: given = {}, links = [] }: SpanOptions,
    active: Active,
    parentSpanId: string,
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    const { clock, onEnd } = this.#options;
    const attributes: Record<string, AttributeValue> = { ...given };
    let error: string | null = null;
    const span: Span = {
      set: (key, value) => {
        attributes[key] = value;
      },
      fail: (reason) => {
        error = reason;
      },
    };
    const { context, originMs } = active;
    const startMs = originMs + clock.monotonic();
    try {
      return await this.#active.run(active, work, span);
    } catch (thrown) {
      error ??= describe(thrown, attributes);
      throw thrown;
    } finally {
      const endMs = originMs + clock.monotonic();
      // What sends spans away is no part of the trace.
      this.#active.run(undefined, onEnd, {
        context,
        parentSpanId,
        name,
        kind,
        startMs,
        endMs,
        attributes,
        links: links.slice(0, LINKS_MAX),
        droppedLinks: Math.max(0, links.length - LINKS_MAX),
        error,
      });
    }
  }
}

/** Of errors that are not ours nobody knows what their text holds. */
function describe(error: unknown, attributes: Record<string, AttributeValue>): string {
  const isOurs = error instanceof ConnectError;
  attributes['error.type'] = isOurs ? error.code : error instanceof Error ? error.name : typeof error;
  return isOurs ? error.message : String(attributes['error.type']);
}
