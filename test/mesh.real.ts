import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { ExplainResponse, ListRunnersResponse, type Unit } from '@rocketmq-connect/proto/cluster';
import { HealthDefinition } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { type Certificates, createCertificates } from './support/certificates.ts';
import { EtcdCluster } from './support/etcd-cluster.ts';
import { LEASE_TTL_MS, Mesh, type MeshProcess } from './support/mesh.ts';
import { NumberedFiles } from './support/numbered-files.ts';
import { OwnershipWatch } from './support/ownership-watch.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { waitFor } from './support/standalone.ts';

const CLUSTER = 'mesh-test';
interface State {
  readonly state: string;
}

const NONE = { missing: 0, doubled: 0, disordered: 0 };

describe('a mesh of processes on one etcd and one RocketMQ', function () {
  this.timeout(180_000);
  let folder: string;
  let etcd: EtcdCluster;
  let store: EtcdStore;
  let owners: OwnershipWatch;
  let mesh: Mesh;
  /** Two pipelines; of every other connector a test has its own. */
  const names = ['a', 'b'];
  const lines = new Map<string, NumberedFiles>();
  const tasks = { 'a-in': 4, 'a-out': 2, 'b-in': 4, 'b-out': 2 };
  const run = Date.now().toString(36);

  before(async function () {
    await useRocketmq(this);
    etcd = await EtcdCluster.start();
    folder = mkdtempSync(join(tmpdir(), 'rmqc-mesh-'));
    store = await EtcdStore.open({ endpoints: etcd.endpoints });
    owners = new OwnershipWatch(store, clusterKeys(CLUSTER));
    mesh = new Mesh({ etcd: etcd.endpoints, nameServer: rocketmq.nameServer, cluster: CLUSTER, folder });
    await mesh.start({ 'config-service': 2, scheduler: 2, 'task-runner': 3, gateway: 2 });
    for (const name of names) await createPipeline(name);
  });
  after(async function () {
    this.timeout(120_000);
    for (const files of lines.values()) files.rest();
    await mesh?.stop();
    owners?.close();
    await store?.close();
    await etcd?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(function () {
    for (const files of lines.values()) files.rest();
    if (this.currentTest?.isFailed()) process.stdout.write(`${mesh.outputs()}\n`);
    assert.deepEqual(owners.violations, []);
  });

  const topicOf = (name: string): string => `mesh-${run}-${name}`;
  const copyOf = (name: string): string => join(folder, `${name}.copy`);
  const sourceConfig = (name: string) => ({
    'connector.class': 'FileStreamSource',
    file: lines.get(name)?.glob ?? '',
    topic: topicOf(name),
    'tasks.max': '4',
    'refresh.interval.ms': '200',
  });
  const createPipeline = async (name: string): Promise<void> => {
    lines.set(name, new NumberedFiles(folder, name, 4));
    await mesh.connector(`${name}-in`, sourceConfig(name));
    const sink = { 'connector.class': 'FileStreamSink', file: copyOf(name), topics: topicOf(name), 'tasks.max': '2' };
    await mesh.connector(`${name}-out`, sink);
  };
  const grow = (): void => {
    for (const files of lines.values()) files.keepGrowing();
  };
  /** Every line that was written has arrived, exactly once and in order. */
  const assertAllArrived = async (): Promise<void> => {
    for (const [name, files] of lines) assert.deepEqual(await files.arrived(copyOf(name)), NONE, name);
  };
  /** Waits until everything runs where it should, and each runner has as many tasks and as many connectors as any other, or one less. */
  const balanced = async (): Promise<Unit[]> => {
    let units: Unit[] = [];
    const counts = (isTask: boolean): number[] =>
      mesh.all('task-runner').map(({ id }) => units.filter(({ task, ownerRunner }) => task >= 0 === isTask && ownerRunner === id).length);
    const isEven = async (): Promise<boolean> => {
      units = await mesh.running(tasks);
      return [counts(true), counts(false)].every((each) => Math.max(...each) - Math.min(...each) <= 1);
    };
    await waitFor(isEven, 'the load is even', 60_000).catch((error: Error) => {
      throw new Error(
        `${error.message}: tasks ${counts(true)}, connectors ${counts(false)}: ${units.map((u) => `${u.id} ${u.ownerRunner}`)}`,
      );
    });
    return units;
  };
  /** Waits until everything runs on these and on no other. */
  const runOn = async (ids: readonly string[]): Promise<void> => {
    const isSo = async (): Promise<boolean> => (await mesh.running(tasks)).every(({ ownerRunner }) => ids.includes(ownerRunner));
    await waitFor(isSo, `everything runs on ${ids}`, LEASE_TTL_MS + 60_000);
  };
  const runners = async () => ListRunnersResponse.fromJSON(await mesh.request('GET', '/v1/runners'));
  const movedBetween = (before: readonly Unit[], after: readonly Unit[]): Unit[] => {
    const tokens = new Map(before.map(({ id, token }) => [id, token]));
    return after.filter(({ id, token }) => tokens.get(id) !== token);
  };

  it('copies files through topics; what runs is spread evenly over the runners', async () => {
    await balanced();
    grow();
    await waitFor(() => [...lines.values()].every(({ total }) => total > 400), 'lines are written');
    await assertAllArrived();
  });

  it('S064: any gateway answers the same, and what one of them was told', async () => {
    const [first, second] = mesh.all('gateway');
    for (const path of ['/connectors', '/connectors/a-in/config', '/v1/units', '/v1/runners']) {
      assert.deepEqual(await mesh.request('GET', path, undefined, first), await mesh.request('GET', path, undefined, second));
    }
    await mesh.request('PUT', '/connectors/b-in/pause', undefined, first);
    const { connector } = await mesh.request<{ connector: { targetState: string } }>('GET', '/v1/connectors/b-in', undefined, second);
    assert.equal(connector.targetState, 'TARGET_STATE_PAUSED');
    await mesh.request('PUT', '/connectors/b-in/resume', undefined, second);
    await mesh.running(tasks);
  });

  it('S039: paused through one gateway, a connector and each of its tasks are PAUSED at every gateway, wherever they run', async () => {
    const statesAt = async (gateway: MeshProcess, name: string): Promise<string[]> => {
      const status = await mesh.request<{ connector: State; tasks: State[] }>('GET', `/connectors/${name}/status`, undefined, gateway);
      return [status.connector, ...status.tasks].map(({ state }) => state);
    };
    await mesh.running(tasks);
    const [first] = mesh.all('gateway');
    const show = (state: string) => async (): Promise<boolean> => {
      const shown = await Promise.all(mesh.all('gateway').flatMap((gateway) => ['a-in', 'a-out'].map((name) => statesAt(gateway, name))));
      return shown.every((states, i) => states.length === (i % 2 === 0 ? 5 : 3) && states.every((each) => each === state));
    };
    for (const [verb, state] of [
      ['pause', 'PAUSED'],
      ['resume', 'RUNNING'],
    ] as const) {
      for (const name of ['a-in', 'a-out']) await mesh.request('PUT', `/connectors/${name}/${verb}`, undefined, first);
      await waitFor(show(state), `all is ${state} at every gateway`);
    }
  });

  it('new files of a glob make a new task set, of tasks.max at most; nothing is lost or doubled', async () => {
    const files = new NumberedFiles(folder, 'w', 1);
    const config = { file: files.glob, topic: topicOf('w'), 'tasks.max': '3', 'refresh.interval.ms': '200' };
    await mesh.connector('w-in', { 'connector.class': 'FileStreamSource', ...config });
    await mesh.connector('w-out', { 'connector.class': 'FileStreamSink', file: copyOf('w'), topics: topicOf('w') });
    await mesh.running({ 'w-in': 1, 'w-out': 1 });
    files.add(1);
    await mesh.running({ 'w-in': 2 });
    files.keepGrowing();
    files.add(4);
    await mesh.running({ 'w-in': 3 });
    assert.deepEqual(await files.arrived(copyOf('w')), NONE);
    for (const name of ['w-in', 'w-out']) await mesh.request('DELETE', `/connectors/${name}`);
  });

  it('a topic that grows from four queues to eight gives its sink a new task set, which reads all of them, each record once', async () => {
    const connection = { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: 'mesh-grown' } as const;
    const log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    try {
      const sendToEach = async (queues: number): Promise<string[]> => {
        const addresses = (await log.createTopic(topicOf('g'), { queues })).queues;
        assert.equal(addresses.length, queues);
        for (const address of addresses) {
          const batch = new BatchBuilder();
          batch.add(Buffer.from(`of ${queues}: ${address.queue}`), '');
          await log.send(address, batch.take());
        }
        return addresses.map(({ queue }) => `of ${queues}: ${queue}`);
      };
      const copied = (): string[] =>
        readdirSync(folder)
          .filter((name) => name.startsWith('g.copy'))
          .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
          .sort();
      const sent = await sendToEach(4);
      const config = { file: copyOf('g'), topics: topicOf('g'), 'tasks.max': '3', 'topic.discovery.interval.ms': '1000' };
      await mesh.connector('g-out', { 'connector.class': 'FileStreamSink', ...config });
      const before = await mesh.running({ 'g-out': 3 });
      await waitFor(() => copied().length === sent.length, 'all of four queues is copied');
      sent.push(...(await sendToEach(8)));
      await waitFor(() => copied().length >= sent.length, 'all of eight queues is copied');
      const after = await mesh.running({ 'g-out': 3 });
      assert.deepEqual(copied(), sent.sort());
      assert.equal(movedBetween(before, after).filter(isTaskOf('g-out')).length, 3, 'its tasks are of another generation');
      await mesh.request('DELETE', '/connectors/g-out');
    } finally {
      await log.close();
    }
  });

  it('S003: starting a connector stops no other', async () => {
    const before = await balanced();
    const config = { 'connector.class': 'FileStreamSource', file: lines.get('a')?.glob ?? '', topic: topicOf('c'), 'tasks.max': '2' };
    await mesh.connector('c-in', config);
    const units = await mesh.running({ ...tasks, 'c-in': 2 });
    assert.deepEqual(
      movedBetween(before, units).filter(({ connector }) => connector !== 'c-in'),
      [],
    );
  });

  it('S005, S018: a deleted connector vanishes, and the rest stays balanced', async () => {
    await mesh.request('DELETE', '/connectors/c-in');
    await waitFor(async () => (await mesh.units()).every(({ connector }) => connector !== 'c-in'), 'its units are gone');
    await balanced();
  });

  it('S001, S006: an added runner takes the surplus and no more, and hands it back when it is stopped, without a duplicate', async () => {
    grow();
    const before = await balanced();
    await mesh.add('task-runner', 't4');
    const with4 = await balanced();
    for (const { ownerRunner } of movedBetween(before, with4)) assert.equal(ownerRunner, 't4');
    assert.equal(await mesh.get('t4').signal('SIGTERM'), 0);
    const without4 = await balanced();
    for (const { id } of movedBetween(with4, without4)) assert.equal(with4.find((unit) => unit.id === id)?.ownerRunner, 't4');
    await assertAllArrived();
  });

  it('a drained runner gives everything away without a duplicate, says so, and takes its share again when undrained', async () => {
    grow();
    await balanced();
    assert.match(
      await mesh.cli('runners', 'drain', 't2', '--wait'),
      /tasks\/.* {2}t2 → t[13]\n(?:.*\n)*t2 is drained: [1-9]\d* unit\(s\) move, 0 stop/,
    );
    await runOn(['t1', 't3']);
    const drained = (await runners()).runners.find(({ id }) => id === 't2');
    assert.deepEqual([drained?.draining, drained?.ownedUnits], [true, 0]);
    const { units: explained } = ExplainResponse.fromJSON(await mesh.request('GET', '/v1/connectors/a-in:explain?task=0'));
    assert.equal(explained[0]?.runners.find(({ runner }) => runner === 't2')?.obstacle, 'it is draining');
    assert.match(await mesh.cli('runners'), /t2 +DRAINING +0 /);
    await mesh.cli('runners', 'undrain', 't2');
    await balanced();
    await assertAllArrived();
  });

  it('S016: the leading scheduler is killed: another leads, nothing moves', async () => {
    const before = await balanced();
    const { leader } = await runners();
    await mesh.get(leader).signal('SIGKILL');
    const other = leader === 's1' ? 's2' : 's1';
    await waitFor(async () => (await runners()).leader === other, 'the other leads', LEASE_TTL_MS + 20_000);
    assert.deepEqual(movedBetween(before, await balanced()), []);
    await mesh.add('scheduler', leader);
  });

  it('a config-service is killed: requests and commits go to the other, nothing moves, no line is doubled', async () => {
    grow();
    const before = await balanced();
    await mesh.get('c1').signal('SIGKILL');
    for (let i = 0; i < 6; i++) assert.equal((await mesh.request<string[]>('GET', '/connectors')).length, 4);
    await assertAllArrived();
    assert.deepEqual(movedBetween(before, await balanced()), []);
    await mesh.add('config-service', 'c1');
  });

  it('a gateway is killed: the other serves on, nothing moves', async () => {
    const before = await balanced();
    await mesh.get('g1').signal('SIGKILL');
    assert.deepEqual(movedBetween(before, await balanced()), []);
    await mesh.add('gateway', 'g1');
  });

  it('S004: a source that gets another topic restarts, and goes on in the new one', async () => {
    const files = new NumberedFiles(folder, 'd', 2);
    const config = { 'connector.class': 'FileStreamSource', file: files.glob, 'tasks.max': '2', 'refresh.interval.ms': '200' };
    await mesh.connector('d-in', { ...config, topic: topicOf('d1') });
    const before = await mesh.running({ 'd-in': 2 });
    await mesh.request('PUT', '/connectors/d-in/config', { ...config, topic: topicOf('d2') });
    const restarted = async (): Promise<boolean> =>
      movedBetween(before, await mesh.running({ 'd-in': 2 })).filter(isTaskOf('d-in')).length === 2;
    await waitFor(restarted, 'both tasks are of another generation');
    await mesh.connector('d-out', { 'connector.class': 'FileStreamSink', file: copyOf('d'), topics: topicOf('d2') });
    files.grow(100);
    const copied = (): string[] => (existsSync(copyOf('d')) ? readFileSync(copyOf('d'), 'utf8').split('\n') : []);
    await waitFor(() => copied().filter((line) => line.startsWith('0:')).length >= 100, 'a hundred records are in the new topic');
    assert.equal(new Set(copied()).size, copied().length, 'none is doubled');
    for (const name of ['d-in', 'd-out']) await mesh.request('DELETE', `/connectors/${name}`);
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`S028: each runner is bounced by ${signal} while lines flow: none is lost or doubled, and all are in order`, async () => {
      grow();
      for (const id of ['t2', 't3', 't1']) {
        await mesh.running(tasks);
        await mesh.get(id).signal(signal);
        await mesh.add('task-runner', id);
      }
      await balanced();
      await assertAllArrived();
    });
  }

  it('S008: two runners are killed and come back: everything runs on, once, and is balanced again', async () => {
    grow();
    await balanced();
    await Promise.all([mesh.get('t1').signal('SIGKILL'), mesh.get('t2').signal('SIGKILL')]);
    await runOn(['t3']);
    await mesh.add('task-runner', 't1');
    await mesh.add('task-runner', 't2');
    await balanced();
    await assertAllArrived();
  });

  it('S002: while etcd is away runners stop their tasks by themselves and health says so; then each task starts again, once', async () => {
    grow();
    const before = await balanced();
    const claims = new Map(before.map(({ id }) => [id, owners.claimsOf(id)]));
    await etcd.first.kill();
    const stopped = (): boolean => mesh.all('task-runner').every(({ output }) => /the session is over/.test(output()));
    await waitFor(stopped, 'every runner has ended its tasks', LEASE_TTL_MS + 20_000);
    for (const gateway of mesh.all('gateway')) {
      const health = await fetch(`${gateway.url}/health`);
      assert.equal(health.status, 503);
      assert.match(await health.text(), /metadata store/);
    }
    await waitFor(() => lines.get('a')?.faults(copyOf('a')).missing !== 0, 'lines wait');
    await etcd.first.restart();
    assert.deepEqual(
      mesh
        .all('task-runner')
        .map(({ id }) => id)
        .sort(),
      ['t1', 't2', 't3'],
      'the same processes',
    );
    // Until their leases are over, etcd knows the claims of before.
    const claimedAgain = (): boolean => before.every(({ id }) => owners.claimsOf(id) > (claims.get(id) ?? 0));
    await waitFor(claimedAgain, 'every unit is claimed again', LEASE_TTL_MS + 60_000);
    await balanced();
    for (const gateway of mesh.all('gateway')) {
      await waitFor(async () => (await fetch(`${gateway.url}/health`)).status === 200, 'health is well again');
    }
    await assertAllArrived();
    for (const { id } of before) assert.equal(owners.claimsOf(id), (claims.get(id) ?? 0) + 1, id);
  });
});

describe('a small mesh that is restarted as a whole', function () {
  this.timeout(180_000);
  let etcd: EtcdCluster;
  let folder: string;
  before(async function () {
    await useRocketmq(this);
    etcd = await EtcdCluster.start();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rmqc-mesh-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  after(() => etcd?.stop());

  for (const [what, isEncrypted] of [
    ['in clear', false],
    ['by mutual TLS', true],
  ] as const) {
    it(`S029: goes on where it stopped, every line once and in order; its processes talk ${what}`, async () => {
      const args = isEncrypted ? meshTlsFlags(await createCertificates(folder)) : [];
      const topic = `mesh-${Date.now().toString(36)}`;
      const lines = new NumberedFiles(folder, 'e', 2);
      const copy = join(folder, 'copy.txt');
      const options = { etcd: etcd.endpoints, nameServer: rocketmq.nameServer, cluster: topic, folder, args };
      const counts = { 'config-service': 1, scheduler: 1, 'task-runner': 2, gateway: 1 };
      const first = new Mesh(options);
      const second = new Mesh(options);
      try {
        await first.start(counts);
        await first.connector('in', { 'connector.class': 'FileStreamSource', file: lines.glob, topic, 'tasks.max': '2' });
        await first.connector('out', { 'connector.class': 'FileStreamSink', file: copy, topics: topic });
        await first.running({ in: 2, out: 1 });
        lines.grow(200);
        await lines.arrived(copy);
        await first.stop();
        lines.grow(200);
        await second.start(counts);
        await second.running({ in: 2, out: 1 });
        assert.deepEqual(await lines.arrived(copy), { missing: 0, doubled: 0, disordered: 0 });
        if (isEncrypted) await assertRefusesStrangers(second);
      } catch (error) {
        process.stdout.write(`${first.outputs()}\n${second.outputs()}\n`);
        throw error;
      } finally {
        await first.stop();
        await second.stop();
      }
    });
  }

  it('S029: is stopped as a whole, all at once: a task that takes its time to stop still finds a config-service to commit through', async () => {
    const cluster = `mesh-${Date.now().toString(36)}`;
    const store = await EtcdStore.open({ endpoints: etcd.endpoints });
    const owners = new OwnershipWatch(store, clusterKeys(cluster));
    const args = ['--plugins', join(import.meta.dirname, 'support', 'misbehaving.ts')];
    const mesh = new Mesh({ etcd: etcd.endpoints, nameServer: rocketmq.nameServer, cluster, folder, args });
    try {
      await mesh.start({ 'config-service': 1, scheduler: 1, 'task-runner': 1, gateway: 1 });
      await mesh.connector('in', { 'connector.class': 'MisbehavingSource', topic: cluster, hook: 'stop', does: 'dawdle' });
      await mesh.running({ in: 1 });
      const all = ['c1', 's1', 't1', 'g1'];
      assert.deepEqual(await Promise.all(all.map((id) => mesh.get(id).signal('SIGTERM'))), [0, 0, 0, 0]);
      await waitFor(() => ['connectors/in', 'tasks/in/0'].every((unit) => owners.ownerOf(unit) === undefined), 'all are free');
      assert.deepEqual([owners.lost, owners.violations], [[], []]);
      assert.doesNotMatch(mesh.outputs(), /released without/);
    } catch (error) {
      process.stdout.write(`${mesh.outputs()}\n`);
      throw error;
    } finally {
      await mesh.stop();
      owners.close();
      await store.close();
    }
  });

  /** Neither without a certificate nor with one of another authority. */
  const assertRefusesStrangers = async (mesh: Mesh): Promise<void> => {
    const strange = await createCertificates(mkdtempSync(join(folder, 'strange-')));
    const own = readFileSync(join(folder, 'ca.pem'));
    const [config] = mesh.all('config-service');
    for (const tls of [undefined, { ca: own, cert: readFileSync(strange.cert), key: readFileSync(strange.key) }]) {
      const rpc = new GrpcRpc(tls);
      await assert.rejects(rpc.client(HealthDefinition, () => [config?.grpc ?? '']).check({ service: '' }), { kind: 'unavailable' });
      await rpc.close();
    }
  };
});

function isTaskOf(name: string) {
  return ({ connector, task }: Unit): boolean => connector === name && task >= 0;
}

function meshTlsFlags({ ca, cert, key }: Certificates): string[] {
  return ['--mesh-tls-ca-file', ca, '--mesh-tls-cert-file', cert, '--mesh-tls-key-file', key];
}
