import assert from 'node:assert/strict';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { OwnershipWatch } from './ownership-watch.ts';
import { VirtualClock } from './virtual-clock.ts';

describe('the watch of who owns what', () => {
  it('tells an owner that was lost from one that released, and counts claims', async () => {
    const clock = new VirtualClock();
    const keys = clusterKeys('test');
    const store = new SimulatedStore(clock).client('test');
    const watch = new OwnershipWatch(store, keys);
    const put = (key: string, value: string, leaseId?: bigint) =>
      clock.resolve(store.txn({ compare: [], then: [{ op: 'put', key, value, ...(leaseId === undefined ? {} : { leaseId }) }] }));
    const lease = await clock.resolve(store.grantLease(600_000));
    const owner = keys.connectorOwner('c');
    const claim = () => put(owner, '{"runner":"r1","session":"s1"}', lease.id);
    await put(keys.spec('c'), '{"targetState":"TARGET_STATE_RUNNING"}');
    await claim();
    await clock.resolve(
      store.txn({
        compare: [],
        then: [
          { op: 'delete', key: owner },
          { op: 'put', key: keys.status({ connector: 'c' }), value: '{"token":"3"}' },
        ],
      }),
    );
    await clock.advance(1_000);
    assert.deepEqual([watch.lost, watch.claimsOf('connectors/c'), watch.ownerOf('connectors/c')], [[], 1, undefined]);
    await claim();
    await clock.resolve(lease.revoke());
    await clock.advance(1_000);
    assert.deepEqual(
      watch.lost.map(({ unit, runner }) => [unit, runner]),
      [['connectors/c', 'r1']],
    );
    assert.equal(watch.claimsOf('connectors/c'), 2);
    watch.close();
  });
});
