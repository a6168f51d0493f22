import assert from 'node:assert/strict';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import type { SpanData } from './index.ts';
import { SpanQueue } from './span-queue.ts';

describe('queue of spans', () => {
  let clock: VirtualClock;
  let delivered: { names: string[]; dropped: number }[];
  beforeEach(() => {
    clock = new VirtualClock();
    delivered = [];
  });
  const queue = (): SpanQueue => {
    const deliver = (spans: readonly SpanData[], dropped: number): void => {
      delivered.push({ names: spans.map(({ name }) => name), dropped });
    };
    return new SpanQueue({ clock, delayMs: 500, spansMax: 3, deliver });
  };
  const add = (to: SpanQueue, ...names: string[]): void => {
    for (const name of names) to.add(span(name));
  };

  it('gives what came within the delay at once', async () => {
    const spans = queue();
    add(spans, 'a');
    await clock.advance(499);
    add(spans, 'b');
    assert.deepEqual(delivered, []);
    await clock.advance(1);
    assert.deepEqual(delivered, [{ names: ['a', 'b'], dropped: 0 }]);
    assert.equal(clock.pendingTimers, 0);
  });

  it('takes no more than its limit in a delay: what comes then is dropped, and counted', async () => {
    const spans = queue();
    add(spans, 'a', 'b', 'c', 'd', 'e');
    await clock.advance(500);
    add(spans, 'f');
    await clock.advance(500);
    assert.deepEqual(delivered, [
      { names: ['a', 'b', 'c'], dropped: 2 },
      { names: ['f'], dropped: 0 },
    ]);
  });

  it('gives everything at once to whoever cannot wait, and nothing twice', async () => {
    const spans = queue();
    add(spans, 'a', 'b');
    spans.drain();
    spans.drain();
    await clock.advance(5_000);
    assert.deepEqual(delivered, [{ names: ['a', 'b'], dropped: 0 }]);
    assert.equal(clock.pendingTimers, 0);
  });
});

function span(name: string): SpanData {
  const context = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), sampled: true, state: '' };
  return {
    context,
    parentSpanId: '',
    name,
    kind: 'internal',
    startMs: 0,
    endMs: 0,
    attributes: {},
    links: [],
    droppedLinks: 0,
    error: null,
  };
}
