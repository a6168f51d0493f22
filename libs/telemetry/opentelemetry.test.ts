import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { context, metrics as globalMetrics, trace } from '@opentelemetry/api';
import type { SpanData } from '@rocketmq-connect/tracing';
import { tracingSettings } from '@rocketmq-connect/tracing/settings';
import { until } from '../../test/support/until.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { metricsExportSettings } from './metrics/export-settings.ts';
import { Metrics } from './metrics/registry.ts';
import { type OpenTelemetry, openTelemetry } from './opentelemetry.ts';

describe('OpenTelemetry', () => {
  let server: Server;
  let url: string;
  let bodies: { path: string; json: unknown }[];
  let status: number;
  let metrics: Metrics;
  let done: string[];
  let failures: unknown[];
  const before = { ...process.env };

  beforeEach(async () => {
    bodies = [];
    done = [];
    failures = [];
    status = 202;
    metrics = new Metrics();
    server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      bodies.push({ path: request.url ?? '', json: JSON.parse(text) });
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    process.env = { ...before };
    // A process starts it once, and the next test again.
    for (const api of [trace, globalMetrics, context]) api.disable();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  /** With these variables of the environment, which its exporters read themselves. */
  const opened = (env: Readonly<Record<string, string>>): Promise<OpenTelemetry> => {
    Object.assign(process.env, env);
    return openTelemetry({
      tracing: tracingSettings(env),
      metricsExport: metricsExportSettings(env),
      metrics,
      resource: { 'service.name': 'test', 'service.namespace': 'cluster' },
      version: '1',
      clock: new VirtualClock(),
      onSpans: (outcome, count) => done.push(`${outcome} ${count}`),
      onMetricsFailed: (error) => failures.push(error),
    });
  };
  const zipkin = () => ({ OTEL_TRACES_EXPORTER: 'zipkin', OTEL_EXPORTER_ZIPKIN_ENDPOINT: `${url}/api/v2/spans` });
  const otlp = () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
  const onlySpans = () => ({ ...otlp(), OTEL_METRICS_EXPORTER: 'none' });
  const received = <T>(path: string): T => {
    const body = bodies.findLast((each) => each.path === path);
    assert.ok(body, `nothing came at ${path}`);
    return body.json as T;
  };

  it('gets spans in whole microseconds for Zipkin, which refuses fractions', async () => {
    const { add, close } = await opened(zipkin());
    add(span);
    await close();
    assert.deepEqual(done, ['sent 1']);
    const [got] = received<{ timestamp: number; duration: number; kind: string; parentId: string }[]>('/api/v2/spans');
    assert.deepEqual(
      [got?.timestamp, got?.duration, got?.kind, got?.parentId],
      [1_893_456_000_000_124, 1_333, 'PRODUCER', '3333333333333333'],
    );
  });

  it('gets spans with the ids that they have, their kind, links, attributes and error', async () => {
    const { add, close } = await opened(onlySpans());
    add(span);
    await close();
    const { resourceSpans } = received<{ resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[] }>('/v1/traces');
    const [got] = resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
    assert.deepEqual(
      [got?.['traceId'], got?.['spanId'], got?.['parentSpanId'], got?.['kind'], got?.['status']],
      ['1'.repeat(32), '2'.repeat(16), '3'.repeat(16), 4, { code: 2, message: 'no such table' }],
    );
    const [link] = (got?.['links'] ?? []) as Record<string, unknown>[];
    assert.deepEqual([link?.['traceId'], link?.['spanId'], link?.['traceState']], ['4'.repeat(32), '5'.repeat(16), 'k=v']);
    assert.deepEqual(got?.['attributes'], [
      { key: 'rmqc.records', value: { intValue: 7 } },
      { key: 'rmqc.dropped_links', value: { intValue: 5 } },
    ]);
  });

  it('gives the first span of a trace no parent, and spans of others ids of their own', async () => {
    const { add, close } = await opened(onlySpans());
    add({ ...span, parentSpanId: '' });
    trace.getTracer('of others').startSpan('theirs').end();
    await close();
    const { resourceSpans } = received<{ resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[] }>('/v1/traces');
    const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((each) => each.spans));
    const [ours, theirs] = ['source batch', 'theirs'].map((name) => spans.find((each) => each['name'] === name));
    assert.deepEqual([ours?.['traceId'], ours?.['spanId'], ours?.['parentSpanId']], ['1'.repeat(32), '2'.repeat(16), undefined]);
    assert.match(String(theirs?.['traceId']), /^(?!1{32})[0-9a-f]{32}$/);
  });

  it('knows the process by what it says of itself, and by what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say instead', async () => {
    const { add, close } = await opened({ ...onlySpans(), OTEL_SERVICE_NAME: 'mine', OTEL_RESOURCE_ATTRIBUTES: 'zone=a' });
    add(span);
    await close();
    const { resourceSpans } = received<{ resourceSpans: { resource: { attributes: { key: string; value: unknown }[] } }[] }>('/v1/traces');
    const attributes = new Map(resourceSpans[0]?.resource.attributes.map(({ key, value }) => [key, Object.values(value as object)[0]]));
    assert.deepEqual(
      ['service.name', 'service.namespace', 'zone', 'telemetry.sdk.name', 'process.command_args'].map((key) => attributes.get(key)),
      ['mine', 'cluster', 'a', 'opentelemetry', undefined],
    );
  });

  it('counts spans that a backend refuses as failed, and those that come faster than they go as dropped', async () => {
    status = 400;
    const { add, close } = await opened({ ...zipkin(), OTEL_BSP_MAX_QUEUE_SIZE: '2' });
    for (let i = 0; i < 5; i++) add(span);
    await close().catch(() => undefined);
    assert.deepEqual(done, ['dropped 1', 'dropped 1', 'dropped 1', 'failed 2']);
  });

  it('is asked for metrics by the standard variables', () => {
    assert.equal(metricsExportSettings({}), null);
    assert.equal(metricsExportSettings({ OTEL_METRICS_EXPORTER: 'prometheus' }), null);
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
    assert.deepEqual(metricsExportSettings(endpoint), { protocol: 'http/protobuf', intervalMs: 60_000, timeoutMs: 3_000 });
    assert.equal(metricsExportSettings({ ...endpoint, OTEL_METRICS_EXPORTER: 'none' }), null);
    assert.equal(metricsExportSettings({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), null);
    const more = { OTEL_METRICS_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc', OTEL_METRIC_EXPORT_INTERVAL: '500' };
    assert.deepEqual(metricsExportSettings(more), { protocol: 'grpc', intervalMs: 500, timeoutMs: 3_000 });
    assert.throws(() => metricsExportSettings({ OTEL_METRICS_EXPORTER: 'carbon' }), { kind: 'config', field: 'OTEL_METRICS_EXPORTER' });
  });

  it('gets what /metrics shows: sums, gauges and histograms with their labels, once per interval and at the end', async () => {
    metrics.add('rocketmq_connect_log_lines_total', { level: 'info' }, 2);
    metrics.observe('rocketmq_connect_rest_request_duration_seconds', { method: 'GET', route: '/' }, 0.002);
    metrics.from((emit) => emit('process_resident_memory_bytes', {}, 7));
    const { close } = await opened({ ...otlp(), OTEL_TRACES_EXPORTER: 'none', OTEL_METRIC_EXPORT_INTERVAL: '100' });
    await until(() => bodies.length > 0);
    metrics.add('rocketmq_connect_log_lines_total', { level: 'info' }, 1);
    await close();
    assert.deepEqual(failures, []);
    const { resourceMetrics } = received<{ resourceMetrics: { scopeMetrics: { metrics: Sent[] }[] }[] }>('/v1/metrics');
    const named = new Map(resourceMetrics[0]?.scopeMetrics[0]?.metrics.map((metric) => [metric.name, metric]));
    const { sum } = named.get('rocketmq_connect_log_lines') ?? {};
    assert.equal(sum?.isMonotonic, true);
    assert.equal(sum.dataPoints[0]?.asDouble, 3);
    assert.deepEqual(sum.dataPoints[0]?.attributes, [{ key: 'level', value: { stringValue: 'info' } }]);
    assert.equal(named.get('process_resident_memory_bytes')?.unit, 'By');
    const [times] = named.get('rocketmq_connect_rest_request_duration_seconds')?.histogram?.dataPoints ?? [];
    assert.deepEqual([Number(times?.count), times?.sum, Number(times?.bucketCounts[1])], [1, 0.002, 1]);
  });

  it('says why metrics cannot be sent', async () => {
    status = 400;
    const { close } = await opened({ ...otlp(), OTEL_TRACES_EXPORTER: 'none' });
    await close().catch(() => undefined);
    assert.equal(failures.length, 1);
  });
});

interface Sent {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { isMonotonic: boolean; dataPoints: { asDouble: number; attributes: unknown }[] };
  readonly histogram?: { dataPoints: { count: number; sum: number; bucketCounts: (number | string)[] }[] };
}

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
