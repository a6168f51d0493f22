import assert from 'node:assert/strict';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { clusterKeys } from './keys.ts';
import { PrefixCache } from './prefix-cache.ts';
import { registerService, serviceEndpoints } from './registration.ts';

const keys = clusterKeys('test');

async function setUp() {
  const clock = new VirtualClock();
  const server = new SimulatedStore(clock);
  const cache = new PrefixCache({ store: server.client('reader'), range: keys.servicesOf('config'), clock, onSetBack: assert.fail });
  cache.start();
  await clock.resolve(cache.synced);
  const register = (id: string, endpoint = `${id}:9083`, onTrouble?: (error: Error) => void) =>
    registerService({
      store: server.client(endpoint),
      keys,
      clock,
      kind: 'config',
      id,
      endpoint,
      version: '1',
      ttlMs: 6_000,
      ...(onTrouble === undefined ? {} : { onTrouble }),
    });
  return { clock, server, cache, register };
}

describe('the registration of services', () => {
  it('is found by others while the service lives, and taken back when it stops', async () => {
    const { clock, cache, register } = await setUp();
    const [b, a] = [register('b'), register('a')];
    await clock.resolve(Promise.all([a.registered, b.registered]));
    await clock.advance(30_000);
    assert.deepEqual(serviceEndpoints(cache), ['a:9083', 'b:9083']);
    await b.stop();
    await clock.advance(0);
    assert.deepEqual(serviceEndpoints(cache), ['a:9083']);
    await a.stop();
    cache.stop();
    await clock.advance(10_000);
    assert.equal(clock.pendingTimers, 0);
  });

  it('vanishes when the service dies, and comes back by itself when its lease was lost', async () => {
    const { clock, server, cache, register } = await setUp();
    const service = register('a');
    await clock.resolve(service.registered);
    server.client('a:9083').partition();
    await clock.advance(8_000);
    assert.deepEqual(serviceEndpoints(cache), []);
    server.client('a:9083').heal();
    await clock.advance(5_000);
    assert.deepEqual(serviceEndpoints(cache), ['a:9083']);
    await service.stop();
    cache.stop();
  });

  for (const outcome of ['unavailable', 'unknownApplied', 'unknownNotApplied', 'unknownAppliedLater'] as const) {
    it(`registers although the first attempt failed: ${outcome}`, async () => {
      const { clock, server, cache, register } = await setUp();
      server.client('a:9083').failNext({ outcome }, 'txn');
      const service = register('a');
      await clock.resolve(service.registered);
      await clock.advance(30_000);
      assert.deepEqual(serviceEndpoints(cache), ['a:9083']);
      await service.stop();
      await clock.advance(0);
      assert.deepEqual(serviceEndpoints(cache), []);
      cache.stop();
    });
  }

  it('does not take an id from a process that holds it, says so, and gets it when that one is gone', async () => {
    const { clock, cache, register } = await setUp();
    const first = register('a', 'one:1');
    await clock.resolve(first.registered);
    const troubles: string[] = [];
    const second = register('a', 'two:2', (error) => troubles.push(error.message));
    await clock.advance(10_000);
    assert.deepEqual(serviceEndpoints(cache), ['one:1']);
    assert.match(troubles[0] ?? '', /the id a is taken by another config service, at one:1/);
    await first.stop();
    await clock.resolve(second.registered);
    await clock.advance(0);
    assert.deepEqual(serviceEndpoints(cache), ['two:2']);
    await second.stop();
    cache.stop();
  });

  it('is there at once when a killed process is back at its address', async () => {
    const { clock, server, cache, register } = await setUp();
    await clock.resolve(register('a', 'one:1').registered);
    server.client('one:1').partition();
    const again = register('a', 'one:1');
    server.client('one:1').heal();
    await clock.resolve(again.registered);
    await clock.advance(30_000);
    assert.deepEqual(serviceEndpoints(cache), ['one:1']);
    cache.stop();
  });

  it('leaves out what cannot be read', async () => {
    const { clock, server, cache, register } = await setUp();
    const service = register('a');
    await clock.resolve(service.registered);
    server.txn({
      compare: [],
      then: [
        { op: 'put', key: keys.service('config', 'broken'), value: '{' },
        { op: 'put', key: keys.service('config', 'empty'), value: '{}' },
      ],
    });
    await clock.advance(0);
    assert.deepEqual(serviceEndpoints(cache), ['a:9083']);
    await service.stop();
    cache.stop();
  });
});
