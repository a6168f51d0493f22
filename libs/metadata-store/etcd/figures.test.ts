import assert from 'node:assert/strict';
import { EtcdStore } from '../etcd.ts';
import { EtcdFigures } from './figures.ts';

describe('the figures of the client of etcd', () => {
  it('count what each member failed, and say which one is asked first', async () => {
    const figures = new EtcdFigures();
    const endpoints = ['127.0.0.1:1', '127.0.0.1:2'];
    await assert.rejects(EtcdStore.open({ endpoints, figures, openTimeoutMs: 0, random: () => 0 }), { kind: 'unavailable' });
    assert.deepEqual(Object.fromEntries(figures.memberFailures), { '127.0.0.1:1': 1, '127.0.0.1:2': 1 });
    assert.equal(figures.preferredMember, '127.0.0.1:1', 'each in turn');
  });
});
