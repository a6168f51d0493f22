import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { EtcdCluster } from './support/etcd-cluster.ts';
import { recordRow } from './support/measurements.ts';
import { Mesh, type MeshProcess } from './support/mesh.ts';
import { NumberedFiles } from './support/numbered-files.ts';
import { type ProcessFigures, processFigures, slopeOf } from './support/process-figures.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { waitFor } from './support/standalone.ts';

const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 60);
/** Caches, compiled code and pools have their sizes then. */
const WARM_MINUTES = MINUTES / 6;
const SAMPLE_MS = 15_000;
const CHURN_MS = 30_000;
const RESOURCES = new URL('support/active-resources.ts', import.meta.url).href;

interface Sample extends ProcessFigures {
  readonly minute: number;
  /** Wall clock. */
  readonly atMs: number;
}

interface ResourceNote {
  readonly pid: number;
  readonly threadId: number;
  readonly atMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

describe('a mesh of real processes over an hour', function () {
  this.timeout((MINUTES + 10) * 60_000);
  let folder: string;
  let etcd: EtcdCluster;
  let store: EtcdStore;
  let mesh: Mesh;
  const cluster = `soak-${Date.now().toString(36)}`;
  const startedMs = performance.now();
  const minute = (): number => (performance.now() - startedMs) / 60_000;
  const resources = (): string => join(folder, 'resources.jsonl');

  before(async function () {
    await useRocketmq(this);
    etcd = await EtcdCluster.start();
    store = await EtcdStore.open({ endpoints: etcd.endpoints });
    folder = mkdtempSync(join(tmpdir(), 'rmqc-soak-'));
    mesh = new Mesh({
      etcd: etcd.endpoints,
      nameServer: rocketmq.nameServer,
      cluster,
      folder,
      args: ['--lease-ttl-ms', '10000', '--offsets-commit-interval-ms', '2000'],
      env: { NODE_OPTIONS: `--import ${RESOURCES}`, ACTIVE_RESOURCES_FILE: resources() },
    });
    await mesh.start({ 'config-service': 2, scheduler: 2, 'task-runner': 3, gateway: 2 });
  });
  after(async function () {
    this.timeout(120_000);
    await mesh?.stop();
    await store?.close();
    await etcd?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it(`leaks no memory, socket, timer, lease or key in ${MINUTES} minutes, and loses or doubles no line`, async () => {
    const lines = new NumberedFiles(folder, 'lines', 4);
    const copy = join(folder, 'copy.txt');
    const source = { 'connector.class': 'FileStreamSource', file: lines.glob, 'tasks.max': '4' };
    await mesh.connector('in', { ...source, topic: cluster });
    await mesh.connector('out', { 'connector.class': 'FileStreamSink', file: copy, topics: cluster, 'tasks.max': '2' });
    await mesh.running({ in: 4, out: 2 });
    const churned = new NumberedFiles(folder, 'churned', 2);
    const samples = new Map<MeshProcess, Sample[]>(processes(mesh).map((process) => [process, []]));
    const stores: { minute: number; keys: number; leases: number }[] = [];
    const every = async (ms: number, act: () => void | Promise<void>): Promise<void> => {
      while (minute() < MINUTES) {
        await act();
        await sleep(ms);
      }
    };
    let churns = 0;
    /** A connector comes, runs, is paused, and is deleted with its offsets. */
    const churn = async (): Promise<void> => {
      const name = `churned-${++churns}`;
      await mesh.connector(name, { ...source, file: churned.glob, 'tasks.max': '2', topic: `${cluster}-churned` });
      await mesh.running({ [name]: 2 });
      await mesh.request('PUT', `/connectors/${name}/pause`);
      await mesh.request('DELETE', `/connectors/${name}?resetOffsets=true`);
      await waitFor(async () => (await mesh.units()).every(({ connector }) => connector !== name), `${name} is gone`, 60_000);
    };
    const sample = async (): Promise<void> => {
      for (const [process, own] of samples) own.push({ minute: minute(), atMs: Date.now(), ...processFigures(process.child.pid ?? 0) });
      const { kvs } = await store.range(clusterKeys(cluster).root);
      stores.push({ minute: minute(), keys: kvs.length, leases: await etcd.leases() });
    };
    await Promise.all([every(250, () => lines.grow(5)), every(CHURN_MS, churn), every(SAMPLE_MS, sample).then(() => sample())]);
    assert.deepEqual(await lines.arrived(copy), { missing: 0, doubled: 0, disordered: 0 });
    // What was deleted is swept within a moment.
    await sleep(60_000);
    await sample();

    const noted = readFileSync(resources(), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ResourceNote);
    for (const [{ kind, id, child }, own] of samples) {
      const warm = own.filter((each) => each.minute > WARM_MINUTES);
      const [first, last] = [warm[0], warm.at(-1)];
      assert.ok(first !== undefined && last !== undefined);
      const slope = slopeOf(warm.map(({ minute: x, rssMb: y }) => ({ x, y }))) * 60;
      const cpu = (100 * (last.cpuSeconds - first.cpuSeconds)) / (60 * (last.minute - first.minute));
      const busy = [first, last].map(({ atMs }) => activeAt(noted, child.pid ?? 0, atMs));
      recordRow(
        'soak.md',
        MINUTES,
        `${kind} ${id}`,
        `${first.rssMb.toFixed(0)} → ${last.rssMb.toFixed(0)}`,
        slope.toFixed(1),
        `${first.sockets} → ${last.sockets}`,
        `${first.descriptors} → ${last.descriptors}`,
        `${first.threads} → ${last.threads}`,
        busy.join(' → '),
        cpu.toFixed(1),
      );
    }
    const [first, last] = [stores.find((each) => each.minute > WARM_MINUTES), stores.at(-1)];
    assert.ok(first !== undefined && last !== undefined);
    recordRow('soak.md', MINUTES, `etcd: ${first.keys} → ${last.keys} keys, ${first.leases} → ${last.leases} leases`, ...Array(7).fill(''));
    console.log(`    ${lines.total} lines; ${churns} connectors came and went`);
    assert.equal(last.leases, first.leases);
    for (const own of samples.values()) {
      const sockets = own.filter((each) => each.minute > WARM_MINUTES).map((each) => each.sockets);
      assert.ok((sockets.at(-1) ?? 0) <= Math.max(...sockets.slice(0, sockets.length / 2)), `sockets: ${sockets}`);
    }
  });
});

const KINDS = ['config-service', 'scheduler', 'task-runner', 'gateway'] as const;

function processes(mesh: Mesh): MeshProcess[] {
  return KINDS.flatMap((kind) => mesh.all(kind));
}

/** What kept the threads of a process busy at a time: the sum of their last notes of the half minute before. */
function activeAt(notes: readonly ResourceNote[], pid: number, atMs: number): number {
  const last = new Map<number, number>();
  for (const { pid: of, threadId, atMs: notedAtMs, counts } of notes) {
    if (of !== pid || notedAtMs > atMs || notedAtMs < atMs - 30_000) continue;
    last.set(
      threadId,
      Object.values(counts).reduce((sum, count) => sum + count, 0),
    );
  }
  return [...last.values()].reduce((sum, count) => sum + count, 0);
}
