import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type MetricDefinition, metrics, metricsMarkdown } from './catalogue.ts';

describe('the catalogue of metrics', () => {
  const all = Object.entries(metrics as Readonly<Record<string, MetricDefinition>>);

  it('names metrics as OpenMetrics asks: unit last, _total for counters only', () => {
    for (const [name, { kind, unit, labels, help }] of all) {
      const stem = kind === 'counter' ? name.replace(/_total$/, '') : name;
      assert.match(name, kind === 'counter' ? /_total$/ : /^(?!.*_total$)/, name);
      assert.match(name, /^(rocketmq_connect|process)_[a-z0-9_]+$/);
      if (unit !== '') assert.ok(stem.endsWith(`_${unit}`), `${name} ends in its unit, ${unit}`);
      else assert.doesNotMatch(stem, /_(seconds|bytes|records)$/, `${name} declares its unit`);
      for (const label of labels) assert.match(label, /^[a-z_]+$/);
      assert.match(help, /\.$/, `${name} says what it tells`);
    }
  });

  it('has rising buckets for histograms, few enough for a series each', () => {
    for (const [name, { kind, buckets = [] }] of all) {
      assert.equal(buckets.length > 0, kind === 'histogram', name);
      assert.ok(buckets.length <= 16, name);
      assert.deepEqual(
        buckets,
        [...buckets].sort((a, b) => a - b),
      );
    }
  });

  it('is what docs/metrics.md says', () => {
    assert.equal(readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8'), metricsMarkdown());
  });
});
