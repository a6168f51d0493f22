import type { Random } from '@rocketmq-connect/sdk';
import type { TraceContext } from './index.ts';

/** Of messages, HTTP headers and gRPC metadata alike (W3C Trace Context, https://www.w3.org/TR/trace-context). */
export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';

/** Bytes of a `traceparent`: version, trace id, span id, flags, with hyphens between. */
export const TRACEPARENT_BYTES = 55;
/** A `tracestate` that is longer is not passed on. */
const TRACESTATE_CHARS_MAX = 512;
const SAMPLED = 1;

/** `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01` */
export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-0${sampled ? SAMPLED : 0}`;
}

/** Undefined for what is none: others' mistakes begin a trace anew. Later versions may be longer and are read as the first. */
export function parseTraceparent(text: string | undefined, state = ''): TraceContext | undefined {
  const match = text === undefined ? null : PATTERN.exec(text);
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined) || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const sampled = (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED;
  return { traceId, spanId, sampled, state: isTracestate(state) ? state : '' };
}

/** Random 56 bits or more at the end of the trace id, as level 2 of the specification wants: ratios decide by them. */
export function newTraceId(random: Random): string {
  return digits(random) + digits(random) + digits(random) + digits(random);
}

export function newSpanId(random: Random): string {
  const id = digits(random) + digits(random);
  return id === '0000000000000000' ? '0000000000000001' : id;
}

function digits(random: Random): string {
  return Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0');
}

function isTracestate(text: string): boolean {
  return text.length <= TRACESTATE_CHARS_MAX && /^[\x20-\x7e]*$/.test(text);
}

const PATTERN = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
