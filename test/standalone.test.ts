import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get, type RequestOptions } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createCertificates } from './support/certificates.ts';
import { type StandaloneProcess, spawnStandalone, startStandalone, waitFor } from './support/standalone.ts';

const ROOT = new URL('..', import.meta.url).pathname;

interface Status {
  readonly connector: { readonly state: string };
  readonly tasks: readonly { readonly id: number; readonly state: string; readonly trace?: string }[];
}

describe('standalone', function () {
  this.timeout(60_000);
  let cwd: string;
  let dataDir: string;
  const running: Pick<StandaloneProcess, 'kill' | 'child'>[] = [];

  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'rmqc-standalone-'));
    dataDir = join(cwd, 'data');
  });
  afterEach(async () => {
    for (const process of running.splice(0)) if (process.child.exitCode === null && process.child.signalCode === null) await process.kill();
    rmSync(cwd, { recursive: true, force: true });
  });

  const start = async (...args: string[]): Promise<StandaloneProcess> => {
    const process = await startStandalone({ dataDir, cwd, args });
    running.push(process);
    return process;
  };
  /** Starts where a start must fail; resolves to what it said. */
  const refused = async (...args: string[]): Promise<string> => {
    const process = spawnStandalone({ dataDir, cwd, args });
    running.push(process);
    await waitFor(() => process.child.exitCode !== null, 'it refuses to start');
    assert.equal(process.child.exitCode, 1);
    assert.doesNotMatch(process.output(), /^ +at .*:\d+:\d+/m, 'no stack trace');
    return process.output();
  };
  const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

  it('copies the quickstart, takes appended lines, stops cleanly and goes on where it stopped', async () => {
    const lines = join(dataDir, 'quickstart/lines.txt');
    const copy = join(dataDir, 'quickstart/copy.txt');
    const first = await start();
    await waitFor(() => existsSync(lines) && textOf(copy) === textOf(lines), 'the copy equals the lines');
    assert.ok(textOf(copy).length > 1000);
    appendFileSync(lines, 'while it runs\n');
    await waitFor(() => textOf(copy).endsWith('while it runs\n'), 'the appended line arrives');
    assert.equal(await first.interrupt(), 0);
    assert.match(first.output(), /stopped/);
    appendFileSync(lines, 'while it is down\n');
    const second = await start();
    await waitFor(() => textOf(copy).endsWith('while it is down\n'), 'the line appended meanwhile arrives');
    assert.equal(textOf(copy), textOf(lines));
    const status = await second.request<Status>('GET', '/connectors/quickstart-sink/status');
    assert.equal(status.connector.state, 'RUNNING');
    assert.equal(await second.interrupt(), 0);
  });

  it('stops cleanly when it is asked to while it starts', async () => {
    const process = spawnStandalone({ dataDir, cwd });
    running.push(process);
    await waitFor(() => /joined the cluster/.test(process.output()), 'it is starting');
    assert.equal(await process.interrupt(), 0, process.output());
    assert.match(process.output(), /stopped\n$/);
  });

  it("stops cleanly when npm's shell is ended, which tells it nothing", async function () {
    if (process.platform === 'win32') return this.skip();
    const script = `'${process.execPath}' '${ROOT}cli/bin/rocketmq-connect.js' standalone --data-dir '${dataDir}' --rest-port 0 --grpc-port 0; true`;
    const shell = spawn('sh', ['-c', script], { cwd, env: { PATH: process.env['PATH'], npm_lifecycle_event: 'start' } });
    let output = '';
    shell.stdout.on('data', (chunk: Buffer) => (output += chunk));
    await waitFor(() => output.includes('is ready'), 'it is ready');
    shell.kill('SIGTERM');
    await waitFor(() => output.endsWith('stopped\n'), 'it has stopped');
  });

  it('goes on at once after kill -9: no old lease is waited for, no line lost or doubled', async () => {
    const lines = join(dataDir, 'quickstart/lines.txt');
    const copy = join(dataDir, 'quickstart/copy.txt');
    const first = await start();
    await waitFor(() => existsSync(lines) && textOf(copy) === textOf(lines), 'the copy equals the lines');
    await first.kill();
    appendFileSync(lines, 'after the kill\n');
    await start();
    await waitFor(() => textOf(copy).endsWith('after the kill\n'), 'it goes on', 8_000);
    assert.equal(textOf(copy), textOf(lines));
  });

  it("runs the README's connector of twenty lines", async () => {
    const plugin = join(ROOT, 'examples/first-connector/ticker.ts');
    const code = readFileSync(plugin, 'utf8');
    assert.ok(readFileSync(join(ROOT, 'README.md'), 'utf8').includes(code), 'the README shows the file as it is');
    assert.ok(code.trimEnd().split('\n').length <= 20);
    const mesh = await start('--no-quickstart', '--plugins', plugin);
    await mesh.request('POST', '/connectors', {
      name: 'ticker',
      config: { 'connector.class': 'Ticker', topic: 'ticks', 'interval.ms': '10' },
    });
    await mesh.request('POST', '/connectors', {
      name: 'ticks-to-file',
      config: { 'connector.class': 'FileStreamSink', topics: 'ticks', file: join(cwd, 'ticks.txt') },
    });
    await waitFor(() => textOf(join(cwd, 'ticks.txt')).startsWith('tick 1\ntick 2\ntick 3\n'), 'ticks arrive in order');
  });

  it('serves REST over TLS to whoever trusts its authority, the command line too, and to nobody in clear', async () => {
    const { ca, cert, key } = await createCertificates(cwd);
    const alone = await refused('--no-quickstart', '--rest-tls-cert-file', cert);
    assert.match(alone, /restTls\.keyFile is missing[\s\S]*--rest-tls-key-file/);
    const mesh = await start('--no-quickstart', '--rest-tls-cert-file', cert, '--rest-tls-key-file', key);
    assert.match(mesh.url, /^https:/);
    const statusOf = (options: RequestOptions): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get(`${mesh.url}/connectors`, options, (response) => resolve(response.resume().statusCode)).on('error', reject);
      });
    assert.equal(await statusOf({ ca: readFileSync(ca) }), 200);
    await assert.rejects(statusOf({}), /certificate/);
    await assert.rejects(fetch(`${mesh.url.replace('https', 'http')}/connectors`));
    const env = { PATH: process.env['PATH'], RMQC_URL: mesh.url, NODE_EXTRA_CA_CERTS: ca };
    const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'cli/bin/rocketmq-connect.js'), 'plugins'], { env });
    assert.match(stdout, /FileStreamSource/);
  });

  it('refuses a data folder that is in use, naming the process', async () => {
    const first = await start('--no-quickstart');
    assert.match(await refused(), new RegExp(`in use.*${first.child.pid}`));
  });

  it('refuses a port in use, naming the setting', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const port = String((blocker.address() as { port: number }).port);
    try {
      const output = await refused('--rest-port', port);
      assert.match(output, new RegExp(port));
      assert.match(output, /--rest-port/);
      assert.match(await refused('--grpc-port', port), /--grpc-port/);
    } finally {
      blocker.close();
    }
  });

  it('refuses a data folder where none can be made, at once', async function () {
    if (process.platform !== 'linux') return this.skip();
    assert.match(await refused('--data-dir', '/proc/rmqc/data'), /cannot create the data folder \/proc\/rmqc\/data .*\n.*\n.*--data-dir/);
  });

  it('refuses a data folder that is a file, a broken store and a broken setting, each with a remedy', async () => {
    writeFileSync(dataDir, 'not a folder');
    assert.match(await refused(), /data folder.*\n.*--data-dir|--data-dir/);
    rmSync(dataDir);
    assert.match(await refused('--rest-port', 'x'), /--rest-port.*whole number/);
  });

  it('survives bad configurations: each is refused with the field, or its task FAILED with the reason', async () => {
    const mesh = await start('--no-quickstart');
    await assert.rejects(mesh.request('POST', '/connectors', { name: 'a', config: { 'connector.class': 'Nonsense' } }), /400.*Nonsense/);
    await assert.rejects(
      mesh.request('POST', '/connectors', { name: 'a', config: { 'connector.class': 'FileStreamSource' } }),
      /400.*topic/,
    );
    await mesh.request('POST', '/connectors', {
      name: 'unreadable',
      config: { 'connector.class': 'FileStreamSource', file: cwd, topic: 't' },
    });
    const status = () => mesh.request<Status>('GET', '/connectors/unreadable/status');
    await waitFor(async () => (await status()).tasks[0]?.state === 'FAILED', 'a task on a folder fails');
    assert.match((await status()).tasks[0]?.trace ?? '', /file/);
    await mesh.request('DELETE', '/connectors/unreadable');
    assert.deepEqual(await mesh.request('GET', '/connectors'), []);
  });
});
