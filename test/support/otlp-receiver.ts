import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { fieldsOf, type ProtoFields } from './protobuf-fields.ts';

/** A span as it came over the wire, decoded by the field numbers of opentelemetry/proto/trace/v1/trace.proto. */
export interface ReceivedSpan {
  readonly service: string;
  readonly instance: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
}

/** Takes OTLP over HTTP in protobuf (`/v1/traces`), as a collector does. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  readonly #server = createServer((request, response) => {
    this.#take(request).then(
      () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(),
      (error: Error) => {
        this.faults.push(error);
        response.writeHead(400).end();
      },
    );
  });
  /** Requests that are no OTLP. */
  readonly faults: Error[] = [];

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** The spans of a trace whose parent is this one. */
  below({ traceId, spanId }: ReceivedSpan): ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId && span.parentSpanId === spanId);
  }

  async #take(request: IncomingMessage): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    // A process that is told where traces go sends its metrics there, too.
    if (request.url === '/v1/metrics') return;
    if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/x-protobuf') {
      throw new Error(`${request.url} of type ${request.headers['content-type']}`);
    }
    const body = Buffer.concat(chunks);
    this.spans.push(...decodeTraces(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body));
  }
}

/** An ExportTraceServiceRequest. */
function decodeTraces(body: Buffer): ReceivedSpan[] {
  return fieldsOf(body)
    .messages(1)
    .flatMap((resourceSpans) => {
      const resource = attributesOf(resourceSpans.messages(1)[0], 1);
      const about = { service: String(resource['service.name']), instance: String(resource['service.instance.id']) };
      return resourceSpans.messages(2).flatMap((scope) => scope.messages(2).map((span) => ({ ...about, ...spanOf(span) })));
    });
}

function spanOf(span: ProtoFields): Omit<ReceivedSpan, 'service' | 'instance'> {
  return {
    traceId: span.hex(1),
    spanId: span.hex(2),
    parentSpanId: span.hex(4),
    name: span.text(5),
    kind: Number(span.number(6)),
    startNanos: span.number(7),
    endNanos: span.number(8),
    attributes: attributesOf(span, 9),
    links: span.messages(13).map((link) => ({ traceId: link.hex(1), spanId: link.hex(2) })),
    failed: span.messages(15)[0]?.number(3) === 2n,
  };
}

function attributesOf(of: ProtoFields | undefined, field: number): Record<string, unknown> {
  return Object.fromEntries((of?.messages(field) ?? []).map((pair) => [pair.text(1), anyValue(pair.messages(2)[0])]));
}

/** An AnyValue of the kinds that we send. */
function anyValue(value: ProtoFields | undefined): unknown {
  if (value === undefined) return undefined;
  if (value.has(1)) return value.text(1);
  if (value.has(2)) return value.number(2) !== 0n;
  if (value.has(3)) return Number(value.number(3));
  return value.has(4) ? value.double(4) : undefined;
}
