import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { EtcdCluster } from './support/etcd-cluster.ts';
import { type StandaloneProcess, startStandalone } from './support/standalone.ts';
import { until } from './support/until.ts';

describe('The mesh on an etcd that fails', function () {
  this.timeout(180_000);
  let directory: string;
  let etcd: EtcdCluster;
  let mesh: StandaloneProcess;
  let lines = 0;
  let lineFile: string;
  let copyFile: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'etcd-standalone-'));
    etcd = await EtcdCluster.start();
    const dataDir = join(directory, 'data');
    mesh = await startStandalone({
      dataDir,
      cwd: directory,
      args: ['--etcd', etcd.endpoints.join(','), '--lease-ttl-ms', '8000', '--offsets-commit-interval-ms', '200'],
    });
    [lineFile, copyFile] = [join(dataDir, 'quickstart', 'lines.txt'), join(dataDir, 'quickstart', 'copy.txt')];
    await until(() => existsSync(copyFile));
    lines = contentOf(lineFile).length;
    await copied();
  });
  after(async () => {
    etcd.first.thaw();
    await mesh.kill();
    await etcd.stop();
    rmSync(directory, { recursive: true });
  });

  const contentOf = (file: string): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');
  const write = (count: number): void => {
    for (let i = 0; i < count; i++) appendFileSync(lineFile, `line ${lines++}\n`);
  };
  const copied = async (): Promise<void> => {
    await until(() => contentOf(copyFile).length >= lines, 60_000);
    assert.deepEqual(contentOf(copyFile), contentOf(lineFile), 'every line once, in order');
  };
  const ends = (): number => mesh.output().split('the session is over').length - 1;

  it('S135: ends its tasks when etcd freezes beyond the lease, and goes on when it is back: no line lost, none twice', async () => {
    write(100);
    etcd.first.freeze();
    write(100);
    await until(() => ends() === 1);
    write(100);
    // Until the lease that it had is certainly over.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    etcd.first.thaw();
    await copied();
    assert.equal(ends(), 1);
  });

  it('S135: does not notice a restart of etcd that is shorter than the lease', async () => {
    const before = ends();
    write(100);
    await etcd.first.kill();
    write(100);
    await etcd.first.restart();
    write(100);
    await copied();
    assert.equal(ends(), before);
  });

  it('ends its tasks, and refuses to go on, when etcd is set back', async () => {
    await etcd.first.wipe();
    await etcd.first.restart();
    await until(() => /set back/.test(mesh.output()));
    await until(() => /every task of this runner ends/.test(mesh.output()));
    const store = await EtcdStore.open({ endpoints: etcd.endpoints });
    // Nothing of what it remembers is written again: neither units nor the runner itself.
    const { kvs } = await store.range(clusterKeys('default').root);
    assert.deepEqual(
      kvs.filter(({ key }) => !key.endsWith('/leader')),
      [],
    );
    await store.close();
    await assert.rejects(mesh.request('GET', '/connectors'), /set back/);
  });
});
