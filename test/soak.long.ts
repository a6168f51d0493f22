import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
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
import { type Kept, ResourceNotes } from './support/resource-notes.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { waitFor } from './support/standalone.ts';

const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 60);
/** After each of six parts of the time every thread collects its garbage: what grows from one to the next is kept by somebody. */
const PART_MINUTES = MINUTES / 6;
/** Caches, compiled code and pools have their sizes then. */
const WARM_MINUTES = PART_MINUTES;
/** How much more the last two of them may have than the two before. */
const KEPT_MORE_MAX = 1.02;
const SAMPLE_MS = 15_000;
/** Between one connector that comes and goes and the next. */
const CHURN_MS = Number(process.env['SOAK_CHURN_MS'] ?? 30_000);
const LINES_PER_SECOND = Number(process.env['SOAK_LINES_PER_SECOND'] ?? 80);
const GROW_MS = 250;
const FILES = 4;
/** A host that is out of work ends in less. */
const HOST_END_MS = 12_000;
const RESOURCES = new URL('support/active-resources.ts', import.meta.url).href;

interface Sample extends ProcessFigures {
  readonly minute: number;
  /** Wall clock. */
  readonly atMs: number;
}

/** After a collection. */
interface Rest extends Kept {
  readonly rssMb: number;
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
      env: { NODE_OPTIONS: `--import ${RESOURCES} --expose-gc`, ACTIVE_RESOURCES_FILE: resources() },
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
    const lines = new NumberedFiles(folder, 'lines', FILES);
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
    const notes = new ResourceNotes(resources());
    const rests = new Map<MeshProcess, Rest[]>(processes(mesh).map((process) => [process, []]));
    /** Hosts that were started for connectors that are gone have ended by then. */
    const rest = async (): Promise<void> => {
      await sleep(Math.max(0, HOST_END_MS - CHURN_MS));
      const kept = await notes.collect([...rests.keys()].map(pidOf));
      for (const [process, own] of rests) {
        const of = kept.get(pidOf(process));
        assert.ok(of);
        own.push({ ...of, rssMb: processFigures(pidOf(process)).rssMb });
      }
    };
    const rested = (): number => Math.min(...[...rests.values()].map((own) => own.length));
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
      for (const [process, own] of samples) own.push({ minute: minute(), atMs: Date.now(), ...processFigures(pidOf(process)) });
      const { kvs } = await store.range(clusterKeys(cluster).root);
      stores.push({ minute: minute(), keys: kvs.length, leases: await etcd.leases() });
    };
    await Promise.all([
      every(GROW_MS, () => lines.grow(Math.round((LINES_PER_SECOND * GROW_MS) / 1000 / FILES))),
      every(CHURN_MS, () => (minute() > (rested() + 1) * PART_MINUTES ? rest() : churn())),
      every(SAMPLE_MS, sample).then(() => sample()),
    ]);
    assert.deepEqual(await lines.arrived(copy), { missing: 0, doubled: 0, disordered: 0 });
    // What was deleted is swept within a moment.
    await sleep(60_000);
    await rest();
    await sample();

    for (const [process, own] of samples) {
      const warm = own.filter((each) => each.minute > WARM_MINUTES);
      const [first, last] = [warm[0], warm.at(-1)];
      assert.ok(first !== undefined && last !== undefined);
      const slope = slopeOf(warm.map(({ minute: x, rssMb: y }) => ({ x, y }))) * 60;
      const cpu = (100 * (last.cpuSeconds - first.cpuSeconds)) / (60 * (last.minute - first.minute));
      const busy = [first, last].map(({ atMs }) => notes.activeAt(pidOf(process), atMs));
      const atRest = rests.get(process) ?? [];
      const each = (figure: (rest: Rest) => number): string =>
        atRest.map((one) => figure(one).toFixed(figure(one) < 100 ? 1 : 0)).join(' ');
      recordRow(
        'soak.md',
        MINUTES,
        `${process.kind} ${process.id}`,
        each(({ rssMb }) => rssMb),
        slope.toFixed(1),
        each(({ heapMb }) => heapMb),
        each(({ externalMb }) => externalMb),
        `${first.sockets} → ${last.sockets}`,
        `${first.descriptors} → ${last.descriptors}`,
        `${first.threads} → ${last.threads}`,
        busy.join(' → '),
        cpu.toFixed(1),
      );
    }
    const [first, last] = [stores.find((each) => each.minute > WARM_MINUTES), stores.at(-1)];
    assert.ok(first !== undefined && last !== undefined);
    recordRow('soak.md', MINUTES, `etcd: ${first.keys} → ${last.keys} keys, ${first.leases} → ${last.leases} leases`, ...Array(9).fill(''));
    console.log(`    ${lines.total} lines; ${churns} connectors came and went`);
    assert.equal(last.leases, first.leases);
    for (const [{ kind, id }, own] of rests) {
      const kept = own.map(({ heapMb, externalMb }) => heapMb + externalMb);
      const [before, after] = [kept.slice(-4, -2), kept.slice(-2)];
      assert.ok(
        Math.min(...after) <= KEPT_MORE_MAX * Math.max(...before),
        `${kind} ${id} keeps, in MB: ${kept.map((mb) => mb.toFixed(1))}`,
      );
    }
    for (const own of samples.values()) {
      const sockets = own.filter((each) => each.minute > WARM_MINUTES).map((each) => each.sockets);
      assert.ok((sockets.at(-1) ?? 0) <= Math.max(...sockets.slice(0, sockets.length / 2)), `sockets: ${sockets}`);
    }
  });
});

const KINDS = ['config-service', 'scheduler', 'task-runner', 'gateway'] as const;

function pidOf({ child }: MeshProcess): number {
  return child.pid ?? 0;
}

function processes(mesh: Mesh): MeshProcess[] {
  return KINDS.flatMap((kind) => mesh.all(kind));
}
