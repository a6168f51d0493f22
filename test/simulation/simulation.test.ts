import assert from 'node:assert/strict';
import { type RunResult, run } from './run.ts';
import { runSeeds } from './seeds.ts';
import { versionToCome } from './version-to-come.ts';

const SEEDS = 1_000;
const CHURN_SEEDS = 200;
const GROWTH_SEEDS = 150;
const UPGRADE_SEEDS = 30;

describe('the simulated mesh', () => {
  it('moves every record once when nothing fails', async () => {
    const result = await run({ seed: 1, plan: { faults: [], rates: { packet: 0, store: 0, log: 0, outside: 0 } } });
    held(result);
    assert.ok(result.records > 50);
    assert.equal(result.trace.filter((line) => line.includes('owners/tasks')).length, 4, 'each task is claimed once');
  });

  it('has the same trace for the same seed, and another for another', async () => {
    for (const seed of [7, 11]) {
      const [first, again, other] = [await run({ seed }), await run({ seed }), await run({ seed: seed + 1 })];
      assert.deepEqual(again.trace, first.trace);
      assert.notDeepEqual(other.trace, first.trace);
    }
  });

  it(`S147: keeps every invariant under ${SEEDS} seeds of faults, and delivers every record once when they stop`, async function () {
    this.timeout(300_000);
    const { failed, records } = await runSeeds({ from: 1, count: SEEDS, profile: 'swarm' });
    for (const one of failed) held(one);
    assert.ok(records > SEEDS * 50);
  });

  it(`S147: the same where tasks move without rest, under ${CHURN_SEEDS} seeds`, async function () {
    this.timeout(120_000);
    const { failed } = await runSeeds({ from: 2_000, count: CHURN_SEEDS, profile: 'churn' });
    for (const one of failed) held(one, '--profile churn ');
  });

  it(`S147: the same where topics get queues and sources get streams: new task sets, at most tasks.max, each switched to as a whole, under ${GROWTH_SEEDS} seeds`, async function () {
    this.timeout(120_000);
    const { failed } = await runSeeds({ from: 3_000, count: GROWTH_SEEDS, profile: 'growth' });
    for (const one of failed) held(one, '--profile growth ');
  });

  it(`S147: the same beside processes of a version to come, whose fields it keeps, under ${UPGRADE_SEEDS} seeds`, async function () {
    this.timeout(120_000);
    for (let seed = 4_000; seed < 4_000 + UPGRADE_SEEDS; seed++) {
      const { violation, trace } = await run({ seed, wraps: versionToCome() });
      assert.equal(violation, '', `seed ${seed}\n${trace.slice(-60).join('\n')}`);
    }
  });

  it('a topic that grows from four queues to eight makes a new task set of its sink, and a stream one of its source', async () => {
    const rates = { packet: 0, store: 0, log: 0, outside: 0 };
    const faults = (['queues', 'streams'] as const).map((of, i) => ({ kind: 'growth' as const, of, atMs: 5_000 + 5_000 * i }));
    const result = await run({ seed: 1, profile: 'growth', plan: { faults, rates } });
    held(result);
    const published = (connector: string): number => result.trace.filter((line) => line.includes(` tasksets/${connector}`)).length;
    // The first set of the sink is planned before there is a topic to read, or after.
    assert.deepEqual([published('src'), published('snk')], [2, 2]);
  });
});

function held({ seed, violation, trace }: Pick<RunResult, 'seed' | 'violation' | 'trace'>, profile = ''): void {
  if (violation === '') return;
  assert.fail(`${violation}\nreplay: npm run simulate -- ${profile}--seed ${seed}\n${trace.slice(-60).join('\n')}`);
}
