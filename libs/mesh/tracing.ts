import type { Metadata } from '@grpc/grpc-js';
import type { AttributeValue, TraceContext } from '@rocketmq-connect/tracing';
import { formatTraceparent, parseTraceparent, TRACEPARENT, TRACESTATE } from '@rocketmq-connect/tracing/trace-context';
import type { AnyMethod, ServiceDefinition } from './index.ts';

/** Attributes of a call's spans, as OpenTelemetry's semantic conventions name them. */
export function callAttributes({ fullName }: ServiceDefinition, { name }: AnyMethod): Readonly<Record<string, AttributeValue>> {
  return { 'rpc.system': 'grpc', 'rpc.service': fullName, 'rpc.method': name };
}

/** Streams live as long as their peers, and health and reflection are asked by machines: they have no spans. */
export function isTraced({ fullName }: ServiceDefinition, { requestStream, responseStream }: AnyMethod): boolean {
  return !requestStream && !responseStream && !fullName.startsWith('grpc.');
}

/** Tells the peer which span calls it. */
export function setTrace(metadata: Metadata, span: TraceContext | undefined): void {
  if (span === undefined) return;
  metadata.set(TRACEPARENT, formatTraceparent(span));
  if (span.state !== '') metadata.set(TRACESTATE, span.state);
}

/** The span that calls, as the peer told it. */
export function traceOf(metadata: Metadata): TraceContext | undefined {
  return parseTraceparent(text(metadata, TRACEPARENT), text(metadata, TRACESTATE));
}

function text(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === 'string' ? value : undefined;
}
