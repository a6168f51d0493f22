import { parseArgs } from 'node:util';
import { PROFILES } from './faults.ts';
import { run } from './run.ts';
import { runSeeds } from './seeds.ts';

/**
 * `--seeds N --from S`: runs N seeds from S on and tells which fail; `--minutes M`: as many as begin within that time. `--seed S`: runs one
 * and shows its trace. `--profile`: see faults.ts.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    minutes: { type: 'string', default: 'Infinity' },
    profile: { type: 'string', default: 'swarm' },
  },
});
const LOT = 500;
const profile = PROFILES.find((one) => one === values.profile);
if (profile === undefined) throw new Error(`--profile ${values.profile}: there are ${PROFILES.join(', ')}`);

if (values.seed !== undefined) {
  const { violation, trace } = await run({ seed: Number(values.seed), profile });
  console.log(trace.join('\n'));
  console.log(violation === '' ? 'every invariant held' : violation);
  process.exitCode = violation === '' ? 0 : 1;
} else {
  const first = Number(values.from);
  const end = first + Number(values.seeds);
  const startedMs = performance.now();
  const minutes = (): number => (performance.now() - startedMs) / 60_000;
  const totals = { seeds: 0, failed: 0, records: 0, virtualMs: 0 };
  // In lots, so that a run that is cut short has told what it found.
  while (first + totals.seeds < end && minutes() < Number(values.minutes)) {
    const from = first + totals.seeds;
    const lot = { from, count: Math.min(LOT, end - from), profile };
    const { failed, records, virtualMs } = await runSeeds(lot, ({ seed, violation }) => console.log(`seed ${seed}: ${violation}`));
    totals.seeds += lot.count;
    totals.failed += failed.length;
    totals.records += records;
    totals.virtualMs += virtualMs;
    console.log(
      `${profile} ${first} to ${from + lot.count - 1}: ${totals.failed} of ${totals.seeds} seeds failed; ${totals.records} records, ` +
        `${(totals.virtualMs / 3_600_000).toFixed(1)} h of virtual time in ${minutes().toFixed(1)} min`,
    );
  }
  if (totals.failed > 0) console.log(`see one with its trace: npm run simulate -- --profile ${profile} --seed N`);
  process.exitCode = totals.failed === 0 ? 0 : 1;
}
