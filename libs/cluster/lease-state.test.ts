import assert from 'node:assert/strict';
import fc from 'fast-check';
import { endsAtMs, type LeaseEvent, type LeaseState, nextLeaseState, openedLease, wakeAtMs } from './lease-state.ts';

const open = openedLease(0, 10_000, 1_000);
const after = (state: LeaseState, ...events: LeaseEvent[]): LeaseState => events.reduce(nextLeaseState, state);

describe('the state of a lease (invariant 6)', () => {
  it('ends 1 s before the deadline, which is sent + TTL − (10 % + 200 ms)', () => {
    assert.equal(open.deadlineMs, 8_800);
    assert.equal(endsAtMs(open), 7_800);
    assert.equal(after(open, { type: 'tick', nowMs: 7_799 }).phase, 'live');
    assert.equal(after(open, { type: 'tick', nowMs: 7_800 }).phase, 'ending');
  });

  it('counts from when the keep-alive was sent, not from its answer, with the TTL that was answered', () => {
    const renewed = after(open, { type: 'sent', nowMs: 3_334 }, { type: 'answered', nowMs: 6_000, ttlMs: 5_000 });
    assert.equal(renewed.deadlineMs, 3_334 + 5_000 - 700);
    assert.equal(renewed.phase, 'live');
  });

  it('sends every TTL/3, one at a time, and sooner after a failure', () => {
    assert.equal(wakeAtMs(open), 10_000 / 3);
    const out = after(open, { type: 'sent', nowMs: 3_334 });
    assert.equal(wakeAtMs(out), 7_800, 'while one is out no other is sent');
    assert.equal(after(out, { type: 'sent', nowMs: 4_000 }).sentMs, 3_334);
    assert.equal(wakeAtMs(after(out, { type: 'answered', nowMs: 3_400, ttlMs: 10_000 })), 3_334 + 10_000 / 3);
    assert.equal(wakeAtMs(after(out, { type: 'failed', nowMs: 4_000 })), 5_000);
  });

  it('sends nothing while it has asked and was not answered, and still ends in time', () => {
    const asked = after(open, { type: 'asked', nowMs: 3_334 });
    assert.equal(wakeAtMs(asked), 7_800);
    assert.equal(after(asked, { type: 'tick', nowMs: 7_800 }).phase, 'ending');
    const permitted = after(asked, { type: 'sent', nowMs: 5_000 });
    assert.deepEqual([permitted.asked, permitted.sentMs], [false, 5_000]);
    assert.equal(after(asked, { type: 'sent', nowMs: 7_800 }).sentMs, null, 'too late');
  });

  it('is not revived by an answer that comes after the latch, though no timer ran', () => {
    const late = after(open, { type: 'sent', nowMs: 7_000 }, { type: 'answered', nowMs: 7_800, ttlMs: 10_000 });
    assert.equal(late.phase, 'ending');
    assert.equal(late.deadlineMs, 8_800, 'the deadline stays that of the last answer in time');
  });

  it('has no time left when the store says that the lease is gone', () => {
    const gone = after(open, { type: 'sent', nowMs: 3_334 }, { type: 'answered', nowMs: 3_400, ttlMs: 0 });
    assert.deepEqual([gone.phase, gone.deadlineMs], ['ending', 0]);
  });

  it('never is live at its end, never comes back, and never outlives the TTL of a keep-alive that was answered', () => {
    const event = fc.oneof(
      fc.record({ type: fc.constantFrom('tick' as const, 'sent' as const, 'failed' as const), pauseMs: fc.nat(4_000) }),
      fc.record({
        type: fc.constant('answered' as const),
        pauseMs: fc.nat(4_000),
        ttlMs: fc.constantFrom(0, 5_000, 10_000, 10_000, 10_000),
      }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        let state = open;
        let nowMs = 0;
        let sentMs: number | null = null;
        // The store, having had the keep-alive after it was sent, does not let the lease expire before.
        let expiresMs = 10_000;
        for (const { pauseMs, ...given } of events) {
          nowMs += pauseMs;
          const before = state;
          state = nextLeaseState(state, { ...given, nowMs });
          if (given.type === 'sent') sentMs ??= nowMs;
          if (given.type === 'failed') sentMs = null;
          if (given.type === 'answered' && sentMs !== null) {
            if (given.ttlMs > 0 && before.phase === 'live' && nowMs < endsAtMs(before)) expiresMs = sentMs + given.ttlMs;
            sentMs = null;
          }
          if (before.phase === 'ending') assert.equal(state.phase, 'ending');
          if (state.phase === 'live') assert.ok(nowMs < state.deadlineMs - 1_000);
          assert.ok(state.deadlineMs < expiresMs);
        }
      }),
    );
  });
});
