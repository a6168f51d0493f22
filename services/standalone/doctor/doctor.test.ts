import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings } from '@rocketmq-connect/configuration';
import { skewOf } from './etcd.ts';
import { checkFiles, checkMemory, checkNode, checkSpace } from './machine.ts';
import { examine, type Finding } from './main.ts';

describe('the doctor', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rmqc-doctor-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const examined = async (flags: Record<string, string>): Promise<Finding[]> => {
    const findings: Finding[] = [];
    await examine(loadSettings({ flags: { 'data-dir': join(folder, 'data'), ...flags }, env: {}, cwd: folder }), (one) =>
      findings.push(one),
    );
    return findings;
  };
  const failedOnes = (findings: readonly Finding[]): string[] =>
    findings.filter(({ state }) => state === 'failed').map(({ check }) => check);

  it('finds nothing wrong with a standalone that can work, and changes nothing', async () => {
    const findings = await examined({});
    assert.deepEqual(failedOnes(findings), []);
    assert.ok(findings.some(({ check, detail }) => check === 'etcd' && /not used/.test(detail)));
    assert.ok(findings.some(({ check, detail }) => check === 'plugins' && /\d+ are loaded/.test(detail)));
  });

  it('names servers that cannot be reached, bad plugins and what is open in clear, and says for each what to do', async () => {
    const silent = createServer();
    const port = await new Promise<number>((resolve) => {
      silent.listen(0, '127.0.0.1', () => resolve((silent.address() as { port: number }).port));
    });
    await new Promise((resolve) => silent.close(resolve));
    writeFileSync(join(folder, 'bad.ts'), 'throw new Error("it is bad");');
    const address = `127.0.0.1:${port}`;
    const findings = await examined({ etcd: address, 'rocketmq-namesrv': address, plugins: join(folder, 'bad.ts'), bind: '10.0.0.1' });
    assert.deepEqual(failedOnes(findings), ['exposure', `etcd ${address}`, `name server ${address}`, `plugin ${join(folder, 'bad.ts')}`]);
    for (const { check, state, remedy } of findings) assert.equal(remedy === undefined, state === 'ok', check);
    assert.match(findings.find(({ check }) => check === `etcd ${address}`)?.detail ?? '', /ECONNREFUSED/);
  });

  it('judges what a machine gives', () => {
    const { settings } = loadSettings({ flags: { 'runner-hosts': '2', 'runner-host-heap-mb': '512' }, env: {}, cwd: folder });
    const states = [
      [checkNode('20.19.0'), 'failed'],
      [checkNode('22.22.0'), 'ok'],
      [checkFiles(256)[0], 'failed'],
      [checkFiles(1_024)[0], 'warning'],
      [checkFiles(65_536)[0], 'ok'],
      [checkSpace('disk', 100), 'failed'],
      [checkSpace('disk', 1_000), 'warning'],
      [checkSpace('disk', 100_000), 'ok'],
      [checkMemory(settings, 1_000), 'warning'],
      [checkMemory(settings, 2_000), 'ok'],
      [skewOf('clock', -500), 'ok'],
      [skewOf('clock', 5_000), 'warning'],
      [skewOf('clock', -60_000), 'failed'],
    ] as const;
    for (const [finding, state] of states) assert.equal(finding?.state, state, JSON.stringify(finding));
  });
});
