import assert from 'node:assert/strict';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { clusterKeys } from './keys.ts';
import { checkLayout } from './layout.ts';

const keys = clusterKeys('c');

function setUp(value?: string) {
  const server = new SimulatedStore(new VirtualClock());
  if (value !== undefined) server.txn({ compare: [], then: [{ op: 'put', key: keys.layout, value }] });
  return server;
}

describe('the layout of a cluster', () => {
  it('is noted where there is none, once, and is then as expected', async () => {
    const server = setUp();
    await Promise.all([checkLayout(server.client('one'), keys), checkLayout(server.client('other'), keys)]);
    await checkLayout(server.client('third'), keys);
    assert.deepEqual(
      server.peek(keys.root).map(({ key, value, version }) => ({ key, value, version })),
      [{ key: '/rocketmq-connect/c/layout', value: '{"layout":1}', version: 1n }],
    );
  });

  it('of a newer version is refused', async () => {
    await assert.rejects(checkLayout(setUp('{"layout":2,"more":"of it"}').client('one'), keys), {
      code: 'STORE_LAYOUT_NEWER',
      field: 'cluster',
      message: /layout 2.*up to 1/,
    });
  });

  it('that this program has not written is refused', async () => {
    for (const value of ['', '1', '"x"', '{"layout":"1"}', '{"layout":0}', '{}', 'null']) {
      await assert.rejects(checkLayout(setUp(value).client('one'), keys), { code: 'STORE_LAYOUT_UNKNOWN', field: 'cluster' }, value);
    }
  });
});
