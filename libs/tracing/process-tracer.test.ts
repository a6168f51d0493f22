import assert from 'node:assert/strict';
import { ConfigError } from '@rocketmq-connect/sdk';
import { seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import type { SpanData } from './index.ts';
import { ProcessTracer } from './process-tracer.ts';
import type { SamplerSettings } from './sampler.ts';

describe('ProcessTracer', () => {
  let clock: VirtualClock;
  let ended: SpanData[];
  beforeEach(() => {
    clock = new VirtualClock();
    ended = [];
  });
  const tracer = (sampler: Partial<SamplerSettings> = {}): ProcessTracer =>
    new ProcessTracer({
      sampler: { root: 'always', ratio: 1, parentBased: true, ...sampler },
      clock,
      random: seededRandom(1),
      onEnd: (span) => ended.push(span),
    });
  const named = (name: string): SpanData => {
    const found = ended.find((span) => span.name === name);
    assert.ok(found, `no span ${name}`);
    return found;
  };

  it('puts what a span calls below it, also after a wait and side by side', async () => {
    const { span } = bound(tracer());
    await span('request', { kind: 'server' }, async () => {
      await Promise.resolve();
      await Promise.all([
        span('a', { kind: 'client' }, async () => clock.advance(5)),
        span('b', { kind: 'client' }, async () => undefined),
      ]);
    });
    const request = named('request');
    assert.equal(request.parentSpanId, '');
    for (const name of ['a', 'b']) {
      assert.equal(named(name).parentSpanId, request.context.spanId);
      assert.equal(named(name).context.traceId, request.context.traceId);
    }
    assert.equal(named('a').endMs - named('a').startMs, 5);
  });

  it("goes on with another process's trace, and does as that decided", async () => {
    const traced = tracer();
    const parent = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true, state: 'v=1' };
    await traced.span('sampled', { kind: 'server', parent }, async () => {
      assert.equal(traced.active()?.state, 'v=1');
    });
    assert.deepEqual([named('sampled').context.traceId, named('sampled').parentSpanId], [parent.traceId, parent.spanId]);
    await traced.span('not sampled', { kind: 'server', parent: { ...parent, sampled: false } }, async () => {
      assert.deepEqual([traced.active()?.traceId, traced.active()?.sampled], [parent.traceId, false]);
      await traced.span('nor below', { kind: 'client' }, async () => undefined);
    });
    assert.equal(ended.length, 1);
  });

  it('ends a span outside of its trace', async () => {
    let active: unknown = 'not asked';
    const traced: ProcessTracer = new ProcessTracer({
      sampler: { root: 'always', ratio: 1, parentBased: true },
      clock,
      random: seededRandom(1),
      onEnd: () => {
        active = traced.active();
      },
    });
    await traced.span('above', { kind: 'server' }, async () => {
      await traced.span('below', { kind: 'client' }, async () => undefined);
      assert.equal(active, undefined);
    });
  });

  it('begins no trace for what only stands below others', async () => {
    const traced = tracer();
    await traced.span('in the background', { kind: 'client', onlyBelow: true }, async () => assert.equal(traced.active(), undefined));
    assert.equal(ended.length, 0);
  });

  it('tells those below of a trace that is not sampled, so that nobody begins one of their own', async () => {
    const traced = tracer({ root: 'never' });
    await traced.span('request', { kind: 'server' }, async () => assert.equal(traced.active()?.sampled, false));
    assert.equal(ended.length, 0);
  });

  it('marks a span as failed, with the text of an error of ours and no more than the name of any other', async () => {
    const traced = tracer();
    const failing = (error: unknown) =>
      assert.rejects(
        traced.span('failing', { kind: 'internal' }, async () => {
          throw error;
        }),
      );
    await failing(new ConfigError('no file', { field: 'file', remedy: 'name one' }));
    await failing(new TypeError('password=hunter2'));
    assert.deepEqual(
      ended.map(({ error, attributes }) => [error, attributes['error.type']]),
      [
        ['no file', 'CONFIG_INVALID'],
        ['TypeError', 'TypeError'],
      ],
    );
  });
});

function bound(tracer: ProcessTracer): Pick<ProcessTracer, 'span'> {
  return { span: tracer.span.bind(tracer) };
}
