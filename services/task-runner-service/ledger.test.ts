import assert from 'node:assert/strict';
import type { TaskCounters } from '@rocketmq-connect/pipeline/host-protocol';
import fc from 'fast-check';
import { TaskLedger } from './ledger.ts';

const none: TaskCounters = {
  polled: 0,
  acknowledged: 0,
  deduplicated: 0,
  filtered: 0,
  deadLettered: 0,
  skipped: 0,
  inFlight: 0,
  bytes: 0,
  retries: 0,
  lag: -1,
};

describe('the ledger of a task', () => {
  it('S146: keeps records of a dead incarnation in flight until the next has polled them again', () => {
    const ledger = new TaskLedger();
    ledger.update({ ...none, polled: 10, acknowledged: 6, inFlight: 4 });
    ledger.endIncarnation();
    assert.deepEqual(pick(ledger), { polled: 10, acknowledged: 6, inFlight: 4 });
    ledger.update({ ...none, polled: 3, acknowledged: 1, inFlight: 2 });
    assert.deepEqual(pick(ledger), { polled: 10, acknowledged: 7, inFlight: 3 });
    ledger.update({ ...none, polled: 9, acknowledged: 9, inFlight: 0 });
    assert.deepEqual(pick(ledger), { polled: 15, acknowledged: 15, inFlight: 0 });
  });

  it('S146: only grows and adds up, over any lives of a task (invariant 9)', () => {
    const step = fc.record({ polls: fc.nat(20), resolves: fc.nat(20), dies: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ledger = new TaskLedger();
        let now = { ...none };
        let before = ledger.totals();
        for (const { polls, resolves, dies } of steps) {
          const polled = now.polled + polls;
          const acknowledged = Math.min(polled, now.acknowledged + resolves);
          now = { ...none, polled, acknowledged, inFlight: polled - acknowledged };
          ledger.update(now);
          if (dies) {
            ledger.endIncarnation();
            now = { ...none };
          }
          const after = ledger.totals();
          assert.equal(after.polled, after.acknowledged + after.inFlight);
          assert.ok(after.polled >= before.polled && after.acknowledged >= before.acknowledged && after.inFlight >= 0);
          before = after;
        }
      }),
    );
  });
});

function pick(ledger: TaskLedger): { polled: number; acknowledged: number; inFlight: number } {
  const { polled, acknowledged, inFlight } = ledger.totals();
  return { polled, acknowledged, inFlight };
}
