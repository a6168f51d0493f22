import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { connectRemotingLog, type RemotingLogConnection } from '@rocketmq-connect/message-log/remoting/client';
import type { ConnectError } from '@rocketmq-connect/sdk';
import { type Certificates, createCertificates } from './support/certificates.ts';
import { readRecords, sendRecords } from './support/real-task.ts';
import { OtherCluster, useRocketmq } from './support/rocketmq.ts';
import { startStandalone, waitFor } from './support/standalone.ts';

const ADMIN = { accessKey: 'admin', secretKey: 'admin-secret' };
const CONNECT = { accessKey: 'connect', secretKey: 'connect-secret' };
/** Containers may have none. */
const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const auth = (kind: string, provider: string): string => `org.apache.rocketmq.auth.${kind}.provider.${provider}`;

describe('A RocketMQ on IPv6 that asks for certificates and access keys', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'rocketmq-security-'));
  const opened: MessageLog[] = [];
  let certificates: Certificates;
  let cluster: OtherCluster;

  before(async function () {
    await useRocketmq(this);
    certificates = await createCertificates(folder);
    const { ca, cert, key } = certificates;
    cluster = await OtherCluster.start('security', {
      portOffset: 200,
      host: HAS_IPV6 ? '::1' : '127.0.0.1',
      admin: ADMIN,
      brokerConf: [
        'authenticationEnabled=true',
        `authenticationProvider=${auth('authentication', 'DefaultAuthenticationProvider')}`,
        `authenticationMetadataProvider=${auth('authentication', 'LocalAuthenticationMetadataProvider')}`,
        `initAuthenticationUser={"username":"${ADMIN.accessKey}","password":"${ADMIN.secretKey}"}`,
        `innerClientAuthenticationCredentials={"accessKey":"${ADMIN.accessKey}","secretKey":"${ADMIN.secretKey}"}`,
        'authorizationEnabled=true',
        `authorizationProvider=${auth('authorization', 'DefaultAuthorizationProvider')}`,
        `authorizationMetadataProvider=${auth('authorization', 'LocalAuthorizationMetadataProvider')}`,
      ],
      javaOptions: [
        '-Dtls.test.mode.enable=false',
        '-Dtls.server.mode=enforcing',
        '-Dtls.server.need.client.auth=require',
        '-Dtls.server.authClient=true',
        `-Dtls.server.certPath=${cert}`,
        `-Dtls.server.keyPath=${key}`,
        `-Dtls.server.trustCertPath=${ca}`,
        '-Dtls.enable=true',
        '-Dtls.client.authServer=true',
        `-Dtls.client.certPath=${cert}`,
        `-Dtls.client.keyPath=${key}`,
        `-Dtls.client.trustCertPath=${ca}`,
      ],
    });
  });
  after(async function () {
    this.timeout(60_000);
    await cluster?.stop();
    rmSync(folder, { recursive: true });
  });
  afterEach(async () => {
    for (const log of opened.splice(0)) await log.close();
  });

  function connect(more: Partial<RemotingLogConnection>): MessageLog {
    const connection = { kind: 'remoting', nameServers: [cluster.nameServer], clientId: 'security', ...more } as const;
    const log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    opened.push(log);
    return log;
  }
  const tls = () => ({
    ca: readFileSync(certificates.ca, 'utf8'),
    cert: readFileSync(certificates.cert, 'utf8'),
    key: readFileSync(certificates.key, 'utf8'),
  });

  it('carries records for who has both', async () => {
    const log = connect({ tls: tls(), credentials: ADMIN });
    const { queues } = await log.createTopic('security', { queues: 2 });
    const records = Array.from({ length: 20 }, (_, i) => ({ topic: 'security', key: `k${i}`, value: `v${i}` }));
    await sendRecords(log, records);
    const read = await readRecords(log, queues, 20);
    assert.deepEqual(read.map(({ value }) => String(value)).sort(), records.map(({ value }) => value).sort());
  });

  describe('says what is wrong', () => {
    const wrong: [what: string, settings: () => Partial<RemotingLogConnection>, code: string, field: string][] = [
      ['no TLS', () => ({ credentials: ADMIN }), 'NAME_SERVER_UNAVAILABLE', 'rocketmq.tls'],
      ['an authority that is not known', () => ({ credentials: ADMIN, tls: {} }), 'NAME_SERVER_UNAVAILABLE', 'rocketmq.tlsCaFile'],
      ['no certificate', () => ({ credentials: ADMIN, tls: { ca: tls().ca } }), 'NAME_SERVER_UNAVAILABLE', 'rocketmq.tlsCertFile'],
      ['no access key', () => ({ tls: tls() }), 'BROKER_UNAUTHENTICATED', 'rocketmq.accessKey'],
      [
        'an unknown access key',
        () => ({ tls: tls(), credentials: { ...ADMIN, accessKey: 'nobody' } }),
        'BROKER_UNAUTHENTICATED',
        'rocketmq.accessKey',
      ],
      [
        'a wrong secret',
        () => ({ tls: tls(), credentials: { ...ADMIN, secretKey: 'not' } }),
        'BROKER_UNAUTHENTICATED',
        'rocketmq.secretKey',
      ],
    ];
    for (const [what, settings, code, field] of wrong) {
      it(what, async () => {
        const log = connect(settings());
        const refused = (error: ConnectError): boolean => {
          assert.deepEqual([error.code, error.field], [code, field], error.message);
          assert.ok(error.remedy !== undefined && !error.message.includes('admin-secret'));
          return true;
        };
        await assert.rejects(log.createTopic('wrong', { queues: 1 }), refused);
        // The second time it may not even connect.
        await assert.rejects(log.createTopic('wrong', { queues: 1 }), refused);
      });
    }
  });

  it('lets an access key do what it is granted; docs/rocketmq.md names what is needed', async () => {
    const { accessKey, secretKey } = CONNECT;
    await cluster.mqadmin('createUser', '-c', 'DefaultCluster', '-u', accessKey, '-p', secretKey);
    const log = connect({ tls: tls(), credentials: CONNECT });
    await assert.rejects(log.createTopic('granted', { queues: 1 }), { code: 'BROKER_NO_PERMISSION', field: 'rocketmq.accessKey' });
    const grant = ['-s', `User:${accessKey}`, '-r', 'Topic:*,Group:*', '-a', 'Pub,Sub,Get,Create', '-d', 'Allow'];
    await cluster.mqadmin('createAcl', '-c', 'DefaultCluster', ...grant);
    const { queues } = await log.createTopic('granted', { queues: 1, attributes: { 'message.type': 'NORMAL' } });
    await sendRecords(log, [{ topic: 'granted', value: 'v' }]);
    assert.equal((await readRecords(log, queues, 1)).length, 1);
    await log.mirrorPosition('granted', queues[0] as QueueAddress, 1);
    await assert.rejects(log.deleteTopic('granted'), { code: 'BROKER_NO_PERMISSION' });
  });

  it('S029, S144: is connected to by the settings of a process; a wrong secret is told in the status of the connector, and is not shown', async () => {
    const source = join(folder, 'source.txt');
    writeFileSync(source, 'one\ntwo\n');
    const { ca, cert, key } = certificates;
    const args = ['--rocketmq-namesrv', cluster.nameServer, '--rocketmq-access-key', ADMIN.accessKey, '--no-quickstart'];
    const env = {
      RMQC_ROCKETMQ_SECRET_KEY: '${env:SECRET}',
      RMQC_ROCKETMQ_TLS_CA_FILE: ca,
      RMQC_ROCKETMQ_TLS_CERT_FILE: cert,
      RMQC_ROCKETMQ_TLS_KEY_FILE: key,
    };
    const start = async (dataDir: string, secret: string) => {
      const process = await startStandalone({ dataDir: join(folder, dataDir), cwd: folder, args, env: { ...env, SECRET: secret } });
      const config = { 'connector.class': 'FileStreamSource', file: source, topic: 'by-settings' };
      await process.request('POST', '/connectors', { name: 'in', config });
      return process;
    };
    const right = await start('right', ADMIN.secretKey);
    const copy = join(folder, 'copy.txt');
    const config = { 'connector.class': 'FileStreamSink', file: copy, topics: 'by-settings' };
    await right.request('POST', '/connectors', { name: 'out', config });
    await waitFor(() => existsSync(copy) && readFileSync(copy, 'utf8') === 'one\ntwo\n', 'the lines arrive');
    await right.interrupt();
    const wrong = await start('wrong', 'none-of-theirs');
    let status = '';
    await waitFor(async () => {
      status = JSON.stringify(await wrong.request('GET', '/connectors/in/status'));
      return status.includes('BROKER_UNAUTHENTICATED');
    }, 'the status says why');
    assert.match(status, /correct what rocketmq\.secretKey refers to/);
    assert.ok(!status.includes('none-of-theirs') && !wrong.output().includes('none-of-theirs'));
    await wrong.interrupt();
  });
});
