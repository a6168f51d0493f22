import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { killRounds } from './support/kill-rounds.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 50);
const SEED = Number(process.env['KILL_SEED'] ?? 42);

describe('kill -9 at random moments, in full', function () {
  this.timeout(60 * 60_000);

  it(`loses and doubles nothing in ${ROUNDS} rounds of a 200,000-line file that grows meanwhile`, async () => {
    const result = await killRounds({ rounds: ROUNDS, lines: 200_000, seed: SEED });
    const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
    const folder = new URL('../docs/measurements/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    const row = `| ${commit} | ${SEED} | ${ROUNDS} | ${result.lines} | ${result.unclean} | equal | equal |\n`;
    const file = new URL('kill-standalone.md', folder);
    writeFileSync(file, readFileSync(file, 'utf8') + row);
  });
});
