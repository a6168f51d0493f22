import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { EtcdCluster } from './support/etcd-cluster.ts';
import { recordRow } from './support/measurements.ts';
import { Mesh } from './support/mesh.ts';
import { OwnershipWatch } from './support/ownership-watch.ts';
import { PacedLines } from './support/paced-lines.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { UnitPauses } from './support/unit-pauses.ts';

const LINES_PER_SECOND = Number(process.env['LINES_PER_SECOND'] ?? 5_000);
const TASKS = { in: 4, out: 2 };

describe('a rolling restart of a whole cluster', function () {
  this.timeout(600_000);
  let folder: string;
  let etcd: EtcdCluster;
  let store: EtcdStore;

  before(async function () {
    await useRocketmq(this);
    etcd = await EtcdCluster.start();
    store = await EtcdStore.open({ endpoints: etcd.endpoints });
    folder = mkdtempSync(join(tmpdir(), 'rmqc-rolling-'));
  });
  after(async () => {
    await store?.close();
    await etcd?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it(`S028: loses and doubles nothing of ${LINES_PER_SECOND} records a second, and pauses each task for a moment`, async () => {
    const cluster = `rolling-${Date.now().toString(36)}`;
    const keys = clusterKeys(cluster);
    const owners = new OwnershipWatch(store, keys);
    const args = ['--lease-ttl-ms', '10000', '--offsets-commit-interval-ms', '1000'];
    const mesh = new Mesh({ etcd: etcd.endpoints, nameServer: rocketmq.nameServer, cluster, folder, args });
    const copy = join(folder, 'copy.txt');
    const paced = new PacedLines(folder, 'lines', TASKS.in, LINES_PER_SECOND, [copy, `${copy}.task-1`]);
    let pauses: UnitPauses | undefined;
    try {
      await mesh.start({ 'config-service': 2, scheduler: 2, 'task-runner': 3, gateway: 2 });
      const source = { 'connector.class': 'FileStreamSource', file: paced.lines.glob, topic: cluster, 'tasks.max': String(TASKS.in) };
      await mesh.connector('in', source);
      const sink = { 'connector.class': 'FileStreamSink', file: copy, topics: cluster, 'tasks.max': String(TASKS.out) };
      await mesh.connector('out', sink);
      await mesh.running(TASKS);
      paced.start();
      // A scheduler that has just come awaits runners that may just be coming too.
      await sleep(15_000);
      pauses = new UnitPauses(store, keys, owners.revision + 1n);
      for (const kind of ['config-service', 'scheduler', 'task-runner', 'gateway'] as const) {
        for (const { id } of mesh.all(kind)) {
          assert.equal(await mesh.get(id).signal('SIGTERM'), 0, id);
          await mesh.add(kind, id);
          await mesh.running(TASKS);
          await sleep(3_000);
        }
      }
      const { perSecond } = paced;
      const latencies = await paced.stop();
      assert.deepEqual(paced.lines.faults(copy), { missing: 0, doubled: 0, disordered: 0 });
      assert.deepEqual([owners.violations, owners.lost], [[], []]);
      const tasks = pauses.all.filter(({ unit }) => unit.startsWith('tasks/'));
      for (const pause of tasks)
        console.log(`    ${JSON.stringify(pause, (_, value) => (typeof value === 'number' ? Math.round(value) : value))}`);
      const totals = tasks.map(({ totalMs }) => totalMs).sort((a, b) => a - b);
      const of = (sorted: readonly number[], share: number): string =>
        (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(0);
      recordRow(
        'rolling-restart.md',
        paced.lines.total,
        perSecond.toFixed(0),
        0,
        0,
        totals.length,
        [0.5, 0.9, 1].map((share) => of(totals, share)).join(' / '),
        [0.5, 0.99, 1].map((share) => of(latencies, share)).join(' / '),
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${mesh.outputs()}`, { cause: error });
    } finally {
      pauses?.close();
      await mesh.stop();
      owners.close();
    }
  });
});
