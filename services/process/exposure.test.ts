import assert from 'node:assert/strict';
import { loadSettings } from '@rocketmq-connect/configuration';
import { ConnectError } from '@rocketmq-connect/sdk';
import { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { quietLogger } from '../../test/support/quiet-logger.ts';
import { advertisedAddress } from './advertised.ts';
import { checkExposure, checkLogExposure, checkRestExposure } from './exposure.ts';
import { meshTls } from './pem-files.ts';
import { openStore } from './store.ts';

const settingsOf = (flags: Record<string, string>) => loadSettings({ flags, env: {}, cwd: import.meta.dirname }).settings;

function refusal(act: () => unknown): ConnectError | null {
  try {
    act();
    return null;
  } catch (error) {
    assert.ok(error instanceof ConnectError && error.kind === 'config');
    return error;
  }
}

describe('what a process exposes', () => {
  const refused = (check: (settings: ReturnType<typeof settingsOf>) => void, flags: Record<string, string>) =>
    refusal(() => check(settingsOf(flags)))?.field;

  it('is nothing in clear beyond loopback, unless it is asked for by name', () => {
    const cases: [typeof checkExposure, Record<string, string>, string][] = [
      [checkExposure, { bind: '10.0.0.1' }, 'bind'],
      [checkExposure, { bind: '::', advertise: 'a' }, 'bind'],
      [checkExposure, { etcd: '127.0.0.1:2379,etcd:2379' }, 'etcd'],
      [checkExposure, { 'peers-config': 'other:9083' }, 'peers.config'],
      [checkRestExposure, { bind: '10.0.0.1' }, 'bind'],
      [checkRestExposure, { 'rest-host': '10.0.0.1' }, 'rest.host'],
      [checkLogExposure, { 'rocketmq-namesrv': 'localhost:9876,namesrv:9876' }, 'rocketmq.namesrv'],
    ];
    for (const [check, flags, field] of cases) {
      assert.equal(refused(check, flags), field, JSON.stringify(flags));
      assert.equal(refused(check, { ...flags, insecure: 'true' }), undefined);
    }
  });

  it('is fine on loopback, and with TLS', () => {
    const mesh = { 'mesh-tls-ca-file': 'a', 'mesh-tls-cert-file': 'b', 'mesh-tls-key-file': 'c' };
    assert.equal(refused(checkExposure, { etcd: '127.0.0.1:1,[::1]:2', 'peers-runner': 'localhost:1' }), undefined);
    assert.equal(refused(checkExposure, { bind: '10.0.0.1', 'peers-config': 'other:1', ...mesh }), undefined);
    assert.equal(refused(checkExposure, { etcd: 'etcd:2379', 'etcd-tls-ca-file': 'a' }), undefined);
    assert.equal(refused(checkRestExposure, { bind: '10.0.0.1', 'rest-host': '127.0.0.1' }), undefined);
    assert.equal(refused(checkRestExposure, { bind: '10.0.0.1', 'rest-tls-cert-file': 'a' }), undefined);
    assert.equal(refused(checkLogExposure, { 'rocketmq-namesrv': 'namesrv:9876', 'rocketmq-tls': 'true' }), undefined);
    assert.equal(refused(checkLogExposure, { 'rocketmq-namesrv': 'namesrv:9876', 'rocketmq-tls-ca-file': 'a' }), undefined);
  });

  it('says what to give instead', () => {
    const error = refusal(() => checkExposure(settingsOf({ bind: '0.0.0.0', advertise: 'me' })));
    assert.match(error?.remedy ?? '', /--mesh-tls-ca-file, --mesh-tls-cert-file and --mesh-tls-key-file.*--insecure/);
  });
});

describe('the address that others are told', () => {
  const advertised = (flags: Record<string, string>) => advertisedAddress(settingsOf(flags), 9083);

  it('is the one that it listens on, or the given one, with its port unless it has its own', () => {
    assert.equal(advertised({}), '127.0.0.1:9083');
    assert.equal(advertised({ bind: '::1' }), '[::1]:9083');
    assert.equal(advertised({ bind: '0.0.0.0', advertise: 'node-7' }), 'node-7:9083');
    assert.equal(advertised({ bind: '0.0.0.0', advertise: 'node-7:30083' }), 'node-7:30083');
    assert.equal(advertised({ advertise: 'fd00::7' }), '[fd00::7]:9083');
  });

  it('must be given where a process of a cluster listens on every address', () => {
    assert.equal(refusal(() => advertised({ bind: '0.0.0.0', etcd: '127.0.0.1:2379' }))?.field, 'advertise');
    assert.equal(advertised({ bind: '0.0.0.0' }), '127.0.0.1:9083');
  });
});

describe('the files of a process', () => {
  it('are all three of mutual TLS, or none', () => {
    const read = (flags: Record<string, string>) => meshTls(settingsOf(flags), import.meta.dirname);
    assert.equal(read({}), undefined);
    assert.equal(refusal(() => read({ 'mesh-tls-cert-file': 'a', 'mesh-tls-key-file': 'b' }))?.field, 'meshTls.caFile');
    const none = { 'mesh-tls-ca-file': 'no-such.pem', 'mesh-tls-cert-file': 'a', 'mesh-tls-key-file': 'b' };
    assert.match(refusal(() => read(none))?.message ?? '', /cannot read .*no-such\.pem \(ENOENT\)/);
    assert.match(refusal(() => read({ ...none, 'mesh-tls-ca-file': 'package.json' }))?.message ?? '', /package\.json is no PEM file/);
  });

  it('are no store of its own in a cluster', async () => {
    const error = await openStore(undefined, settingsOf({}), false, quietLogger, new Metrics()).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ConnectError);
    assert.deepEqual([error.field, error.code], ['etcd', 'ETCD_MISSING']);
    assert.match(error.remedy ?? '', /--etcd host:port/);
  });
});
