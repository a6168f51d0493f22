import assert from 'node:assert/strict';
import { type Bug, bugs } from './bugs.ts';
import { runMutant } from './mutant.ts';
import { run } from './run.ts';

const SEEDS_MAX = 40;

describe('the simulation finds a bug:', () => {
  for (const bug of bugs) {
    it(bug.name, async function () {
      this.timeout(120_000);
      assert.match(await search(bug), bug.found);
    });
  }
});

/** The first violation, or ''. */
async function search(bug: Bug): Promise<string> {
  const { fromSeed: from = 1 } = bug;
  const plan = bug.plan === undefined ? {} : { plan: bug.plan };
  if ('mutation' in bug) return runMutant(bug.mutation, { from, count: SEEDS_MAX, ...plan });
  for (let seed = from; seed < from + SEEDS_MAX; seed++) {
    const { violation } = await run({ seed, wraps: bug.wraps, ...plan });
    if (violation !== '') return violation;
  }
  return '';
}
