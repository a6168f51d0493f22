import { recordRow } from '../support/measurements.ts';
import { useRocketmq } from '../support/rocketmq.ts';
import { runChaos } from './chaos.ts';
import { FAULTS } from './faults.ts';

const SEEDS = (process.env['CHAOS_SEEDS'] ?? '42,43,44').split(',').map(Number);
const ROUNDS = Number(process.env['CHAOS_ROUNDS'] ?? 10);
/** To draw from, separated by commas; default all. */
const ONLY = process.env['CHAOS_FAULTS']?.split(',');

describe('a mesh of real processes under faults, in full', function () {
  this.timeout(7_200_000);
  before(async function () {
    await useRocketmq(this);
  });

  for (const seed of SEEDS) {
    it(`loses no line in ${ROUNDS} rounds, keeps their order, and its history keeps the invariants (seed ${seed})`, async () => {
      const rounds = await runChaos({
        seed,
        rounds: ROUNDS,
        ...(ONLY === undefined ? {} : { faults: FAULTS.filter((fault) => ONLY.includes(fault)) }),
        onRound: ({ faults, lines, doubled, lostOwners }) => {
          console.log(`    ${faults.join(', ')}: ${lines} lines so far, ${lostOwners} owners lost, doubled: ${textOf(doubled)}`);
        },
      });
      const struck = rounds.reduce((sum, { faults }) => sum + faults.length, 0);
      const lostOwners = rounds.reduce((sum, round) => sum + round.lostOwners, 0);
      const doubled = new Map<string, number>();
      for (const round of rounds) for (const [cause, count] of round.doubled) doubled.set(cause, (doubled.get(cause) ?? 0) + count);
      recordRow('chaos.md', seed, ROUNDS, struck, rounds.at(-1)?.lines ?? 0, lostOwners, 0, textOf(doubled));
    });
  }
});

function textOf(doubled: ReadonlyMap<string, number>): string {
  return [...doubled].map(([cause, count]) => `${count} by ${cause}`).join(', ') || 'none';
}
