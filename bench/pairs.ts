import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * What a change costs: the CPU seconds of file-to-file in two trees, by turns and in changing order, so that whatever else the machine does
 * falls on both. `npm run bench pairs -- --before DIR [--after DIR] [--rounds 9] [--lines 3000000]`; each tree with its own node_modules.
 */
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    before: { type: 'string' },
    after: { type: 'string', default: '.' },
    rounds: { type: 'string', default: '9' },
    lines: { type: 'string', default: '3000000' },
  },
});
if (values.before === undefined) throw new Error('--before DIR is missing: a tree to compare with');
const trees = { before: resolve(values.before), after: resolve(values.after) };
const seconds = { before: [] as number[], after: [] as number[] };
for (let round = 0; round < Number(values.rounds); round++) {
  const order = round % 2 === 0 ? (['before', 'after'] as const) : (['after', 'before'] as const);
  for (const tree of order) seconds[tree].push(cpuSecondsPerMillion(trees[tree]));
  process.stdout.write(`${round + 1}: before ${seconds.before.at(-1)?.toFixed(3)}, after ${seconds.after.at(-1)?.toFixed(3)}\n`);
}
const differences = seconds.after.map((after, i) => (after / (seconds.before[i] ?? after) - 1) * 100);
print('CPU seconds per million records, before', seconds.before, 3, '');
print('CPU seconds per million records, after', seconds.after, 3, '');
print('difference of a pair', differences, 1, ' %');

function cpuSecondsPerMillion(cwd: string): number {
  const args = ['bench/main.ts', 'file-to-file', '--lines', values.lines, '--latency-seconds', '0'];
  const { stdout, status } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const [, cpu] = /CPU seconds +([\d.]+)/.exec(stdout) ?? [];
  if (status !== 0 || cpu === undefined) throw new Error(`file-to-file failed in ${cwd}:\n${stdout}`);
  return Number(cpu) / (Number(values.lines) / 1e6);
}

function print(name: string, figures: readonly number[], digits: number, unit: string): void {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(digits);
  process.stdout.write(`${name.padEnd(45)} median ${at(0.5)}${unit}, from ${at(0)} to ${at(1)}\n`);
}
