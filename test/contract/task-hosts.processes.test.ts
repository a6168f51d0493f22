import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { ProcessHosts } from '@rocketmq-connect/task-runner-service/hosts/process-hosts';
import { FakeBroker } from '../support/fake-broker.ts';
import { monotonicMs, waitFor } from '../support/standalone.ts';
import { type HostsSettings, type HostsUnderTest, misbehavingPlugin, OpenHost, taskHostsContract } from './task-hosts.ts';

async function open(settings: HostsSettings & { readonly maxMemoryMb?: number }): Promise<HostsUnderTest> {
  const broker = await new FakeBroker().start();
  const deadline = new DeadlineWord();
  let opened = 0;
  let released = 0;
  const connectLog = () => ({
    connection: { kind: 'remoting', nameServers: [broker.peer.address], clientId: `test#${++opened}` },
    transferList: [],
    release: () => {
      released++;
    },
  });
  return {
    hosts: new ProcessHosts({ maxMemoryMb: 1024, sampler: null, ...settings, connectLog, deadline }),
    deadline,
    released: () => released,
    close: () => broker.peer.stop(),
  };
}

taskHostsContract('processes', open, process.cwd());

describe('process hosts', function () {
  this.timeout(60_000);
  const settings = { plugins: [misbehavingPlugin], baseDirectory: process.cwd(), maxHeapMb: 512, blockedAfterMs: 30_000 };
  let under: HostsUnderTest | undefined;
  let victim: ChildProcess | undefined;
  const running: OpenHost[] = [];

  afterEach(async () => {
    for (const opened of running.splice(0)) if (opened.exit === null) await opened.kill();
    await under?.close();
    under = undefined;
    victim?.kill('SIGKILL');
    victim = undefined;
  });
  const given = async (more: { maxMemoryMb?: number } = {}): Promise<void> => {
    under = await open({ ...settings, ...more });
    under.deadline.set(monotonicMs() + 3_600_000);
  };
  const host = (): OpenHost => {
    assert.ok(under !== undefined);
    const opened = new OpenHost(under.hosts);
    running.push(opened);
    return opened;
  };
  /** A process with a host process whose loop is blocked; the pid of the latter, and its deadline. */
  const startVictim = async (deadlineInMs: number): Promise<{ pid: number; deadlineMs: number }> => {
    const started = spawn(
      process.execPath,
      [new URL('../support/process-hosts-victim.ts', import.meta.url).pathname, String(deadlineInMs)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    victim = started;
    let output = '';
    started.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await waitFor(() => output.endsWith('\n'), 'its host runs', 40_000);
    const [, pid, deadlineMs] = /host (\d+) until (\S+)/.exec(output) ?? [];
    return { pid: Number(pid), deadlineMs: Number(deadlineMs) };
  };

  it('S142: memory outside of the heap has a bound too, and the reason is told', async () => {
    await given({ maxMemoryMb: 300 });
    const opened = host();
    opened.startNow('bad', { hook: 'start', does: 'leakBuffers' });
    assert.deepEqual(await opened.exited(), { reason: 'outOfMemory', message: 'it needed more than 300 MB of memory' });
  });

  it('S052: what ends the whole process ends no other, and not the runner', async () => {
    await given();
    const [bad, good] = [host(), host()];
    await good.heard('ready');
    bad.startNow('bad', { hook: 'start', does: 'kill' });
    const { reason, message } = await bad.exited();
    assert.deepEqual([reason, message], ['crashed', 'its process was ended by SIGSEGV']);
    await good.catalogue();
  });

  it('outlive the signals that a terminal sends to the whole group: the runner stops them in order', async () => {
    await given();
    const opened = host();
    await opened.start('good', { 'exactly.once': 'off' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(Number(opened.host.id.replace('process-', '')), signal);
    assert.notEqual(await opened.stop('good'), null);
  });

  it('invariant 6: end with a runner that is killed, though their loop is blocked', async () => {
    const { pid } = await startVictim(600_000);
    assert.ok(lives(pid));
    victim?.kill('SIGKILL');
    await waitFor(() => !lives(pid), 'the host process is gone');
  });

  it('invariant 6, S133: end at the deadline of a runner that is stopped by SIGSTOP, though their loop is blocked', async () => {
    const { pid, deadlineMs } = await startVictim(4_000);
    victim?.kill('SIGSTOP');
    await waitFor(() => !lives(pid), 'the host process is gone');
    assert.ok(monotonicMs() >= deadlineMs, 'and not before');
  });
});

/** A process that has ended and was not waited for by its parent is still listed. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
