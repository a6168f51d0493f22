import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkLayout, checkPermissions, clusterKeys, WRITES } from '@rocketmq-connect/cluster';
import { prefixRange } from '@rocketmq-connect/metadata-store';
import { EtcdStore, type EtcdStoreOptions } from '@rocketmq-connect/metadata-store/etcd';
import type { ConnectError } from '@rocketmq-connect/sdk';
import { Etcd3 } from 'etcd3';
import { EtcdCluster } from './support/etcd-cluster.ts';
import { until } from './support/until.ts';

const keys = clusterKeys('c');
const root = { username: 'root', password: 'root-pw' };

describe('The metadata store on an etcd with users', function () {
  this.timeout(120_000);
  let cluster: EtcdCluster;
  let admin: Etcd3;
  const stores: EtcdStore[] = [];

  before(async () => {
    cluster = await EtcdCluster.start();
    const open = new Etcd3({ hosts: [...cluster.endpoints] });
    await open.user('root').create(root.password);
    await open.role('root').create();
    await open.user('root').addRole('root');
    for (const service of Object.keys(WRITES)) await grantRole(open, service);
    await open.auth.authEnable();
    open.close();
    admin = new Etcd3({ hosts: [...cluster.endpoints], auth: root });
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });
  after(async () => {
    admin.close();
    await cluster.stop();
  });

  async function openAs(username: string, password = `${username}-pw`): Promise<EtcdStore> {
    const store = await EtcdStore.open({ endpoints: cluster.endpoints, auth: { username, password } });
    stores.push(store);
    return store;
  }
  const put = (store: EtcdStore, key: string) => store.txn({ compare: [], then: [{ op: 'put', key, value: 'x' }] });

  it('refuses a wrong password, an unknown user and none at all, and says what to do', async () => {
    const denied = (error: ConnectError): boolean =>
      error.kind === 'denied' &&
      error.code === 'STORE_UNAUTHENTICATED' &&
      error.field === 'etcdAuth.username' &&
      !error.message.includes('wrong');
    await assert.rejects(openAs('config-service', 'wrong'), denied);
    await assert.rejects(openAs('nobody'), denied);
    await assert.rejects(EtcdStore.open({ endpoints: cluster.endpoints }), denied);
  });

  it('lets each service work with a role that writes its own keys and reads the cluster', async () => {
    for (const service of Object.keys(WRITES)) {
      const store = await openAs(service);
      await checkLayout(store, keys);
      await checkPermissions(store, keys, [service]);
    }
    const runner = await openAs('task-runner-service');
    const lease = await runner.grantLease(60_000);
    await runner.txn({ compare: [], then: [{ op: 'put', key: keys.runner('r1'), value: 'x', leaseId: lease.id }] });
    assert.equal(await lease.keepAlive(), 60_000);
    await lease.revoke();
    await assert.rejects(put(runner, keys.spec('a')), { kind: 'denied', code: 'STORE_PERMISSION_DENIED' });
    assert.deepEqual((await runner.range(keys.specs)).kvs, []);
  });

  it('names the keys that a role may not read or write, and writes nothing while finding out', async () => {
    const runner = await openAs('task-runner-service');
    const before = (await runner.get(keys.layout)).revision;
    await assert.rejects(
      checkPermissions(runner, keys, ['task-runner-service', 'scheduler-service']),
      (error: ConnectError) =>
        /may not write \/rocketmq-connect\/c\/leader/.test(error.message) && /grant-permission.*c\/leader$/.test(error.remedy ?? ''),
    );
    await assert.rejects(
      checkPermissions(runner, clusterKeys('other'), ['task-runner-service']),
      /may not read \/rocketmq-connect\/other\//,
    );
    assert.equal((await runner.get(keys.layout)).revision, before);
  });

  it('ends a watch of keys that the user may not read, and only that', async () => {
    const runner = await openAs('task-runner-service');
    let ended: Error | undefined;
    runner.watch(prefixRange('/secrets/'), 1n, { onEvents: assert.fail, onEnd: (error) => (ended = error) });
    await until(() => ended !== undefined);
    assert.equal((ended as ConnectError).code, 'STORE_PERMISSION_DENIED');
    await put(runner, keys.runner('r1'));
  });

  it('goes on when roles change, and when a restart of the server forgets all tokens; watches too', async () => {
    const runner = await openAs('task-runner-service');
    const seen: string[] = [];
    runner.watch(keys.runners, (await runner.get(keys.layout)).revision + 1n, {
      onEvents: (events) => seen.push(...events.map((event) => (event.type === 'put' ? event.kv.key : `- ${event.key}`))),
      onEnd: assert.fail,
    });
    await put(runner, keys.runner('r1'));
    await admin.role('task-runner-service').grant({ permission: 'Readwrite', range: rangeOf('/more/') });
    await put(runner, '/more/a');
    await put(runner, keys.runner('r2'));
    await cluster.first.kill();
    await cluster.first.restart();
    await until(() =>
      put(runner, keys.runner('r3')).then(Boolean, (error: ConnectError) => error.kind !== 'unavailable' && Promise.reject(error)),
    );
    await until(() => seen.includes(keys.runner('r3')));
    assert.deepEqual(seen.slice(0, 2), [keys.runner('r1'), keys.runner('r2')]);
  });
});

describe('The metadata store on an etcd with TLS', function () {
  this.timeout(120_000);
  let cluster: EtcdCluster;
  let directory: string;
  let files: { readonly ca: string; readonly cert: string; readonly key: string };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'etcd-tls-'));
    files = certificates(directory, 'one');
    cluster = await EtcdCluster.start({ tls: { ...files, mutual: true } });
  });
  after(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true });
  });

  const open = (tls: EtcdStoreOptions['tls']): Promise<EtcdStore> =>
    EtcdStore.open({ endpoints: cluster.endpoints, openTimeoutMs: 0, ...(tls === undefined ? {} : { tls }) });

  it('encrypts, and shows its certificate', async () => {
    const store = await open({ ca: readFileSync(files.ca), cert: readFileSync(files.cert), key: readFileSync(files.key) });
    let seen = 0;
    store.watch(prefixRange('/'), 1n, { onEvents: (events) => (seen += events.length), onEnd: assert.fail });
    await store.txn({ compare: [], then: [{ op: 'put', key: '/a', value: '' }] });
    await until(() => seen === 1);
    await store.close();
  });

  it('refuses a server of an authority that it does not trust, and says so', async () => {
    const other = certificates(directory, 'other');
    await assert.rejects(open({ ca: readFileSync(other.ca) }), { kind: 'unavailable', message: /certificate|self.signed/i });
    await assert.rejects(open({}), { kind: 'unavailable', message: /certificate|self.signed/i });
  });

  it('is refused without a certificate of its own, or without TLS', async () => {
    await assert.rejects(open({ ca: readFileSync(files.ca) }), { kind: 'unavailable' });
    await assert.rejects(open(undefined), { kind: 'unavailable' });
  });
});

/** A user of the service's name, with a role that docs/etcd.md shows. */
async function grantRole(etcd: Etcd3, service: string): Promise<void> {
  const role = etcd.role(service);
  await role.create();
  await role.grant({ permission: 'Read', range: rangeOf(keys.root.start) });
  for (const name of WRITES[service] ?? []) {
    const key = `${keys.root.start}${name}`;
    await role.grant(name.endsWith('/') ? { permission: 'Readwrite', range: rangeOf(key) } : { permission: 'Readwrite', key });
  }
  await etcd.user(service).create(`${service}-pw`);
  await etcd.user(service).addRole(service);
}

function rangeOf(prefix: string) {
  const { start, end } = prefixRange(prefix);
  return { start: Buffer.from(start), end: Buffer.from(end) } as never;
}

/** An authority, and a certificate of it for 127.0.0.1 that serves both sides. */
function certificates(directory: string, name: string) {
  const at = (file: string): string => join(directory, `${name}-${file}`);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', `/CN=${name} authority`);
  openssl('req', ...key, '-keyout', at('key.pem'), '-out', at('csr.pem'), '-subj', '/CN=etcd');
  writeFileSync(at('ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  const authority = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
  openssl('x509', '-req', '-in', at('csr.pem'), ...authority, '-out', at('cert.pem'), '-days', '2', '-extfile', at('ext'));
  return { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') };
}
