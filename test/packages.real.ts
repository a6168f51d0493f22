import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages } from './support/installed-version.ts';
import { startStandalone, waitFor } from './support/standalone.ts';

const ROOT = new URL('..', import.meta.url).pathname;

describe('the published packages', function () {
  this.timeout(300_000);
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'rmqc-packages-'));
    installPackages(ROOT, folder);
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('are JavaScript', () => {
    const inPackages = globSync('node_modules/{@rocketmq-connect/*,rocketmq-connect}/**/*.ts', { cwd: folder });
    assert.deepEqual(
      inPackages.filter((file) => !file.endsWith('.d.ts')),
      [],
    );
  });

  it('run the whole mesh from npx, and a connector of the user', async () => {
    copyFileSync(join(ROOT, 'examples/first-connector/ticker.ts'), join(folder, 'ticker.ts'));
    const bin = join(folder, 'node_modules/.bin/rocketmq-connect');
    const mesh = await startStandalone({ bin, cwd: folder, dataDir: join(folder, 'data'), args: ['--plugins', 'ticker.ts'] });
    try {
      const ticks = join(folder, 'ticks.txt');
      await mesh.request('PUT', '/connectors/ticker/config', { 'connector.class': 'Ticker', topic: 'ticks', 'interval.ms': '20' });
      await mesh.request('PUT', '/connectors/ticks/config', { 'connector.class': 'FileStreamSink', topics: 'ticks', file: ticks });
      await waitFor(() => existsSync(ticks) && readFileSync(ticks, 'utf8').startsWith('tick 1\ntick 2\n'), 'the ticks arrive', 60_000);
      const [lines, copy] = ['lines.txt', 'copy.txt'].map((name) => join(folder, 'data/quickstart', name)) as [string, string];
      await waitFor(
        () => existsSync(copy) && readFileSync(copy, 'utf8') === readFileSync(lines, 'utf8'),
        'the quickstart is copied',
        60_000,
      );
      assert.equal(await mesh.interrupt(), 0, mesh.output());
    } finally {
      if (mesh.child.exitCode === null) await mesh.kill();
    }
  });

  it('have the types that authors of connectors need', () => {
    const compilerOptions = {
      noEmit: true,
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['ticker.ts'] }));
    const compiler = join(ROOT, 'node_modules/typescript-native/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  });
});
