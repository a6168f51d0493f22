import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConnectError } from '@rocketmq-connect/sdk';
import { configurationMarkdown } from './describe.ts';
import { loadSettings } from './load.ts';

describe('configuration', () => {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'rmqc-config-'));
  });
  afterEach(() => rmSync(cwd, { recursive: true }));

  const load = (flags: Record<string, string | boolean> = {}, env: Record<string, string> = {}, yaml?: string) => {
    if (yaml !== undefined) writeFileSync(join(cwd, 'rocketmq-connect.yaml'), yaml);
    return loadSettings({ flags, env, cwd });
  };
  const problemsOf = (act: () => unknown): string => {
    try {
      act();
    } catch (error) {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.kind, 'config');
      return error.message;
    }
    throw new Error('it was accepted');
  };

  it('has defaults for everything', () => {
    const { settings, origins } = load();
    assert.equal(settings.rest.port, 8083);
    assert.equal(settings.bind, '127.0.0.1');
    assert.equal(origins['rest.port'], 'default');
  });

  it('lets a flag win over a variable, and a variable over the file', () => {
    const yaml = 'rest:\n  port: 1000\ngrpc:\n  port: 1001\nrunner:\n  zone: a\n';
    const { settings, origins } = load({ 'rest-port': '3000' }, { RMQC_REST_PORT: '2000', RMQC_GRPC_PORT: '2001' }, yaml);
    assert.deepEqual([settings.rest.port, settings.grpc.port, settings.runner.zone], [3000, 2001, 'a']);
    assert.equal(origins['rest.port'], 'flag --rest-port');
    assert.equal(origins['grpc.port'], 'variable RMQC_GRPC_PORT');
    assert.match(origins['runner.zone'] ?? '', /rocketmq-connect\.yaml:6$/);
  });

  it('names the place, the expectation and every problem at once', () => {
    const text = problemsOf(() =>
      load({ 'grpc-port': 'x' }, { RMQC_LOG_LEVEL: 'loud', RMQC_REST_POT: '1' }, 'rest:\n  port: 99999\n  pot: 1\n'),
    );
    assert.match(text, /yaml:2: rest\.port must be a whole number from 0 to 65535, not 99999/);
    assert.match(text, /yaml:3: no such setting: rest\.pot \(did you mean rest\.port\?\)/);
    assert.match(text, /flag --grpc-port: grpc\.port must be a whole number from 0 to 65535, not "x"/);
    assert.match(text, /variable RMQC_LOG_LEVEL: log\.level must be one of trace, debug/);
    assert.match(text, /variable RMQC_REST_POT: no such setting \(did you mean RMQC_REST_PORT\?\)/);
  });

  it('takes secrets by reference only, and shows none', () => {
    const reference = '${env:A}${file:/b}';
    assert.equal(load({ 'rocketmq-secret-key': reference }).settings.rocketmq.secretKey, reference);
    const text = problemsOf(() => load({ 'rocketmq-secret-key': 'hunter2' }, { RMQC_ETCD_AUTH_PASSWORD: 'hunter2${env:A}' }));
    assert.match(text, /flag --rocketmq-secret-key: rocketmq\.secretKey must refer to the secret/);
    assert.match(text, /variable RMQC_ETCD_AUTH_PASSWORD: etcdAuth\.password must refer to the secret/);
    assert.doesNotMatch(text, /hunter2/);
  });

  const bad: [string, string, RegExp][] = [
    ['broken YAML', 'rest: [1\n', /yaml:\d+: .*correct the YAML/],
    ['a list at the top', '- 1\n', /must hold a map/],
    ['a value where a section is', 'rest: 8083\n', /rest is a section/],
    ['a map where a value is', 'cluster: {a: 1}\n', /cluster must be a text/],
    ['a list of numbers', 'plugins: [1]\n', /plugins must be a list of texts/],
    ['an empty name', 'cluster: ""\n', /cluster must be a text of 1 to 100 characters/],
  ];
  for (const [what, yaml, expected] of bad)
    it(`refuses ${what}`, () =>
      assert.match(
        problemsOf(() => load({}, {}, yaml)),
        expected,
      ));

  it('refuses a named file that is not there', () => {
    assert.match(
      problemsOf(() => loadSettings({ flags: {}, env: {}, file: 'nowhere.yaml', cwd })),
      /cannot read .*nowhere\.yaml \(ENOENT\)/,
    );
  });

  it('is documented by docs/configuration.md as it is', () => {
    assert.equal(readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8'), configurationMarkdown());
  });
});
