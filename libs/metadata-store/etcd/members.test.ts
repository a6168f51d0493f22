import assert from 'node:assert/strict';
import type { ConnectError } from '@rocketmq-connect/sdk';
import { StoreUnavailableError } from '../errors.ts';
import type { EtcdEndpoints } from './endpoints.ts';
import { checkMembers } from './members.ts';

const HEADER = { cluster_id: '1', member_id: '1', revision: '1', raft_term: '1' };

function membersOf(...answers: object[]): Pick<EtcdEndpoints, 'askEach'> {
  const full = answers.map((answer, i) =>
    answer instanceof Error
      ? { address: `m${i}`, error: answer }
      : { address: `m${i}`, answer: { header: HEADER, version: '3.6.0', errors: [], isLearner: false, ...answer } },
  );
  return { askEach: async () => full as never };
}

async function warningsOf(...answers: object[]): Promise<string[]> {
  return (await checkMembers(membersOf(...answers))).map((warning) => (warning as ConnectError).code);
}

describe('the members of an etcd cluster, looked at when a process starts', () => {
  it('are fine from 3.4 on; releases in which a deposed leader lets leases expire early are warned of', async () => {
    assert.deepEqual(await warningsOf({ version: '3.4.31' }, { version: '3.5.13' }, { version: '3.6.0' }, { version: '3.7.3' }), []);
    assert.deepEqual(await warningsOf({ version: '3.4.30' }, { version: '3.5.12' }), ['STORE_LEASES_UNSAFE', 'STORE_LEASES_UNSAFE']);
  });

  it('of a single one no leader can be deposed', async () => {
    assert.deepEqual(await warningsOf({ version: '3.4.23' }), []);
  });

  it('are refused below 3.4, and when they are of two clusters', async () => {
    await assert.rejects(warningsOf({ version: '3.3.27' }), { code: 'STORE_UNSUPPORTED', kind: 'fatal', field: 'etcd' });
    await assert.rejects(warningsOf({}, { header: { ...HEADER, cluster_id: '2' } }), { code: 'STORE_MIXED', kind: 'config' });
  });

  it('are reported when they are full, damaged, learners, or do not answer', async () => {
    assert.deepEqual(await warningsOf({ errors: ['memberID:1 alarm:NOSPACE '] }), ['STORE_FULL']);
    assert.deepEqual(await warningsOf({ errors: ['memberID:1 alarm:CORRUPT '] }), ['STORE_CORRUPT']);
    assert.deepEqual(await warningsOf({ isLearner: true }), ['STORE_LEARNER']);
    assert.deepEqual(await warningsOf({}, new StoreUnavailableError('away')), ['STORE_UNAVAILABLE']);
  });
});
