import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { misbehavingPlugin } from './contract/task-hosts.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { type StandaloneProcess, startStandalone, waitFor } from './support/standalone.ts';

interface Host {
  readonly id: string;
  readonly isolation: string;
  /** Absent where there are none. */
  readonly units?: readonly string[];
}

describe('processes of their own, on a real RocketMQ', function () {
  this.timeout(180_000);
  let cwd: string;
  let mesh: StandaloneProcess;
  const topic = `isolation-${process.pid}-${Date.now()}`;

  before(async function () {
    await useRocketmq(this);
    cwd = mkdtempSync(join(tmpdir(), 'rmqc-isolation-'));
    const args = ['--no-quickstart', '--plugins', misbehavingPlugin, '--rocketmq-namesrv', rocketmq.nameServer];
    mesh = await startStandalone({ dataDir: join(cwd, 'data'), cwd, args: [...args, '--offsets-commit-interval-ms', '200'] });
  });
  after(async () => {
    await mesh.kill();
    rmSync(cwd, { recursive: true });
  });

  const create = (name: string, config: Readonly<Record<string, string>>) =>
    mesh.request('POST', '/connectors', { name, config: { 'tasks.isolation': 'process', ...config } });
  const lines = (): string[] =>
    existsSync(join(cwd, 'out.txt')) ? readFileSync(join(cwd, 'out.txt'), 'utf8').trimEnd().split('\n').filter(Boolean) : [];
  const grows = async (what: string): Promise<void> => {
    const before = lines().length;
    await waitFor(() => lines().length > before + 5, what, 60_000);
  };
  const hostsOf = async (unit: string): Promise<Host[]> =>
    (await mesh.request<{ hosts: Host[] }>('GET', '/v1/runners/runner-1')).hosts.filter(({ units }) => units?.includes(unit));
  const pidOf = async (unit: string): Promise<number> => {
    await waitFor(async () => (await hostsOf(unit)).length > 0, `${unit} runs`);
    const [host] = await hostsOf(unit);
    return Number(host?.id.replace('process-', ''));
  };

  it('a source and a sink move data, each in a process that no other connector is in', async () => {
    await create('source', { 'connector.class': 'MisbehavingSource', topic, 'interval.ms': '20' });
    await create('sink', { 'connector.class': 'FileStreamSink', topics: topic, file: join(cwd, 'out.txt') });
    await grows('records arrive');
    for (const connector of ['source', 'sink']) {
      const [host] = await hostsOf(`tasks/${connector}/0`);
      assert.equal(host?.isolation, 'process');
      assert.ok(host.units?.every((unit) => unit.includes(connector)));
    }
  });

  it('S052: one that is killed from outside, and one whose code crashes it, are restarted by policy; nothing is lost', async () => {
    process.kill(await pidOf('tasks/source/0'), 'SIGKILL');
    await create('crashes', { 'connector.class': 'MisbehavingSource', topic: `${topic}-crashes`, hook: 'start', does: 'kill' });
    const trace = async () =>
      (await mesh.request<{ tasks: { trace?: string }[] }>('GET', '/connectors/crashes/status')).tasks[0]?.trace ?? '';
    await waitFor(async () => /its process was ended by SIGSEGV/.test(await trace()), 'the crash is told', 60_000);
    await grows('the killed one goes on');
    const numbers = [...new Set(lines().map((line) => Number(line.split(' ')[1])))];
    assert.deepEqual(
      numbers,
      numbers.map((_, i) => i + 1),
    );
  });

  it('invariant 6: none outlives a runner that is killed', async () => {
    const pids = await Promise.all(['tasks/source/0', 'tasks/sink/0'].map(pidOf));
    await mesh.kill();
    for (const pid of pids) await waitFor(() => !lives(pid), `process ${pid} is gone`);
  });
});

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
