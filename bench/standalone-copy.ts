import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startStandalone, waitFor } from '../test/support/standalone.ts';

const WARM_UP_LINES = 300_000;
const LINE_BYTES = 137;
const WARM_UP_BYTES = WARM_UP_LINES * LINE_BYTES;

export interface StandaloneCopy {
  /** User and system time of the process between the warm-up and the last byte. */
  readonly cpuSeconds: number;
  /** The same time on the monotonic clock, in microseconds, as CPU profiles have it. */
  readonly fromMicros: number;
  readonly untilMicros: number;
}

/** Writes what is to be copied: so many lines after those of the warm-up. The path. */
export function linesToCopy(folder: string, lines: number): string {
  const path = join(folder, 'lines.txt');
  const generator = new URL('generator.ts', import.meta.url).pathname;
  const args = [generator, '--lines', String(lines + WARM_UP_LINES), '--bytes', String(LINE_BYTES), '--out', path];
  spawnSync(process.execPath, args, { stdio: 'inherit' });
  return path;
}

/**
 * Copies what `linesToCopy` wrote through a whole standalone with an embedded log. What is measured begins when the lines of the warm-up are copied
 * and `warm` resolves.
 */
export async function copyThroughStandalone(options: {
  readonly folder: string;
  readonly source: string;
  readonly env: Readonly<Record<string, string>>;
  readonly warm: () => Promise<void>;
}): Promise<StandaloneCopy> {
  const { folder, source, env, warm } = options;
  const cwd = mkdtempSync(join(folder, 'run-'));
  const [lines, copy] = [join(cwd, 'lines.txt'), join(cwd, 'copy.txt')];
  const all = readFileSync(source);
  writeFileSync(lines, all.subarray(0, WARM_UP_BYTES));
  const mesh = await startStandalone({ dataDir: join(cwd, 'data'), cwd, args: ['--no-quickstart'], env });
  try {
    const copied = (bytes: number) => waitFor(() => existsSync(copy) && statSync(copy).size === bytes, 'the copy is complete', 300_000);
    const pid = mesh.child.pid ?? 0;
    const create = (name: string, config: Readonly<Record<string, string>>) => mesh.request('POST', '/connectors', { name, config });
    await create('out', { 'connector.class': 'FileStreamSource', file: lines, topic: 'bench' });
    await create('in', { 'connector.class': 'FileStreamSink', topics: 'bench', file: copy });
    await copied(WARM_UP_BYTES);
    await warm();
    const [cpuBefore, fromMicros] = [cpuSeconds(pid), monotonicMicros()];
    appendFileSync(lines, all.subarray(WARM_UP_BYTES));
    await copied(all.length);
    const measured = { cpuSeconds: cpuSeconds(pid) - cpuBefore, fromMicros, untilMicros: monotonicMicros() };
    await mesh.interrupt();
    if (!readFileSync(copy).equals(all)) throw new Error('the copy is another file');
    return measured;
  } finally {
    await mesh.kill();
    rmSync(cwd, { recursive: true, force: true });
  }
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function monotonicMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
