import assert from 'node:assert/strict';
import { bugs } from './bugs.ts';
import { run } from './run.ts';

const SEEDS_MAX = 40;

describe('the simulation finds a bug:', () => {
  for (const { name, wraps, found, fromSeed = 1 } of bugs) {
    it(name, async function () {
      this.timeout(120_000);
      let violation = '';
      for (let seed = fromSeed; seed < fromSeed + SEEDS_MAX && violation === ''; seed++) ({ violation } = await run({ seed, wraps }));
      assert.match(violation, found);
    });
  }
});
