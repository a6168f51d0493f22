import { spawnSync } from 'node:child_process';
import { appendFileSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { type StandaloneProcess, startStandalone, waitFor } from '../test/support/standalone.ts';

/**
 * File → topic → file through a whole standalone: records a second, CPU seconds, peak memory, then end-to-end latency while lines are
 * appended at a steady rate. `npm run bench file-to-file -- [--lines 1000000] [--bytes 137] [--latency-seconds 10] [--lines-per-second 1000] [--cpu-prof]`;
 * with `--rocketmq` the topic is at the RocketMQ of `scripts/rocketmq up` (`ROCKETMQ_PORT` as there), else in the embedded log.
 */
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    lines: { type: 'string', default: '1000000' },
    bytes: { type: 'string', default: '137' },
    'latency-seconds': { type: 'string', default: '10' },
    'lines-per-second': { type: 'string', default: '1000' },
    'cpu-prof': { type: 'boolean', default: false },
    rocketmq: { type: 'boolean', default: false },
  },
});
const lineCount = Number(values.lines);
const nameServer = `127.0.0.1:${process.env['ROCKETMQ_PORT'] ?? 19_876}`;
const topic = `bench-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), 'rmqc-bench-'));
const source = join(folder, 'lines.txt');
const copy = join(folder, 'copy.txt');
try {
  const generator = new URL('generator.ts', import.meta.url).pathname;
  spawnSync(process.execPath, [generator, '--lines', values.lines, '--bytes', values.bytes, '--out', source], { stdio: 'inherit' });
  const size = statSync(source).size;
  const env: Record<string, string> = values['cpu-prof'] ? { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${process.cwd()}/.cache/prof` } : {};
  const args = ['--no-quickstart', ...(values.rocketmq ? ['--rocketmq-namesrv', nameServer] : [])];
  const mesh = await startStandalone({ dataDir: join(folder, 'data'), cwd: folder, args, env });
  await measureCopy(mesh, size);
  await measureLatency(Number(values['latency-seconds']), Number(values['lines-per-second']));
  await mesh.interrupt();
  if (values.rocketmq) await deleteTopic();
  const equal = readFileSync(source).equals(readFileSync(copy));
  print('sink file equals source file', String(equal));
  process.exitCode = equal ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measureCopy(mesh: StandaloneProcess, size: number): Promise<void> {
  const pid = mesh.child.pid ?? 0;
  const cpuBefore = cpuSeconds(pid);
  const startedAt = performance.now();
  await mesh.request('POST', '/connectors', {
    name: 'out',
    config: { 'connector.class': 'FileStreamSource', file: source, topic },
  });
  await mesh.request('POST', '/connectors', { name: 'in', config: { 'connector.class': 'FileStreamSink', topics: topic, file: copy } });
  let firstAt = 0;
  let firstSize = 0;
  let peakKb = 0;
  const sizeOf = (): number => (existsSync(copy) ? statSync(copy).size : 0);
  await waitFor(
    () => {
      const now = sizeOf();
      peakKb = Math.max(peakKb, rssKb(pid));
      if (firstAt === 0 && now > 0) {
        firstAt = performance.now();
        firstSize = now;
      }
      return now === size;
    },
    'the copy is complete',
    300_000,
  );
  const endedAt = performance.now();
  const bytesPerLine = size / lineCount;
  print('records', String(lineCount));
  print('records/s, from the request to the last byte', rate(lineCount, endedAt - startedAt));
  print('records/s, from the first byte in the sink', rate((size - firstSize) / bytesPerLine, endedAt - firstAt));
  print('CPU seconds', (cpuSeconds(pid) - cpuBefore).toFixed(2));
  print('peak RSS MB', (peakKb / 1024).toFixed(0));
}

/** Appends lines that carry their time, and sees when each is in the copy. */
async function measureLatency(seconds: number, perSecond: number): Promise<void> {
  if (seconds === 0) return;
  const latencies: number[] = [];
  const fd = openSync(copy, 'r');
  let position = statSync(copy).size;
  let rest = '';
  const wanted = seconds * perSecond;
  let sent = 0;
  const startedAt = performance.now();
  const buffer = Buffer.alloc(1 << 20);
  while (latencies.length < wanted) {
    const due = Math.min(wanted, Math.floor(((performance.now() - startedAt) / 1000) * perSecond));
    if (due > sent) {
      let text = '';
      for (; sent < due; sent++) text += `${performance.now().toFixed(3)} ${'x'.repeat(120)}\n`;
      appendFileSync(source, text);
    }
    const read = readSync(fd, buffer, 0, buffer.length, position);
    if (read > 0) {
      position += read;
      const now = performance.now();
      const lines = (rest + buffer.toString('latin1', 0, read)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) latencies.push(now - Number.parseFloat(line));
    }
    if (performance.now() - startedAt > seconds * 1000 + 30_000) throw new Error(`only ${latencies.length} of ${wanted} lines arrived`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  closeSync(fd);
  latencies.sort((a, b) => a - b);
  const at = (share: number): string => (latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0).toFixed(1);
  print(`latency at ${perSecond} lines/s, ms`, `p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)}`);
}

async function deleteTopic(): Promise<void> {
  const log = connectRemotingLog(
    { kind: 'remoting', nameServers: [nameServer], clientId: `bench-${process.pid}` },
    { clock: systemClock, random: Math.random },
  );
  await log.deleteTopic(topic);
  await log.close();
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function rssKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}

function rate(count: number, ms: number): string {
  return Math.round(count / (ms / 1000)).toLocaleString('en');
}

function print(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(50)} ${value}\n`);
}
