import assert from 'node:assert/strict';
import { LeaseGoneError } from '../errors.ts';
import { failureOf } from './failure.ts';

/** Said by etcd or gRPC → code of the error for a transaction, whether nothing was done, whether another member may answer. */
const table: readonly [said: string, code: string, nothingDone: boolean, memberAtFault: boolean][] = [
  [
    '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:2379. Resolution note: ',
    'STORE_UNAVAILABLE',
    true,
    true,
  ],
  ['14 UNAVAILABLE: Name resolution failed for target dns:nowhere:2379', 'STORE_UNAVAILABLE', true, true],
  [
    '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.003s,name resolution: 0.001s,metadata filters: 0s,Waiting for LB pick',
    'STORE_UNAVAILABLE',
    true,
    true,
  ],
  ['4 DEADLINE_EXCEEDED: Deadline exceeded after 2.003s,LB pick: 0s,remote_addr=127.0.0.1:2379', 'STORE_OUTCOME_UNKNOWN', false, true],
  ['14 UNAVAILABLE: Connection dropped', 'STORE_OUTCOME_UNKNOWN', false, true],
  ['14 UNAVAILABLE: etcdserver: request timed out', 'STORE_OUTCOME_UNKNOWN', false, true],
  ['14 UNAVAILABLE: etcdserver: server stopped', 'STORE_OUTCOME_UNKNOWN', false, true],
  ['GRPCUnavailableError: 14 UNAVAILABLE: etcdserver: no leader', 'STORE_UNAVAILABLE', true, true],
  ['8 RESOURCE_EXHAUSTED: etcdserver: too many requests', 'STORE_UNAVAILABLE', true, true],
  ['13 INTERNAL: Received RST_STREAM with code 2', 'STORE_OUTCOME_UNKNOWN', false, true],
  ['what nobody has heard of', 'STORE_OUTCOME_UNKNOWN', false, true],
  ['8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded', 'STORE_FULL', true, false],
  ['3 INVALID_ARGUMENT: etcdserver: request is too large', 'STORE_LIMIT', true, false],
  ['7 PERMISSION_DENIED: etcdserver: permission denied', 'STORE_PERMISSION_DENIED', true, false],
  ['3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password', 'STORE_UNAUTHENTICATED', true, false],
  ['16 UNAUTHENTICATED: etcdserver: invalid auth token', 'STORE_UNAUTHENTICATED', true, false],
  ['3 INVALID_ARGUMENT: etcdserver: revision of auth store is old', 'STORE_UNAUTHENTICATED', true, false],
  ['3 INVALID_ARGUMENT: etcdserver: user name is empty', 'STORE_UNAUTHENTICATED', true, false],
  ['12 UNIMPLEMENTED: unknown service etcdserverpb.KV', 'STORE_UNSUPPORTED', true, false],
];

describe('what a member of etcd answers', () => {
  for (const [said, code, nothingDone, memberAtFault] of table) {
    it(`"${said}" means ${code} for a transaction`, () => {
      const failure = failureOf(new Error(said), 'a transaction', '127.0.0.1:2379');
      assert.equal(failure.toError(false).code, code);
      assert.equal(failure.nothingDone, nothingDone);
      assert.equal(failure.memberAtFault, memberAtFault);
      assert.notEqual(failure.toError(true).code, 'STORE_OUTCOME_UNKNOWN', 'a read leaves nothing in doubt');
      assert.match(failure.toError(false).message, /127\.0\.0\.1:2379|too large/);
    });
  }

  it('asks for a new token where one was refused, and not where the user is not permitted', () => {
    assert.ok(failureOf(new Error('16 UNAUTHENTICATED: etcdserver: invalid auth token'), '', '').tokenRefused);
    assert.ok(failureOf(new Error('3 INVALID_ARGUMENT: etcdserver: revision of auth store is old'), '', '').tokenRefused);
    assert.ok(!failureOf(new Error('7 PERMISSION_DENIED: etcdserver: permission denied'), '', '').tokenRefused);
  });

  it('leaves errors of the family as they are', () => {
    const gone = new LeaseGoneError(7n);
    assert.equal(failureOf(gone, 'a transaction', 'x').toError(false), gone);
  });
});
