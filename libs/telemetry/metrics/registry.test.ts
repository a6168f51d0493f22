import assert from 'node:assert/strict';
import { parseExposition, seriesValue } from '../../../test/support/exposition.ts';
import { exposition, formatFor } from './exposition.ts';
import { histogram, observe, SECONDS } from './histogram.ts';
import { type LabelsOf, Metrics } from './registry.ts';

describe('the metrics of a process', () => {
  const request = { method: 'GET', route: '/connectors', status: 200 } as const;

  for (const format of ['prometheus', 'openmetrics'] as const) {
    it(`are text that a strict reader of ${format} takes`, () => {
      const metrics = new Metrics();
      metrics.add('rocketmq_connect_rest_requests_total', request, 3);
      metrics.observe('rocketmq_connect_rest_request_duration_seconds', request, 0.003);
      metrics.observe('rocketmq_connect_rest_request_duration_seconds', request, 100);
      metrics.from((emit) => emit('process_resident_memory_bytes', {}, 1e9));
      const families = parseExposition(exposition(metrics.collect(), format), format);
      assert.equal(seriesValue(families, 'rocketmq_connect_rest_requests_total', { route: '/connectors' }), 3);
      assert.equal(seriesValue(families, 'process_resident_memory_bytes'), 1e9);
      const name = 'rocketmq_connect_rest_request_duration_seconds';
      assert.equal(seriesValue(families, `${name}_bucket`, { le: '0.005' }), 1);
      assert.equal(seriesValue(families, `${name}_bucket`, { le: '+Inf' }), 2);
      assert.equal(seriesValue(families, `${name}_sum`), 100.003);
      assert.equal(seriesValue(families, `${name}_count`), 2);
      assert.equal(families.get(name)?.unit, format === 'openmetrics' ? 'seconds' : undefined);
    });
  }

  it('keep any name as it is: quotes, backslashes and line feeds are escaped', () => {
    const metrics = new Metrics();
    const connector = 'a"b\\c\nd{e="f"} 1 \u00e4';
    metrics.from((emit) => emit('rocketmq_connect_connector_state', { connector, type: 'sink', state: 'RUNNING' }, 1));
    const families = parseExposition(exposition(metrics.collect(), 'prometheus'), 'prometheus');
    assert.equal(seriesValue(families, 'rocketmq_connect_connector_state', { connector }), 1);
  });

  it('add up where several tell the same series, and show nothing of a source that is gone', () => {
    const metrics = new Metrics();
    const counts = histogram(SECONDS);
    observe(counts, SECONDS, 1);
    const labels = { operation: 'send' };
    const forget = metrics.from((emit) => emit('rocketmq_connect_message_log_request_duration_seconds', labels, counts));
    metrics.from((emit) => emit('rocketmq_connect_message_log_request_duration_seconds', labels, counts));
    const count = (): number | undefined =>
      seriesValue(
        parseExposition(exposition(metrics.collect(), 'prometheus'), 'prometheus'),
        'rocketmq_connect_message_log_request_duration_seconds_count',
      );
    assert.equal(count(), 2);
    assert.equal(count(), 2, 'collecting changes nothing');
    forget();
    assert.equal(count(), 1);
  });

  it('show the labels of the catalogue only', () => {
    const metrics = new Metrics();
    const labels: LabelsOf<'rocketmq_connect_log_lines_total'> = { level: 'info' };
    metrics.add('rocketmq_connect_log_lines_total', Object.assign({ password: 'hunter2' }, labels));
    assert.doesNotMatch(exposition(metrics.collect(), 'prometheus'), /hunter2/);
  });

  it('put series together that would be without end', () => {
    const metrics = new Metrics();
    for (let i = 0; i < 3_000; i++) metrics.add('rocketmq_connect_rest_requests_total', { ...request, route: `/${i}` });
    const [family] = metrics.collect();
    assert.equal(family?.samples.length, 2_001);
    assert.equal(family?.samples.find(({ labels }) => labels['route'] === 'other')?.value, 1_000);
  });

  it('are OpenMetrics for a scraper that says so', () => {
    assert.equal(formatFor('application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5'), 'openmetrics');
    assert.equal(formatFor('*/*'), 'prometheus');
    assert.equal(formatFor(undefined), 'prometheus');
  });
});
