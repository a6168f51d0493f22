import assert from 'node:assert/strict';
import { CompactedError, type KeyRange, type Operation, prefixRange } from '@rocketmq-connect/metadata-store';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import fc from 'fast-check';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { PrefixCache } from './prefix-cache.ts';

const range: KeyRange = prefixRange('/p/');

function setUp() {
  const clock = new VirtualClock();
  const server = new SimulatedStore(clock);
  const client = server.client('reader');
  const setBacks: string[] = [];
  const troubles: Error[] = [];
  const cache = new PrefixCache({
    store: client,
    range,
    clock,
    onSetBack: (error) => setBacks.push(error.message),
    onTrouble: (error) => troubles.push(error),
  });
  const write = (...then: Operation[]) => server.txn({ compare: [], then });
  const put = (name: string, value: string) => write({ op: 'put', key: `/p/${name}`, value });
  const shown = () => Object.fromEntries([...cache.entries()].map(([key, kv]) => [key.slice(3), kv.value]));
  return { clock, server, client, cache, setBacks, troubles, write, put, shown };
}

describe('the prefix cache', () => {
  it('lists, then follows puts and deletes of its range', async () => {
    const { clock, cache, put, write, shown, server } = setUp();
    put('a', '1');
    const changes: string[][] = [];
    cache.onChange((changed) => changes.push([...changed]));
    cache.start();
    await clock.resolve(cache.synced);
    put('b', '2');
    write({ op: 'put', key: '/other', value: '' });
    write({ op: 'delete', key: '/p/a' });
    await clock.advance(0);
    assert.deepEqual(shown(), { b: '2' });
    assert.equal(cache.revision, server.revision);
    assert.deepEqual(changes.flat(), ['/p/a', '/p/b', '/p/a']);
    cache.stop();
    assert.equal(clock.pendingTimers, 0);
  });

  it('shows a transaction whole', async () => {
    const { clock, cache, write } = setUp();
    cache.start();
    await clock.resolve(cache.synced);
    const sizes: number[] = [];
    cache.onChange(() => sizes.push(cache.entries().size));
    write({ op: 'put', key: '/p/a', value: '' }, { op: 'put', key: '/p/b', value: '' });
    await clock.advance(0);
    assert.deepEqual(sizes, [2]);
    cache.stop();
  });

  it('starts when the store comes back, however long that takes', async () => {
    const { clock, cache, put, shown, client, troubles } = setUp();
    put('a', '1');
    client.partition();
    cache.start();
    await clock.advance(60_000);
    assert.ok(troubles.length > 3 && troubles.length < 20, `${troubles.length} tries`);
    client.heal();
    await clock.resolve(cache.synced, 10_000);
    assert.deepEqual(shown(), { a: '1' });
    cache.stop();
  });

  it('resyncs when its watch is cut, and misses nothing of the time between', async () => {
    const { clock, cache, put, write, shown, client } = setUp();
    put('a', '1');
    cache.start();
    await clock.resolve(cache.synced);
    client.cutWatches();
    write({ op: 'delete', key: '/p/a' });
    put('b', '2');
    await clock.advance(200);
    assert.deepEqual(shown(), { b: '2' });
    put('b', '3');
    await clock.advance(0);
    assert.deepEqual(shown(), { b: '3' });
    cache.stop();
  });

  it('resyncs after compaction without waiting', async () => {
    const { clock, cache, put, shown, client, server, troubles } = setUp();
    cache.start();
    await clock.resolve(cache.synced);
    // Between a list that makes it watch anew and that watch, everything is compacted away.
    client.deafenWatches();
    put('a', '0');
    client.failNext({ answerDelayMs: 50 }, 'range');
    await clock.advance(30_020);
    put('a', '1');
    server.compact();
    await clock.advance(30);
    assert.ok(troubles[0] instanceof CompactedError);
    assert.deepEqual(shown(), { a: '1' });
    put('b', '2');
    await clock.advance(0);
    assert.deepEqual(shown(), { a: '1', b: '2' });
    cache.stop();
  });

  it('finds a deaf watch by listing, and opens another', async () => {
    const { clock, cache, put, shown, client, troubles } = setUp();
    cache.start();
    await clock.resolve(cache.synced);
    client.deafenWatches();
    put('a', '1');
    await clock.advance(29_000);
    assert.deepEqual(shown(), {}, 'a deaf watch says nothing');
    await clock.advance(1_000);
    assert.deepEqual(shown(), { a: '1' });
    put('b', '2');
    await clock.advance(0);
    assert.deepEqual(shown(), { a: '1', b: '2' });
    assert.deepEqual(troubles, []);
    cache.stop();
  });

  it('does not show again what a list has overtaken when the watch tells it late', async () => {
    const { clock, cache, put, write, client } = setUp();
    cache.start();
    await clock.resolve(cache.synced);
    client.watchDelayMs = 1_000;
    await clock.advance(29_900);
    put('a', 'made and deleted before the list');
    await clock.advance(50);
    write({ op: 'delete', key: '/p/a' });
    let shownAgain = false;
    cache.onChange(() => {
      shownAgain = true;
    });
    await clock.advance(5_000);
    assert.equal(shownAgain, false);
    cache.stop();
  });

  it('is not set back by a list that the watch has overtaken', async () => {
    const { clock, cache, put, shown, client, setBacks } = setUp();
    put('a', '1');
    cache.start();
    await clock.resolve(cache.synced);
    const seen: string[] = [];
    cache.onChange(() => seen.push(shown()['a'] ?? ''));
    client.failNext({ answerDelayMs: 500 }, 'range');
    await clock.advance(30_100);
    put('a', '2');
    await clock.advance(1_000);
    assert.deepEqual(seen, ['2']);
    assert.deepEqual(setBacks, []);
    cache.stop();
  });

  it('reports a store that was set back, once, and stops (S150)', async () => {
    const { clock, cache, put, server, setBacks } = setUp();
    put('a', '1');
    const backup = server.backup();
    put('a', '2');
    cache.start();
    await clock.resolve(cache.synced);
    server.restore(backup);
    await clock.advance(120_000);
    assert.deepEqual(setBacks, ['the metadata store answers revision 2 after it had answered 3: it was set back']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('goes on when a listener throws', async () => {
    const { clock, cache, put, shown, troubles } = setUp();
    cache.start();
    await clock.resolve(cache.synced);
    let called = 0;
    cache.onChange(() => {
      throw new Error('a mistake');
    });
    cache.onChange(() => called++);
    put('a', '1');
    await clock.advance(0);
    put('a', '2');
    await clock.advance(0);
    assert.deepEqual(shown(), { a: '2' });
    assert.equal(called, 2);
    assert.equal(troubles.length, 2);
    cache.stop();
  });

  it('may be stopped and started again', async () => {
    const { clock, cache, put, shown } = setUp();
    cache.start();
    await clock.resolve(cache.synced);
    cache.stop();
    put('a', '1');
    await clock.advance(60_000);
    assert.deepEqual(shown(), {});
    cache.start();
    await clock.advance(0);
    assert.deepEqual(shown(), { a: '1' });
    cache.stop();
  });

  it('ends equal to the store, whatever happens to its connection; no change goes by unannounced', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ do: fc.constant('put' as const), name: fc.constantFrom('a', 'b', 'c'), value: fc.string({ maxLength: 3 }) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), name: fc.constantFrom('a', 'b', 'c') }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 50, 1_000, 30_000) }) },
      fc.record({
        do: fc.constantFrom('cut' as const, 'deaf' as const, 'compact' as const, 'partition' as const, 'heal' as const),
        ms: fc.constant(0),
      }),
      fc.record({ do: fc.constant('slowList' as const), ms: fc.constantFrom(1, 100, 1_500) }),
      fc.record({ do: fc.constant('slowWatch' as const), ms: fc.constantFrom(0, 10, 1_500) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { clock, cache, put, write, server, client, setBacks } = setUp();
        const told = new Map<string, string>();
        cache.onChange((changed) => {
          for (const key of changed) {
            const kv = cache.entries().get(key);
            if (kv === undefined) told.delete(key);
            else told.set(key, kv.value);
          }
        });
        let last = 0n;
        const monotone = (): void => {
          assert.ok(cache.revision >= last);
          last = cache.revision;
        };
        cache.onChange(monotone);
        cache.start();
        for (const each of steps) {
          if (each.do === 'put') put(each.name, each.value);
          else if (each.do === 'delete') write({ op: 'delete', key: `/p/${each.name}` });
          else if (each.do === 'wait') await clock.advance(each.ms);
          else if (each.do === 'cut') client.cutWatches();
          else if (each.do === 'deaf') client.deafenWatches();
          else if (each.do === 'compact') server.compact();
          else if (each.do === 'partition') client.partition();
          else if (each.do === 'heal') client.heal();
          else if (each.do === 'slowList') client.failNext({ delayMs: each.ms, answerDelayMs: each.ms }, 'range');
          else client.watchDelayMs = each.ms;
        }
        client.heal();
        await clock.advance(120_000);
        const stored = server.peek(range).map((kv) => [kv.key, kv.value]);
        assert.deepEqual([...cache.entries().values()].map((kv) => [kv.key, kv.value]).sort(), stored);
        assert.deepEqual([...told].sort(), stored);
        assert.deepEqual(setBacks, []);
        cache.stop();
      }),
      { numRuns: 100 },
    );
  });
});
