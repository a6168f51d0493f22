import assert from 'node:assert/strict';
import { absent, createdAt, rangeEmpty, spanRange } from '../ranges.ts';
import { txnRequest, txnResponses } from './messages.ts';

describe('transactions as messages of etcd', () => {
  it('without any operation carry a read, so that no member answers from what it happens to know', () => {
    const txn = { compare: [rangeEmpty(spanRange('/a', '/b')), createdAt('/c', 1n)], then: [] };
    const { success, failure } = txnRequest(txn);
    assert.deepEqual(success, []);
    assert.deepEqual(failure, [{ request_range: { key: Buffer.from('/a') } }]);
    const header = { cluster_id: '1', member_id: '1', revision: '1', raft_term: '1' };
    assert.deepEqual(txnResponses(txn, { header, succeeded: false, responses: [{ response_range: { kvs: [] } } as never] }), []);
  });

  it('with an operation carry no other', () => {
    const { success, failure } = txnRequest({ compare: [absent('/a')], then: [{ op: 'put', key: '/a', value: 'x', leaseId: 7n }] });
    assert.deepEqual(success, [{ request_put: { key: Buffer.from('/a'), value: Buffer.from('x'), lease: '7' } }]);
    assert.deepEqual(failure, []);
  });
});
