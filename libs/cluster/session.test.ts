import assert from 'node:assert/strict';
import { keyRange, modifiedAt, OutcomeUnknownError } from '@rocketmq-connect/metadata-store';
import { SimulatedStore, type StoreCall } from '@rocketmq-connect/metadata-store/simulated';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { ConfigError } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { clusterKeys } from './keys.ts';
import { openSession, type Session } from './session.ts';

const ttlMs = 10_000;
const keys = clusterKeys('test');

function setUp() {
  const clock = new VirtualClock();
  const server = new SimulatedStore(clock);
  const client = server.client('r1');
  const seen = { endings: [] as { reason: string; atMs: number }[], deadlines: [] as number[] };
  const open = (session = 's1', store = client): Promise<Session> =>
    openSession({
      store,
      keys,
      clock,
      runner: StoredRunner.create({ id: 'r1', session, endpoint: `host-of-${session}:9083` }),
      ttlMs,
      deadline: { set: (ms) => seen.deadlines.push(ms) },
      onEnding: (reason) => seen.endings.push({ reason, atMs: clock.monotonic() }),
    });
  const registered = () => server.peek(keyRange(keys.runner('r1')))[0];
  const opened = () => clock.resolve(open());
  return { clock, server, client, open, opened, registered, ...seen };
}

describe("the runner's session", () => {
  it('registers under a lease and publishes its deadline', async () => {
    const { clock, opened, registered, deadlines } = setUp();
    const startMs = clock.monotonic();
    const session = await opened();
    assert.deepEqual(registered(), session.registration());
    assert.equal(registered()?.leaseId, session.leaseId);
    assert.equal(deadlines.at(-1), startMs + 8_800);
    assert.ok(session.live);
    await session.close();
  });

  it('lasts while it can renew, and moves the deadline with each keep-alive sent', async () => {
    const { clock, opened, registered, deadlines, endings } = setUp();
    const session = await opened();
    await clock.advance(10 * ttlMs);
    assert.ok(session.live);
    assert.deepEqual(endings, []);
    assert.notEqual(registered(), undefined);
    assert.ok((deadlines.at(-1) ?? 0) > clock.monotonic() + 8_800 - ttlMs / 3 - 1);
    await session.close();
  });

  it('closed: gone from the store at once, deadline 0, nothing left running', async () => {
    const { clock, opened, registered, deadlines, endings } = setUp();
    const session = await opened();
    await session.close();
    assert.equal(registered(), undefined);
    assert.equal(deadlines.at(-1), 0);
    assert.deepEqual(endings, []);
    assert.equal(session.live, false);
    await clock.advance(ttlMs);
    assert.equal(clock.pendingTimers, 0);
  });

  it('S135: cut off, it ends one kill time before its deadline, and that before the lease expires', async () => {
    const { clock, client, opened, registered, deadlines, endings } = setUp();
    const session = await opened();
    await clock.advance(5_000);
    const deadlineMs = deadlines.at(-1) ?? 0;
    client.partition();
    await clock.until(() => endings.length > 0);
    assert.equal(endings[0]?.atMs, deadlineMs - 1_000);
    assert.equal(session.live, false);
    assert.notEqual(registered(), undefined);
    await clock.until(() => registered() === undefined);
    assert.ok(clock.monotonic() > deadlineMs);
    await clock.resolve(session.confirmEnded());
    await clock.advance(ttlMs);
    assert.equal(endings.length, 1);
  });

  it('is not revived when the store answers after the latch', async () => {
    const { clock, server, opened, endings, deadlines } = setUp();
    const session = await opened();
    server.faults = (call) => (call.method === 'keepAlive' ? { answerDelayMs: 5_000 } : undefined);
    await clock.until(() => endings.length > 0);
    const deadlineMs = deadlines.at(-1);
    await clock.advance(4_000);
    assert.equal(session.live, false);
    assert.equal(deadlines.at(-1), deadlineMs);
    await session.confirmEnded();
    assert.equal(deadlines.at(-1), 0);
  });

  it('is over by the clock, also when no timer got to run: a thawed process finds itself without a session', async () => {
    const { clock, opened, endings } = setUp();
    const session = await opened();
    clock.suspend(7_799);
    assert.ok(session.live);
    clock.suspend(1);
    assert.equal(session.live, false);
    assert.equal(endings.length, 1);
    await clock.advance(ttlMs);
    assert.equal(session.live, false);
    await session.confirmEnded();
  });

  it('survives failures that leave time for another keep-alive', async () => {
    const { clock, client, opened, endings } = setUp();
    const session = await opened();
    for (let i = 0; i < 4; i++) client.failNext({ outcome: 'unavailable' }, 'keepAlive');
    await clock.advance(3 * ttlMs);
    assert.ok(session.live);
    assert.deepEqual(endings, []);
    await session.close();
  });

  it('ends at once, with no time left, when the store says that the lease is gone', async () => {
    const { clock, server, opened, endings, deadlines } = setUp();
    const session = await opened();
    server.expireLease(session.leaseId);
    await clock.until(() => endings.length > 0);
    assert.match(endings[0]?.reason ?? '', /gone/);
    assert.equal(deadlines.at(-1), 0);
    await session.confirmEnded();
  });

  it('gives its id free when its end is confirmed, so that the next session waits for nothing', async () => {
    const { clock, client, open, opened, endings, registered } = setUp();
    const first = await opened();
    client.partition();
    await clock.until(() => endings.length > 0);
    client.heal();
    await clock.resolve(first.confirmEnded());
    assert.equal(registered(), undefined);
    const beforeMs = clock.monotonic();
    const second = await clock.resolve(open('s2'));
    assert.equal(clock.monotonic(), beforeMs);
    assert.equal(JSON.parse(registered()?.value ?? '').session, 's2');
    await second.close();
  });

  it('refuses to confirm the end of a session that lasts', async () => {
    const { opened, registered } = setUp();
    const session = await opened();
    await assert.rejects(session.confirmEnded(), /lasts/);
    assert.notEqual(registered(), undefined);
    await session.close();
  });

  describe('when the id is taken', () => {
    it('takes it over when the holder goes within TTL + 2 s, never before', async () => {
      const { clock, server, client, open, opened, registered } = setUp();
      await opened();
      client.partition();
      const second = open('s2', server.client('again'));
      await clock.until(() => registered() === undefined);
      const session = await clock.resolve(second);
      assert.equal(session.session, 's2');
      await session.close();
    });

    it('refuses after that, naming the holder and what to do', async () => {
      const { clock, server, open, opened } = setUp();
      const holder = await opened();
      const startMs = clock.monotonic();
      const refused = await clock.resolve(
        open('s2', server.client('again')).then(
          () => assert.fail('two sessions of one id'),
          (error: unknown) => error,
        ),
      );
      assert.ok(refused instanceof ConfigError);
      assert.equal(refused.code, 'RUNNER_ID_TAKEN');
      assert.match(refused.message, /r1.*s1.*host-of-s1:9083/);
      const waitedMs = clock.monotonic() - startMs;
      assert.ok(waitedMs >= ttlMs + 2_000 && waitedMs < ttlMs + 3_000, `${waitedMs} ms`);
      assert.ok(holder.live);
      await holder.close();
    });

    it('gives it to one of two that open at once', async () => {
      const { clock, server, open } = setUp();
      const results = await clock.resolve(Promise.allSettled([open('s1'), open('s2', server.client('again'))]));
      assert.deepEqual(results.map((result) => result.status).sort(), ['fulfilled', 'rejected']);
    });
  });

  describe('opening with a store that fails', () => {
    it('goes on trying until it can be reached', async () => {
      const { clock, client, open } = setUp();
      client.partition();
      const opening = open();
      await clock.advance(60_000);
      client.heal();
      const session = await clock.resolve(opening, 10_000);
      assert.ok(session.live);
      await session.close();
    });

    for (const outcome of ['unknownApplied', 'unknownNotApplied', 'unknownAppliedLater'] as const) {
      it(`leaves no second registration behind: ${outcome}`, async () => {
        const { clock, client, open, registered, endings } = setUp();
        client.failNext({ outcome, laterMs: 3_000 }, 'txn');
        const session = await clock.resolve(open(), ttlMs);
        assert.equal(registered()?.leaseId, session.leaseId);
        await clock.advance(3 * ttlMs);
        assert.equal(registered()?.leaseId, session.leaseId);
        assert.deepEqual(endings, []);
        await session.close();
        assert.equal(registered(), undefined);
      });
    }

    it('a session whose end came before its opening was answered is none: it opens another', async () => {
      const { clock, server, client, open, endings, deadlines, registered } = setUp();
      server.faults = ({ method }) => (method === 'keepAlive' ? { outcome: 'unavailable' } : undefined);
      client.failNext({ answerDelayMs: 9_000 }, 'txn');
      const opening = open();
      await clock.advance(8_500);
      server.faults = undefined;
      const session = await clock.resolve(opening);
      assert.ok(session.live);
      assert.equal(registered()?.leaseId, session.leaseId);
      assert.equal(deadlines.at(-2), 0, 'the first deadline is taken back');
      assert.ok((deadlines.at(-1) ?? 0) > clock.monotonic());
      assert.deepEqual(endings, []);
      await session.close();
    });

    it('refuses a TTL that leaves no time', async () => {
      const { clock, client } = setUp();
      const options = { store: client, keys, clock, runner: StoredRunner.create({ id: 'r1' }), deadline: { set: () => undefined } };
      await assert.rejects(openSession({ ...options, ttlMs: 2_000, onEnding: () => undefined }), ConfigError);
    });
  });

  describe('registering again', () => {
    const claim = (session: Session) => ({
      compare: [modifiedAt(keys.runner('r1'), session.registration().modRevision)],
      then: [{ op: 'put' as const, key: keys.connectorOwner('c'), value: 'claimed', leaseId: session.leaseId }],
    });

    it('moves the mod revision, and nothing else', async () => {
      const { opened, registered } = setUp();
      const session = await opened();
      const before = session.registration();
      const after = await session.reregister();
      assert.ok(after.modRevision > before.modRevision);
      assert.deepEqual({ ...after, modRevision: 0n, version: 0n }, { ...before, modRevision: 0n, version: 0n });
      assert.deepEqual(registered(), after);
      assert.deepEqual(session.registration(), after);
      await session.close();
    });

    it('tells that the runner is about to leave, from then on, also where its first attempt fails', async () => {
      const { clock, client, opened, registered } = setUp();
      const session = await opened();
      const isLeaving = (): boolean => StoredRunner.fromJSON(JSON.parse(registered()?.value ?? '{}')).leaving;
      const under = session.reregister();
      client.failNext({ outcome: 'unavailable' }, 'txn');
      await clock.resolve(session.leave());
      await under;
      assert.equal(isLeaving(), true);
      await session.reregister();
      assert.equal(isLeaving(), true);
      assert.ok(session.live);
      await session.close();
    });

    it('decides a claim of unknown outcome: it can no longer land', async () => {
      const { clock, server, client, opened } = setUp();
      const session = await opened();
      client.failNext({ outcome: 'unknownAppliedLater', laterMs: 2_000 }, 'txn');
      await assert.rejects(client.txn(claim(session)), OutcomeUnknownError);
      await clock.resolve(session.reregister());
      await clock.advance(5_000);
      assert.deepEqual(server.peek(keyRange(keys.connectorOwner('c'))), []);
      assert.ok((await client.txn(claim(session))).succeeded, 'a claim with the new registration lands');
      await session.close();
    });

    it('is certain, whatever becomes of its own writes; it is never undone by one that lands late', async () => {
      const fault = fc.record({
        outcome: fc.constantFrom(
          'unavailable' as const,
          'unknownApplied' as const,
          'unknownNotApplied' as const,
          'unknownAppliedLater' as const,
        ),
        laterMs: fc.nat(3_000),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(fault, { maxLength: 6 }), async (faults) => {
          const { clock, client, opened, registered } = setUp();
          const session = await opened();
          const before = session.registration();
          for (const each of faults) client.failNext(each, 'txn');
          const after = await clock.resolve(session.reregister());
          assert.ok(after.modRevision > before.modRevision);
          await clock.advance(5_000);
          assert.deepEqual(registered(), after);
          assert.ok(session.live);
          await session.close();
        }),
        { numRuns: 50 },
      );
    });

    it('ends the session, with no time left, when the registration is gone', async () => {
      const { server, opened, endings, deadlines } = setUp();
      const session = await opened();
      server.txn({ compare: [], then: [{ op: 'delete', key: keys.runner('r1') }] });
      await assert.rejects(session.reregister(), { code: 'SESSION_OVER' });
      assert.equal(endings.length, 1);
      assert.equal(deadlines.at(-1), 0);
      await session.confirmEnded();
    });

    it('rejects when the session ends meanwhile', async () => {
      const { clock, client, opened, endings } = setUp();
      const session = await opened();
      client.partition();
      const again = session.reregister();
      again.catch(() => undefined);
      await clock.until(() => endings.length > 0);
      await assert.rejects(clock.resolve(again), { code: 'SESSION_OVER' });
      await clock.resolve(session.confirmEnded());
    });
  });

  it('never lives when the store has dropped it, under any faults; what it published is never later than the expiry (invariant 6)', async () => {
    const outcome = fc.constantFrom(
      undefined,
      undefined,
      undefined,
      'unavailable',
      'unknownApplied',
      'unknownNotApplied',
      'unknownAppliedLater',
    );
    const fault = fc.record({
      delayMs: fc.constantFrom(0, 0, 10, 900, 4_000),
      answerDelayMs: fc.constantFrom(0, 0, 10, 900, 4_000),
      outcome,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 30 }), async (faults) => {
        const { clock, server, open, endings, deadlines, registered } = setUp();
        let call = 0;
        server.faults = ({ method }: StoreCall) => {
          if (method !== 'keepAlive') return undefined;
          const { outcome: failing, ...delays } = faults[call++ % faults.length] ?? {};
          return failing === undefined ? delays : { ...delays, outcome: failing as 'unavailable' };
        };
        const session = await clock.resolve(open());
        let droppedMs = Number.POSITIVE_INFINITY;
        server.observe(() => {
          if (registered() === undefined) droppedMs = Math.min(droppedMs, clock.monotonic());
        });
        for (let i = 0; i < 200 && endings.length === 0; i++) {
          await clock.advance(500);
          if (session.live) assert.notEqual(registered(), undefined);
        }
        await clock.advance(2 * ttlMs);
        for (const deadlineMs of deadlines) assert.ok(deadlineMs <= droppedMs, `deadline ${deadlineMs}, dropped ${droppedMs}`);
        assert.ok(endings.length <= 1);
        await session.close();
      }),
      { numRuns: 60 },
    );
  });
});
