import assert from 'node:assert/strict';
import { defineSource, type SourceBatch, type SourceRecord, Type } from '@rocketmq-connect/sdk';
import { HostWorld } from '../../../test/support/host-world.ts';

/** A source whose records the test gives, and which waits when there are none. */
class Script {
  readonly batches: (SourceBatch | Error)[] = [];
  readonly committed: unknown[] = [];
  polls = 0;
  stops = 0;
  starts = 0;

  readonly definition = defineSource({
    name: 'Script',
    version: '1',
    config: Type.Object({}),
    deterministic: true,
    task: (_config, context) => ({
      start: () => void this.starts++,
      poll: async () => {
        this.polls++;
        const next = this.batches.shift();
        if (next instanceof Error) throw next;
        if (next !== undefined) return next;
        await context.sleep(50);
        return null;
      },
      committed: (checkpoint) => void this.committed.push(checkpoint),
      stop: () => void this.stops++,
    }),
  });
}

const P = { file: 'a' };

function lines(from: number, to: number, partition = P, more: Partial<SourceRecord> = {}): SourceRecord[] {
  return Array.from({ length: to - from }, (_, i) => ({
    topic: 't',
    value: `line ${from + i}`,
    partition,
    offset: { position: from + i + 1 },
    ...more,
  }));
}

const config = { 'connector.class': 'Script' };

describe('source loop', () => {
  it('sends what is polled, in order, and commits offsets and checkpoints', async () => {
    const script = new Script();
    const world = new HostWorld([script.definition]);
    script.batches.push({ records: lines(0, 10), checkpoint: 'first' }, { records: lines(10, 20), checkpoint: 'second' });
    world.start(config);
    await world.clock.until(() => world.bodies('t').length === 20);
    assert.deepEqual(
      world.bodies('t'),
      lines(0, 20).map(({ value }) => value),
    );
    await world.committed();
    assert.deepEqual([...world.offsets], [['{"file":"a"}', '{"position":20}']]);
    assert.deepEqual(script.committed, ['second']);
    await world.stop();
    assert.equal(script.stops, 1);
    assert.equal(world.clock.pendingTimers, 0);
  });
});
