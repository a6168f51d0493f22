import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SpanData } from '@rocketmq-connect/tracing';
import { type TracingSettings, tracingSettings } from '@rocketmq-connect/tracing/settings';
import { VirtualClock } from '../../test/support/virtual-clock.ts';

describe('spans on their way to a backend', () => {
  let server: Server;
  let bodies: { path: string; json: unknown }[];
  let status: number;
  const variables = ['OTEL_EXPORTER_ZIPKIN_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];

  beforeEach(async () => {
    bodies = [];
    status = 202;
    server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      bodies.push({ path: request.url ?? '', json: JSON.parse(text) });
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    process.env['OTEL_EXPORTER_ZIPKIN_ENDPOINT'] = `${url}/api/v2/spans`;
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = url;
  });
  afterEach(async () => {
    for (const name of variables) delete process.env[name];
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const sent = async (env: Readonly<Record<string, string>>) => {
    const { openSpanExport } = await import('./span-export.ts');
    const done: string[] = [];
    const queue = await openSpanExport({
      settings: tracingSettings(env) as TracingSettings,
      resource: { 'service.name': 'test' },
      version: '1',
      clock: new VirtualClock(),
      onDone: (outcome, count) => done.push(`${outcome} ${count}`),
    });
    queue.add(span);
    queue.addDropped(3);
    await queue.flush();
    return done;
  };

  it('are in whole microseconds for Zipkin, which refuses fractions', async () => {
    assert.deepEqual(await sent({ OTEL_TRACES_EXPORTER: 'zipkin' }), ['dropped 3', 'sent 1']);
    assert.equal(bodies[0]?.path, '/api/v2/spans');
    const [got] = (bodies[0]?.json ?? []) as { timestamp: number; duration: number; tags: unknown; kind: string; parentId: string }[];
    assert.deepEqual(
      [got?.timestamp, got?.duration, got?.kind, got?.parentId],
      [1_893_456_000_000_124, 1_334, 'PRODUCER', '3333333333333333'],
    );
  });

  it('have kind, links, attributes and the error in OTLP', async () => {
    await sent({ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
    assert.equal(bodies[0]?.path, '/v1/traces');
    const { resourceSpans } = (bodies[0]?.json ?? {}) as { resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[] };
    const [got] = resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
    assert.deepEqual(
      [got?.['traceId'], got?.['spanId'], got?.['parentSpanId'], got?.['kind'], got?.['droppedLinksCount'], got?.['status']],
      ['1'.repeat(32), '2'.repeat(16), '3'.repeat(16), 4, 5, { code: 2, message: 'no such table' }],
    );
    const [link] = (got?.['links'] ?? []) as Record<string, unknown>[];
    assert.deepEqual([link?.['traceId'], link?.['spanId'], link?.['traceState']], ['4'.repeat(32), '5'.repeat(16), 'k=v']);
    assert.deepEqual(got?.['attributes'], [{ key: 'rmqc.records', value: { intValue: 7 } }]);
  });

  it('are counted as failed where the backend refuses them', async () => {
    status = 400;
    assert.deepEqual(await sent({ OTEL_TRACES_EXPORTER: 'zipkin' }), ['dropped 3', 'failed 1']);
  });
});

const NEW_YEAR_MS = 1_893_456_000_000;

const span: SpanData = {
  context: { traceId: '1'.repeat(32), spanId: '2'.repeat(16), sampled: true, state: '' },
  parentSpanId: '3'.repeat(16),
  name: 'source batch',
  kind: 'producer',
  startMs: NEW_YEAR_MS + 0.1236,
  endMs: NEW_YEAR_MS + 1.4572,
  attributes: { 'rmqc.records': 7 },
  links: [{ traceId: '4'.repeat(32), spanId: '5'.repeat(16), sampled: true, state: 'k=v' }],
  droppedLinks: 5,
  error: 'no such table',
};
