import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { LeaseThread } from '../services/task-runner-service/lease/lease-thread.ts';
import { EtcdCluster } from './support/etcd-cluster.ts';
import type { VictimOptions, VictimReport } from './support/lease-victim.ts';
import { until } from './support/until.ts';

const key = clusterKeys('c').runner('victim');

describe("The thread that keeps a runner's lease (invariant 6)", function () {
  this.timeout(120_000);
  let etcd: EtcdCluster;
  let store: EtcdStore;
  const victims: Victim[] = [];

  before(async () => {
    etcd = await EtcdCluster.start();
    store = await EtcdStore.open({ endpoints: etcd.endpoints });
  });
  afterEach(async () => {
    etcd.first.thaw();
    for (const victim of victims.splice(0)) await victim.kill();
    await until(async () => (await store.get(key)).kv === null);
  });
  after(async () => {
    await store.close();
    await etcd.stop();
  });

  async function join(options: Partial<VictimOptions>): Promise<Victim> {
    const victim = new Victim({ endpoints: etcd.endpoints, cluster: 'c', ttlMs: 4_000, confirms: true, ...options });
    victims.push(victim);
    await victim.reported('joined');
    return victim;
  }

  it('kills its process before the lease can expire when the control thread is blocked for 3 × TTL', async () => {
    const victim = await join({});
    victim.block(12_000);
    await victim.gone;
    assert.equal(victim.signal, 'SIGKILL');
    assert.notEqual((await store.get(key)).kv, null, 'nobody else could have had its units while it lived');
    assert.match(victim.stderr, /the process ends/);
  });

  it('waits for a control thread that is blocked for 0.3 × TTL, and goes on', async () => {
    const victim = await join({ ttlMs: 10_000 });
    victim.block(3_000);
    assert.deepEqual(await victim.reported('unblocked'), { type: 'unblocked', live: true });
    const { kv } = await store.get(key);
    // Long enough for the lease to be gone, had it not been renewed.
    await sleep(10_000);
    assert.equal((await store.get(key)).kv?.modRevision, kv?.modRevision);
    assert.deepEqual(
      victim.reports.map(({ type }) => type),
      ['joined', 'unblocked'],
    );
  });

  it('S135: ends the session before its deadline when etcd freezes, and joins again when it is back', async () => {
    const victim = await join({});
    etcd.first.freeze();
    const ending = await victim.reported('ending');
    assert.equal(ending.type === 'ending' && ending.late, false);
    etcd.first.thaw();
    await until(() => victim.reports.filter(({ type }) => type === 'joined').length === 2);
    const { kv } = await store.get(key);
    assert.match(kv?.value ?? '', /"s2"/);
  });

  it('kills its process at the deadline when what runs is not certain to have ended', async () => {
    const victim = await join({ confirms: false });
    etcd.first.freeze();
    await victim.reported('ending');
    await victim.gone;
    assert.equal(victim.signal, 'SIGKILL');
  });

  it('S133: lets a process that was stopped beyond its lease end its session, and join again', async () => {
    const victim = await join({});
    victim.stop();
    await until(async () => (await store.get(key)).kv === null);
    victim.continue();
    await victim.reported('ending');
    await until(() => victim.reports.filter(({ type }) => type === 'joined').length === 2);
    assert.match((await store.get(key)).kv?.value ?? '', /"s2"/);
  });

  it('ends the session at once when its lease was revoked by somebody else', async () => {
    const victim = await join({ ttlMs: 10_000 });
    const leaseId = (await store.get(key)).kv?.leaseId ?? 0n;
    await etcd.revoke(leaseId);
    await victim.reported('ending');
    await until(() => victim.reports.filter(({ type }) => type === 'joined').length === 2);
  });

  it('says that the store is unavailable when no member answers', async () => {
    const deadline = new DeadlineWord();
    const thread = new LeaseThread({ connection: { endpoints: ['127.0.0.1:1'] }, deadline, clock: systemClock });
    await assert.rejects(thread.open(10_000, { killTimeMs: 1_000, onEnding: assert.fail }), {
      kind: 'unavailable',
      message: /127\.0\.0\.1:1/,
    });
    assert.ok(deadline.passed(0));
    await thread.close();
  });
});

class Victim {
  readonly reports: VictimReport[] = [];
  readonly gone: Promise<unknown>;
  stderr = '';
  readonly #process: ChildProcess;

  constructor(options: VictimOptions) {
    const script = new URL('./support/lease-victim.ts', import.meta.url);
    this.#process = fork(script, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#process.on('message', (report) => this.reports.push(report as VictimReport));
    this.#process.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.gone = once(this.#process, 'close');
  }

  get signal(): NodeJS.Signals | null {
    return this.#process.signalCode;
  }

  /** The first report of the type, if need be when it comes. */
  async reported(type: VictimReport['type']): Promise<VictimReport> {
    await until(() => {
      if (this.#process.exitCode !== null) throw new Error(`the victim ended: ${this.stderr}`);
      return this.reports.some((report) => report.type === type);
    }, 30_000);
    return this.reports.find((report) => report.type === type) as VictimReport;
  }

  block(blockMs: number): void {
    this.#process.send({ blockMs });
  }

  stop(): void {
    this.#process.kill('SIGSTOP');
  }

  continue(): void {
    this.#process.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.gone;
  }
}
