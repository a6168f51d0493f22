import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { metricsExportSettings } from './metrics/export-settings.ts';
import { Metrics } from './metrics/registry.ts';
import { openMetricsExport } from './metrics-export.ts';

describe('metrics by OTLP', () => {
  it('are asked for by the standard variables', () => {
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

  it('are what /metrics shows: sums, gauges and histograms with their labels, once per interval and at the end', async () => {
    const bodies: string[] = [];
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      bodies.push(`${request.url} ${body}`);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const variable = 'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT';
    process.env[variable] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/metrics`;
    try {
      const metrics = new Metrics();
      metrics.add('rocketmq_connect_log_lines_total', { level: 'info' }, 2);
      metrics.observe('rocketmq_connect_rest_request_duration_seconds', { method: 'GET', route: '/' }, 0.002);
      metrics.from((emit) => emit('process_resident_memory_bytes', {}, 7));
      const failures: unknown[] = [];
      const settings = { protocol: 'http/json', intervalMs: 1_000, timeoutMs: 3_000 } as const;
      const clock = new VirtualClock();
      const onFailed = (error: unknown): void => void failures.push(error);
      const push = await openMetricsExport({ settings, metrics, resource: { 'service.name': 'x' }, version: '1', clock, onFailed });
      await clock.advance(1_000);
      await push.close();
      assert.deepEqual(failures, []);
      assert.ok(bodies.length >= 1);
      const last = bodies.at(-1) ?? '';
      assert.match(last, /^\/v1\/metrics /);
      const { resourceMetrics } = JSON.parse(last.slice(last.indexOf('{')));
      const sent = resourceMetrics[0].scopeMetrics[0].metrics as { name: string; unit: string; [kind: string]: unknown }[];
      const named = Object.fromEntries(sent.map((metric) => [metric.name, metric]));
      const lines = named['rocketmq_connect_log_lines'] as unknown as {
        sum: { isMonotonic: boolean; dataPoints: { asDouble: number; attributes: { key: string; value: { stringValue: string } }[] }[] };
      };
      assert.equal(lines.sum.isMonotonic, true);
      assert.equal(lines.sum.dataPoints[0]?.asDouble, 2);
      assert.deepEqual(lines.sum.dataPoints[0]?.attributes, [{ key: 'level', value: { stringValue: 'info' } }]);
      assert.equal(named['process_resident_memory_bytes']?.unit, 'By');
      const times = named['rocketmq_connect_rest_request_duration_seconds'] as unknown as {
        histogram: { dataPoints: { count: number; sum: number; bucketCounts: (number | string)[] }[] };
      };
      assert.equal(Number(times.histogram.dataPoints[0]?.count), 1);
      assert.equal(times.histogram.dataPoints[0]?.sum, 0.002);
      assert.equal(Number(times.histogram.dataPoints[0]?.bucketCounts[1]), 1);
    } finally {
      delete process.env[variable];
      server.close();
    }
  });
});
