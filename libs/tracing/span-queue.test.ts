import assert from 'node:assert/strict';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import type { SpanData } from './index.ts';
import { SpanQueue, type SpanQueueOptions } from './span-queue.ts';

describe('queue of spans', () => {
  let clock: VirtualClock;
  let delivered: { names: string[]; dropped: number }[];
  beforeEach(() => {
    clock = new VirtualClock();
    delivered = [];
  });
  const queue = (more: Partial<SpanQueueOptions> = {}): SpanQueue => {
    const deliver = (spans: readonly SpanData[], dropped: number): void => {
      delivered.push({ names: spans.map(({ name }) => name), dropped });
    };
    return new SpanQueue({ clock, delayMs: 500, spansMax: 10, batchMax: 4, deliver, ...more });
  };
  const add = (to: SpanQueue, ...names: string[]): void => {
    for (const name of names) to.add(span(name));
  };

  it('gives a batch when it is full, and the rest after the delay', async () => {
    const spans = queue();
    add(spans, 'a', 'b', 'c', 'd', 'e');
    assert.deepEqual(delivered, [{ names: ['a', 'b', 'c', 'd'], dropped: 0 }]);
    await clock.advance(500);
    assert.deepEqual(delivered[1], { names: ['e'], dropped: 0 });
    assert.equal(clock.pendingTimers, 0);
  });

  it('holds no more than its limit while a delivery takes its time: what comes then is dropped, and counted with the next', async () => {
    const ends: (() => void)[] = [];
    const deliver = (spans: readonly SpanData[], dropped: number): Promise<void> => {
      delivered.push({ names: spans.map(({ name }) => name), dropped });
      return new Promise((resolve) => ends.push(resolve));
    };
    const spans = queue({ deliver });
    for (let i = 0; i < 20; i++) add(spans, String(i));
    spans.addDropped(3);
    assert.equal(delivered.length, 1);
    ends.shift()?.();
    await clock.advance(0);
    assert.deepEqual(delivered[1], { names: ['4', '5', '6', '7'], dropped: 6 + 3 });
    ends.shift()?.();
    await clock.advance(0);
    assert.deepEqual(delivered[2]?.names, ['8', '9', '10', '11']);
  });

  it('gives everything at once to whoever cannot wait, and nothing twice', async () => {
    const deliver = (spans: readonly SpanData[], dropped: number): Promise<void> => {
      delivered.push({ names: spans.map(({ name }) => name), dropped });
      return new Promise((resolve) => clock.after(500, resolve));
    };
    const spans = queue({ deliver });
    add(spans, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i');
    spans.addDropped(2);
    spans.drain();
    await clock.advance(5_000);
    assert.deepEqual(delivered, [
      { names: ['a', 'b', 'c', 'd'], dropped: 0 },
      { names: ['e', 'f', 'g', 'h'], dropped: 2 },
      { names: ['i'], dropped: 0 },
    ]);
    assert.equal(clock.pendingTimers, 0);
  });

  it('flushes everything, one delivery after the other', async () => {
    let atOnce = 0;
    let most = 0;
    const deliver = async (spans: readonly SpanData[]): Promise<void> => {
      most = Math.max(most, ++atOnce);
      await Promise.resolve();
      delivered.push({ names: spans.map(({ name }) => name), dropped: 0 });
      atOnce--;
    };
    const spans = queue({ deliver });
    add(spans, 'a', 'b', 'c', 'd', 'e', 'f');
    await spans.flush();
    assert.deepEqual(
      delivered.flatMap(({ names }) => names),
      ['a', 'b', 'c', 'd', 'e', 'f'],
    );
    assert.equal(most, 1);
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
