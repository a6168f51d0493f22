import type { Header } from '@rocketmq-connect/sdk';
import { LINKS_MAX, type TraceContext } from '@rocketmq-connect/tracing';
import { parseTraceparent, TRACEPARENT, TRACESTATE } from '@rocketmq-connect/tracing/trace-context';

/** The sampled contexts that the messages of a batch carry, each once. */
export class TraceLinks {
  #links = new Map<string, TraceContext>();
  #dropped = 0;
  #last = '';

  get any(): boolean {
    return this.#links.size > 0;
  }

  /** Of a message's headers. */
  seeIn(headers: readonly Header[]): void {
    const traceparent = textOf(headers, TRACEPARENT);
    if (traceparent !== undefined) this.see(traceparent, textOf(headers, TRACESTATE));
  }

  see(traceparent: string, state = ''): void {
    if (traceparent === this.#last) return;
    this.#last = traceparent;
    if (this.#links.has(traceparent)) return;
    const context = parseTraceparent(traceparent, state);
    if (context === undefined || !context.sampled) return;
    if (this.#links.size < LINKS_MAX) this.#links.set(traceparent, context);
    else this.#dropped++;
  }

  /** Hands out what was seen and starts anew. */
  take(): { readonly links: readonly TraceContext[]; readonly droppedLinks: number } {
    const taken = { links: [...this.#links.values()], droppedLinks: this.#dropped };
    if (this.#links.size > 0) this.#links = new Map();
    this.#dropped = 0;
    this.#last = '';
    return taken;
  }
}

function textOf(headers: readonly Header[], name: string): string | undefined {
  const value = headers.find((header) => header.name === name)?.value;
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  return typeof value === 'string' ? value : undefined;
}
