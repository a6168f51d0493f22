import assert from 'node:assert/strict';
import { seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { batchSampler, isSampledBelow, rootSampler, type SamplerSettings } from './sampler.ts';

const settings = (more: Partial<SamplerSettings>): SamplerSettings => ({ root: 'always', ratio: 1, parentBased: true, ...more });

describe('sampler', () => {
  it('samples the share it was told, and the ids of sampled traces say so to whoever decides by them', () => {
    for (const ratio of [0, 0.01, 0.3, 1]) {
      const at = settings({ root: 'ratio', ratio, parentBased: false });
      const sample = rootSampler(at, seededRandom(7));
      const ids = Array.from({ length: 20_000 }, sample).filter((id) => id !== null);
      assert.ok(Math.abs(ids.length / 20_000 - ratio) < 0.01, `${ids.length} of 20000 at ${ratio}`);
      for (const traceId of ids) {
        assert.match(traceId, /^[0-9a-f]{32}$/);
        assert.ok(isSampledBelow(at, { traceId, spanId: '', sampled: false, state: '' }), traceId);
      }
      assert.equal(new Set(ids).size, ids.length);
    }
  });

  it('a lower ratio elsewhere takes a share of what a higher one has sampled', () => {
    const sample = rootSampler(settings({ root: 'ratio', ratio: 0.5 }), seededRandom(3));
    const ids = Array.from({ length: 20_000 }, sample).filter((id) => id !== null);
    const half = settings({ root: 'ratio', ratio: 0.25, parentBased: false });
    const taken = ids.filter((traceId) => isSampledBelow(half, { traceId, spanId: '', sampled: true, state: '' }));
    assert.ok(Math.abs(taken.length / ids.length - 0.5) < 0.03, `${taken.length} of ${ids.length}`);
  });

  it('parent-based, does as the parent says; else as it would by itself', () => {
    const parent = (sampled: boolean) => ({ traceId: '0'.repeat(31).concat('1'), spanId: '', sampled, state: '' });
    for (const root of ['always', 'never', 'ratio', 'perSecond'] as const) {
      assert.equal(isSampledBelow(settings({ root }), parent(true)), true);
      assert.equal(isSampledBelow(settings({ root }), parent(false)), false);
    }
    assert.equal(isSampledBelow(settings({ root: 'always', parentBased: false }), parent(false)), true);
    assert.equal(isSampledBelow(settings({ root: 'never', parentBased: false }), parent(true)), false);
    assert.equal(isSampledBelow(settings({ root: 'ratio', ratio: 0.5, parentBased: false }), parent(true)), false);
  });

  it('by default, samples one batch a second of a task, and every request', async () => {
    const clock = new VirtualClock();
    const random = seededRandom(1);
    const batch = batchSampler(settings({ root: 'perSecond' }), random, clock);
    const request = rootSampler(settings({ root: 'perSecond' }), random);
    assert.notEqual(batch(), null);
    assert.equal(batch(), null);
    await clock.advance(999);
    assert.equal(batch(), null);
    await clock.advance(1);
    assert.notEqual(batch(), null);
    for (let i = 0; i < 10; i++) assert.notEqual(request(), null);
  });
});
