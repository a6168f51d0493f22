import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdCluster, freePorts } from './support/etcd-cluster.ts';
import { type ParsedFamily, parseExposition, seriesValue } from './support/exposition.ts';
import { Mesh, type MeshProcess } from './support/mesh.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { waitFor } from './support/standalone.ts';

const LINES = 5_000;

describe('what separate processes tell of themselves', function () {
  this.timeout(120_000);
  let folder: string;
  let etcd: EtcdCluster;
  let mesh: Mesh;
  let gateway: MeshProcess;
  const ports = new Map<string, number>();
  const topic = `observed-${Date.now().toString(36)}`;

  before(async function () {
    await useRocketmq(this);
    etcd = await EtcdCluster.start();
    folder = mkdtempSync(join(tmpdir(), 'rmqc-observed-'));
    mesh = new Mesh({ etcd: etcd.endpoints, nameServer: rocketmq.nameServer, cluster: 'observed', folder });
    const kinds = ['config-service', 'scheduler', 'task-runner', 'task-runner', 'gateway'] as const;
    const ids = ['c1', 's1', 't1', 't2', 'g1'];
    const free = await freePorts(ids.length);
    for (const [i, kind] of kinds.entries()) {
      const [id = '', port = 0] = [ids[i], free[i]];
      ports.set(id, port);
      const started = await mesh.add(kind, id, '--metrics-port', String(port));
      if (kind === 'gateway') gateway = started;
    }
  });
  after(async () => {
    await mesh?.stop();
    await etcd?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (id: string, path: string): string => `http://127.0.0.1:${ports.get(id)}${path}`;
  const scrape = async (id: string): Promise<ReadonlyMap<string, ParsedFamily>> =>
    parseExposition(await (await fetch(at(id, '/metrics'))).text(), 'prometheus');
  const put = (path: string, body: unknown): Promise<Response> =>
    fetch(gateway.url + path, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  /** Of one of the runners: whoever has the task. */
  const ofTask = async (name: string, labels: Readonly<Record<string, string>>): Promise<number> => {
    const values = await Promise.all(['t1', 't2'].map(async (id) => seriesValue(await scrape(id), name, labels) ?? 0));
    return values.reduce((sum, value) => sum + value, 0);
  };

  it('is scraped from every one: ledgers of tasks, the clients, the leader, readiness', async () => {
    writeFileSync(join(folder, 'in.txt'), Array.from({ length: LINES }, (_, i) => `line ${i}\n`).join(''));
    await put('/connectors/observed-in/config', { 'connector.class': 'FileStreamSource', file: join(folder, 'in.txt'), topic });
    await put('/connectors/observed-out/config', { 'connector.class': 'FileStreamSink', topics: topic, file: join(folder, 'out.txt') });
    const copied = (): boolean =>
      existsSync(join(folder, 'out.txt')) && readFileSync(join(folder, 'out.txt'), 'utf8').split('\n').length - 1 === LINES;
    await waitFor(copied, 'every line is in the copy', 60_000);
    for (const connector of ['observed-in', 'observed-out']) {
      const acknowledged = { connector, outcome: 'acknowledged' };
      await waitFor(
        async () => (await ofTask('rocketmq_connect_task_settled_records_total', acknowledged)) === LINES,
        `${connector} settled all`,
      );
      assert.equal(await ofTask('rocketmq_connect_task_polled_records_total', { connector }), LINES);
      assert.equal(await ofTask('rocketmq_connect_task_ledger_imbalance_records', { connector }), 0);
    }
    assert.ok((await ofTask('rocketmq_connect_message_log_requests_total', { operation: 'send', outcome: 'ok' })) > 0);
    assert.ok((await ofTask('rocketmq_connect_message_log_connections', {})) > 0);
    assert.equal(seriesValue(await scrape('s1'), 'rocketmq_connect_scheduler_leading'), 1);
    assert.equal(seriesValue(await scrape('s1'), 'rocketmq_connect_scheduler_runners', { state: 'ready' }), 2);
    const store = await scrape('s1');
    assert.equal(seriesValue(store, 'rocketmq_connect_metadata_store_reachable'), 1);
    const watches = seriesValue(store, 'rocketmq_connect_metadata_store_watches') ?? 0;
    assert.ok(watches > 0);
    assert.equal(seriesValue(store, 'rocketmq_connect_metadata_store_connected_watches'), watches);
    assert.equal(seriesValue(store, 'rocketmq_connect_metadata_store_member_preferred', { member: etcd.endpoints[0] ?? '' }), 1);
    assert.ok((seriesValue(await scrape('g1'), 'rocketmq_connect_rest_requests_total', { method: 'PUT' }) ?? 0) >= 2);
    for (const id of ports.keys()) {
      assert.equal(seriesValue(await scrape(id), 'rocketmq_connect_ready'), 1, id);
      assert.equal((await fetch(at(id, '/health/ready'))).status, 200, id);
    }
  });

  it('changes the levels of loggers in all processes at once, and in those that start later', async () => {
    assert.equal((await put('/admin/loggers/connectors?scope=cluster', { level: 'DEBUG' })).status, 204);
    await fetch(`${gateway.url}/connectors/observed-out/restart?includeTasks=true`, { method: 'POST' });
    const says = (): boolean =>
      mesh.all('task-runner').some((runner) => /"level":"debug".*"connector":"observed-out"/.test(runner.output()));
    await waitFor(says, 'a runner logs at level debug');
    const later = await mesh.add('gateway', 'g2');
    const levelThere = async (): Promise<unknown> => (await fetch(`${later.url}/admin/loggers/connectors`)).json();
    await waitFor(async () => ((await levelThere()) as { scope?: string }).scope === 'cluster', 'a gateway that starts later takes it');
    assert.equal(((await levelThere()) as { level: string }).level, 'DEBUG');
    assert.equal((await fetch(`${gateway.url}/admin/loggers/connectors?scope=cluster`, { method: 'DELETE' })).status, 204);
    await waitFor(async () => ((await levelThere()) as { level?: string }).level !== 'DEBUG', 'it is taken back everywhere');
  });

  it('S061: says at /health that the metadata store is away, and that it is back', async () => {
    const health = async (id: string) => {
      const response = await fetch(at(id, '/health'));
      return { status: response.status, text: await response.text() };
    };
    etcd.members[0]?.freeze();
    await waitFor(async () => (await health('c1')).status === 503, 'config-service is not ready', 30_000);
    assert.match((await health('c1')).text, /metadata store: /);
    const since = async () => seriesValue(await scrape('c1'), 'rocketmq_connect_metadata_store_reachable_since_timestamp_seconds') ?? -1;
    assert.equal(await since(), 0);
    assert.equal((await fetch(at('c1', '/health/live'))).status, 200);
    etcd.members[0]?.thaw();
    for (const id of ports.keys()) await waitFor(async () => (await health(id)).status === 200, `${id} is ready again`, 60_000);
    assert.ok((await since()) > Date.now() / 1000 - 60);
    const failures = seriesValue(await scrape('c1'), 'rocketmq_connect_metadata_store_member_failures_total', {
      member: etcd.endpoints[0] ?? '',
    });
    assert.ok((failures ?? 0) > 0);
    const watches = async (which: string) => seriesValue(await scrape('s1'), `rocketmq_connect_metadata_store_${which}`);
    await waitFor(async () => (await watches('connected_watches')) === (await watches('watches')), 'the watches of the scheduler go on');
  });
});
