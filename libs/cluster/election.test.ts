import assert from 'node:assert/strict';
import { createdAt, keyRange } from '@rocketmq-connect/metadata-store';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import fc from 'fast-check';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { Election } from './election.ts';

const ttlMs = 6_000;
const key = '/rocketmq-connect/test/leader';

function setUp(names: readonly string[] = ['a', 'b']) {
  const clock = new VirtualClock();
  const server = new SimulatedStore(clock);
  const log: string[] = [];
  const candidates = names.map((name) => {
    const client = server.client(name);
    const election = new Election({
      store: client,
      key,
      value: name,
      clock,
      ttlMs,
      onElected: () => log.push(`${name} elected`),
      onLost: () => log.push(`${name} lost`),
      onSetBack: () => log.push(`${name} set back`),
    });
    return { name, client, election };
  });
  const [a, b] = candidates;
  assert.ok(a);
  const holder = () => server.peek(keyRange(key))[0];
  const stopAll = async () => {
    for (const { client, election } of candidates) {
      client.heal();
      await clock.resolve(election.stop());
    }
  };
  return { clock, server, candidates, a, b: b ?? a, log, holder, stopAll };
}

describe('the election', () => {
  it('elects one of several, which holds the key under its create revision', async () => {
    const { clock, a, b, candidates, log, holder, stopAll } = setUp();
    for (const { election } of candidates) election.start();
    await clock.advance(10 * ttlMs);
    assert.equal(log.length, 1);
    const leader = [a, b].find(({ election }) => election.leader() !== null);
    assert.equal(leader?.election.leader(), holder()?.createRevision);
    assert.equal(holder()?.value, leader?.name);
    await stopAll();
    await clock.advance(ttlMs);
    assert.equal(clock.pendingTimers, 0);
  });

  it('hands over at once when the leader stops', async () => {
    const { clock, a, b, log, stopAll } = setUp();
    a.election.start();
    await clock.until(() => a.election.leader() !== null);
    b.election.start();
    await clock.advance(1_000);
    await clock.resolve(a.election.stop());
    await clock.advance(10);
    assert.deepEqual(log, ['a elected', 'a lost', 'b elected']);
    await stopAll();
  });

  it('S016: a leader that is cut off steps down before another is elected, and the next leads within TTL + 2 s', async () => {
    const { clock, a, b, log, stopAll } = setUp();
    a.election.start();
    await clock.until(() => a.election.leader() !== null);
    b.election.start();
    await clock.advance(5_000);
    a.client.partition();
    const cutMs = clock.monotonic();
    await clock.until(() => b.election.leader() !== null);
    assert.deepEqual(log, ['a elected', 'a lost', 'b elected']);
    assert.ok(clock.monotonic() - cutMs <= ttlMs + 2_000);
    await stopAll();
  });

  it('is no leader when the key is taken from it, though its lease lives', async () => {
    const { clock, server, a, log, holder, stopAll } = setUp(['a']);
    a.election.start();
    await clock.until(() => a.election.leader() !== null);
    const first = a.election.leader();
    server.txn({ compare: [], then: [{ op: 'delete', key }] });
    await clock.advance(1_000);
    assert.deepEqual(log, ['a elected', 'a lost', 'a elected']);
    assert.notEqual(a.election.leader(), first);
    assert.equal(a.election.leader(), holder()?.createRevision);
    await stopAll();
  });

  it('finds by listing that the key is gone when its watch is deaf', async () => {
    const { clock, server, a, b, stopAll } = setUp();
    a.election.start();
    await clock.until(() => a.election.leader() !== null);
    b.election.start();
    await clock.advance(1_000);
    b.client.deafenWatches();
    await clock.resolve(a.election.stop());
    assert.deepEqual(server.peek(keyRange(key)), []);
    await clock.until(() => b.election.leader() !== null, 31_000);
    await stopAll();
  });

  it('is no leader by the clock, also when no timer got to run', async () => {
    const { clock, a, log, stopAll } = setUp(['a']);
    a.election.start();
    await clock.until(() => a.election.leader() !== null);
    clock.suspend(ttlMs);
    assert.equal(a.election.leader(), null);
    assert.deepEqual(log, ['a elected', 'a lost']);
    await stopAll();
  });

  it('is not deposed by what happened before its election and is told late', async () => {
    const { clock, server, b, log, stopAll } = setUp(['a', 'b']);
    const put = (value: string) => server.txn({ compare: [], then: [{ op: 'put', key, value }] });
    const remove = () => server.txn({ compare: [], then: [{ op: 'delete', key }] });
    put('x');
    b.election.start();
    await clock.advance(100);
    b.client.watchDelayMs = 1_000;
    remove();
    await clock.advance(500);
    put('y');
    await clock.advance(100);
    remove();
    await clock.advance(5_000);
    assert.deepEqual(log, ['b elected']);
    await stopAll();
  });

  it('is not elected when its lease ended, or it was stopped, before the answer came', async () => {
    for (const stops of [true, false]) {
      const { clock, server, a, log, holder, stopAll } = setUp(['a']);
      server.faults = ({ method }) => (method === 'keepAlive' ? { outcome: 'unavailable' } : undefined);
      a.client.failNext({ answerDelayMs: 5_500 }, 'txn');
      a.election.start();
      await clock.advance(1_000);
      const stopped = stops ? a.election.stop() : Promise.resolve();
      await clock.advance(4_600);
      await stopped;
      assert.deepEqual(log, []);
      assert.equal(holder(), undefined);
      await stopAll();
    }
  });

  for (const outcome of ['unknownApplied', 'unknownNotApplied', 'unknownAppliedLater'] as const) {
    it(`is never elected without a key of its own: ${outcome}`, async () => {
      const { clock, a, holder, stopAll, log } = setUp(['a']);
      a.client.failNext({ outcome, laterMs: 200 }, 'txn');
      a.election.start();
      await clock.until(() => a.election.leader() !== null, 3 * ttlMs);
      assert.equal(a.election.leader(), holder()?.createRevision);
      await clock.advance(3 * ttlMs);
      assert.deepEqual(log, ['a elected']);
      await stopAll();
    });
  }

  it('never has two leaders, and a leader that is deposed writes nothing, under partitions and faults', async () => {
    const step = fc.record({
      who: fc.nat(2),
      what: fc.constantFrom('partition', 'heal', 'heal', 'cut', 'deaf', 'unknown', 'slow', 'stop', 'start', 'expire'),
      waitMs: fc.constantFrom(0, 100, 2_500, 7_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { clock, server, candidates, holder, stopAll } = setUp(['a', 'b', 'c']);
        const check = (): void => {
          const leaders = candidates.filter(({ election }) => election.leader() !== null);
          // A leader deposed from outside (its lease was ended for it) may learn of it late: its writes are compared.
          const true_ = leaders.filter(({ election }) => election.leader() === holder()?.createRevision);
          assert.ok(true_.length <= 1);
          for (const { election } of leaders.filter((each) => !true_.includes(each))) {
            const write = server.txn({ compare: [createdAt(key, election.leader() ?? 0n)], then: [{ op: 'put', key: '/w', value: '' }] });
            assert.equal(write.succeeded, false);
          }
        };
        server.observe(check);
        for (const { election } of candidates) election.start();
        let expired = false;
        for (const { who, what, waitMs } of steps) {
          const candidate = candidates[who];
          assert.ok(candidate);
          const { client, election } = candidate;
          if (what === 'partition') client.partition();
          else if (what === 'heal') client.heal();
          else if (what === 'cut') client.cutWatches();
          else if (what === 'deaf') client.deafenWatches();
          else if (what === 'unknown') client.failNext({ outcome: 'unknownAppliedLater', laterMs: 3_000 });
          else if (what === 'slow') client.failNext({ delayMs: 1_000, answerDelayMs: 2_000 });
          else if (what === 'stop') void election.stop();
          else if (what === 'start') election.start();
          else {
            expired = true;
            const leaseId = holder()?.leaseId;
            if (leaseId !== undefined) server.expireLease(leaseId);
          }
          await clock.advance(waitMs);
          check();
          const leaders = candidates.filter((each) => each.election.leader() !== null);
          if (!expired) assert.ok(leaders.length <= 1, 'two lead at once');
        }
        for (const { client, election } of candidates) {
          client.heal();
          election.start();
        }
        await clock.advance(60_000);
        assert.equal(candidates.filter(({ election }) => election.leader() !== null).length, 1);
        await stopAll();
      }),
      { numRuns: 60 },
    );
  });
});
