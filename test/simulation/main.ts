import { parseArgs } from 'node:util';
import { PROFILES } from './faults.ts';
import { run } from './run.ts';
import { runSeeds } from './seeds.ts';

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
if (profile === undefined) throw new Error(`--profile ${values.profile}: there are ${PROFILES.join(', ')}`);

if (values.seed !== undefined) {
  const { violation, trace } = await run({ seed: Number(values.seed), profile });
  console.log(trace.join('\n'));
  console.log(violation === '' ? 'every invariant held' : violation);
  process.exitCode = violation === '' ? 0 : 1;
} else {
  const count = Number(values.seeds);
  const startedMs = performance.now();
  const { failed, records, virtualMs } = await runSeeds({ from: Number(values.from), count, profile }, ({ seed, violation }) => {
    console.log(`seed ${seed}: ${violation}`);
  });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${count} seeds, ${failed.length} failed; ${records} records, ${Math.round(virtualMs / 1000)} s of virtual time in ${seconds} s`,
  );
  if (failed.length > 0) console.log(`see one with its trace: npm run simulate -- --profile ${profile} --seed N`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
