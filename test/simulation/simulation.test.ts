import assert from 'node:assert/strict';
import { run } from './run.ts';

describe('the simulated mesh', () => {
  it('moves every record once when nothing fails', async () => {
    const { violation, records, trace } = await run({ seed: 1 });
    assert.equal(violation, '', trace.slice(-40).join('\n'));
    assert.ok(records > 50);
  });

  it('has the same trace for the same seed, and another for another', async () => {
    const [first, again, other] = [await run({ seed: 7 }), await run({ seed: 7 }), await run({ seed: 8 })];
    assert.deepEqual(again.trace, first.trace);
    assert.notDeepEqual(other.trace, first.trace);
  });
});
