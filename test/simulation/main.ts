import { parseArgs } from 'node:util';
import { PROFILES } from './faults.ts';
import { run } from './run.ts';

/** `--seeds N --from S`: runs N seeds from S on and tells which fail. `--seed S`: runs one and shows its trace. `--profile`: see faults.ts. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    profile: { type: 'string', default: 'swarm' },
  },
});
const profile = PROFILES.find((one) => one === values.profile);
if (profile === undefined) throw new Error(`--profile ${values.profile}: there are ${PROFILES.join(' and ')}`);

if (values.seed !== undefined) {
  const { violation, trace } = await run({ seed: Number(values.seed), profile });
  console.log(trace.join('\n'));
  console.log(violation === '' ? 'every invariant held' : violation);
  process.exitCode = violation === '' ? 0 : 1;
} else {
  const from = Number(values.from);
  const seeds = Number(values.seeds);
  let failed = 0;
  let records = 0;
  let virtualMs = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await run({ seed, profile });
    records += result.records;
    virtualMs += result.virtualMs;
    if (result.violation === '') continue;
    failed++;
    console.log(`seed ${seed}: ${result.violation}`);
  }
  const { user, system } = process.cpuUsage();
  const seconds = ((user + system) / 1_000_000).toFixed(1);
  console.log(
    `${seeds} seeds, ${failed} failed; ${records} records, ${Math.round(virtualMs / 1000)} s of virtual time in ${seconds} s of CPU`,
  );
  if (failed > 0) console.log(`see one with its trace: npm run simulate -- --profile ${profile} --seed N`);
  process.exitCode = failed === 0 ? 0 : 1;
}
