import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { type Handlers, implement } from '@rocketmq-connect/mesh';
import { SimulatedNetwork, SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import { ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { fakeConfigService } from '../../test/support/fake-config-service.ts';
import { gatewayBefore, type RestReply } from '../../test/support/gateway.ts';
import { createGateway, type Gateway } from './index.ts';

describe('the gateway and wrong requests', () => {
  let gateway: Awaited<ReturnType<typeof gatewayBefore>>;
  before(async () => {
    gateway = await gatewayBefore(fakeConfigService().implementations);
  });
  after(() => gateway.close());

  const cases: readonly (readonly [
    what: string,
    ask: () => Promise<RestReply>,
    status: number,
    expected: { field?: string; text: RegExp; remedy?: RegExp },
  ])[] = [
    [
      'a host that is not the loopback (DNS rebinding)',
      () => gateway.request('GET', '/connectors', { headers: { host: 'rebound.example:8083' } }),
      403,
      { field: 'Host', text: /'rebound\.example'/, remedy: /localhost.*--rest-host/ },
    ],
    [
      'a change from a page of another site',
      () => gateway.request('PUT', '/connectors/a/stop', { headers: { origin: 'https://evil.example' } }),
      403,
      { field: 'Origin', text: /https:\/\/evil\.example/ },
    ],
    [
      'a change from a sandboxed page',
      () => gateway.request('POST', '/connectors/a/restart', { headers: { origin: 'null' } }),
      403,
      { field: 'Origin', text: /null/ },
    ],
    [
      'a body over 1 MiB',
      () => gateway.request('POST', '/connectors', { body: { name: 'x'.repeat(1024 * 1024) } }),
      413,
      { text: /larger than 1 MiB/ },
    ],
    [
      'a body that is a form',
      () => gateway.request('POST', '/connectors', { body: 'name=a', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      415,
      { field: 'Content-Type', text: /x-www-form-urlencoded/, remedy: /application\/json/ },
    ],
    [
      'JSON broken in the middle',
      () => gateway.request('PUT', '/connectors/a/config', { body: '{\n "a": "b",\n "c": d\n}' }),
      400,
      { text: /unexpected "d", a value expected, at line 3, column 7 \(position 19\)/ },
    ],
    [
      'JSON cut at its end',
      () => gateway.request('PUT', '/connectors/a/config', { body: '{"a": ' }),
      400,
      { text: /it ends too early.*\(position 6\)/ },
    ],
    [
      'JSON nested too deeply',
      () => gateway.request('POST', '/connectors', { body: '['.repeat(400_000) + ']'.repeat(400_000) }),
      400,
      { text: /nested too deeply|must be a JSON object/ },
    ],
    [
      'a body that is no UTF-8',
      () => gateway.request('POST', '/connectors', { body: Buffer.from('{"name": "\xff"}', 'latin1') }),
      400,
      { text: /^the body is not UTF-8$/, remedy: /in UTF-8/ },
    ],
    [
      'a connector without a configuration',
      () => gateway.request('POST', '/connectors', { body: { name: 'a' } }),
      400,
      { field: 'config', text: /^config is missing$/ },
    ],
    ['a path that is no UTF-8', () => gateway.request('GET', '/connectors/%ff'), 400, { text: /%ff/ }],
    ['an unknown method', () => gateway.request('PROPFIND', '/connectors'), 405, { text: /Method Not Allowed/ }],
  ];
  for (const [what, ask, status, { field, text, remedy }] of cases) {
    it(`refuses ${what} with ${status}`, async () => {
      const reply = await ask();
      assert.equal(reply.status, status, reply.text);
      const body = reply.json as { error_code: number; message: string; field?: string; remedy?: string };
      assert.equal(body.error_code, status);
      assert.match(body.message, text);
      assert.equal(body.field, field);
      if (remedy !== undefined) assert.match(body.remedy ?? '', remedy);
    });
  }

  for (const host of ['localhost:8083', '127.0.0.1:8083', '[::1]:8083', 'LOCALHOST']) {
    it(`answers requests for ${host}`, async () => {
      assert.equal((await gateway.request('GET', '/connectors', { headers: { host } })).status, 200);
    });
  }

  it('takes changes of its own pages', async () => {
    const headers = { host: 'localhost:8083', origin: 'http://localhost:8083' };
    assert.equal((await gateway.request('PUT', '/connectors/nope/stop', { headers })).status, 404);
  });

  it('sends guarding headers with every answer, and none that opens it to other sites', async () => {
    for (const reply of [
      await gateway.request('GET', '/'),
      await gateway.request('GET', '/nope'),
      await gateway.request('GET', '/connectors', { headers: { host: 'evil.example' } }),
      await gateway.request('OPTIONS', '/connectors', { headers: { origin: 'https://evil.example' } }),
    ]) {
      assert.equal(reply.headers['x-content-type-options'], 'nosniff');
      assert.equal(reply.headers['x-frame-options'], 'DENY');
      assert.match(String(reply.headers['content-security-policy']), /^default-src 'none'/);
      assert.equal(reply.headers['access-control-allow-origin'], undefined);
    }
  });

  it('takes a name of many characters and a configuration with a key like __proto__', async () => {
    const name = 'n'.repeat(190);
    const config = '{"connector.class": "FileStreamSource", "topic": "t", "__proto__": "kept"}';
    const reply = await gateway.request('POST', '/connectors', { body: `{"name": "${name}", "config": ${config}}` });
    assert.equal(reply.status, 201, reply.text);
    assert.equal((await gateway.request('GET', `/connectors/${name}`)).status, 200);
  });
});

describe('the gateway and failures behind it', () => {
  for (const [kind, code, status] of [
    ['config', 'CONFIG_INVALID', 400],
    ['data', 'DATA', 400],
    ['notFound', 'NOT_FOUND', 404],
    ['conflict', 'ALREADY_EXISTS', 409],
    ['denied', 'DENIED', 403],
    ['denied', 'UNAUTHENTICATED', 401],
    ['unavailable', 'NO_RUNNER', 503],
    ['unavailable', 'DEADLINE_EXCEEDED', 504],
    ['retriable', 'RETRIABLE', 503],
    ['fatal', 'UNEXPECTED', 500],
  ] as const) {
    it(`answers ${kind} ${code} with ${status} and what the service said of it`, async () => {
      const fields = [{ field: 'topic', message: 'missing' }];
      const gateway = await gatewayBefore([
        implement(ConnectorServiceDefinition, {
          get: async () => {
            throw new ConnectError(kind, 'it failed', { code, field: 'config.topic', remedy: 'do this', fields });
          },
        } as unknown as Handlers<typeof ConnectorServiceDefinition>),
      ]);
      const reply = await gateway.request('GET', '/connectors/a');
      await gateway.close();
      assert.equal(reply.status, status);
      assert.deepEqual(reply.json, { error_code: status, message: 'it failed', field: 'config.topic', remedy: 'do this', fields });
    });
  }

  it('answers 503 with what to do while config-service is away, also on /health, and recovers with it', async () => {
    const gateway = await gatewayBefore(fakeConfigService().implementations);
    gateway.network.partition('gateway', 'services');
    assert.equal((await gateway.request('GET', '/connectors')).status, 503);
    const health = await gateway.request('GET', '/health');
    assert.deepEqual([health.status, (health.json as { status: string }).status], [503, 'unhealthy']);
    gateway.network.heal();
    assert.equal((await gateway.request('GET', '/health')).status, 200);
    await gateway.close();
  });

  it('keeps integers of offsets beyond 2^53 as they are', async () => {
    const service = fakeConfigService();
    const gateway = await gatewayBefore(service.implementations);
    const config = { 'connector.class': 'FileStreamSource', topic: 't' };
    await gateway.request('POST', '/connectors', { body: { name: 'a', config, initial_state: 'STOPPED' } });
    const offsets = '{"offsets":[{"partition":{"id":9007199254740993},"offset":{"at":12345678901234567890}}]}';
    assert.equal((await gateway.request('PATCH', '/connectors/a/offsets', { body: offsets })).status, 200);
    assert.equal((await gateway.request('GET', '/connectors/a/offsets')).text, offsets);
    await gateway.close();
  });
});

describe('the gateway on a socket', () => {
  const opened: Gateway[] = [];
  afterEach(async () => {
    for (const gateway of opened.splice(0)) await gateway.stop();
  });

  const open = async (handlers: Partial<Handlers<typeof ConnectorServiceDefinition>>, port = 0) => {
    const network = new SimulatedNetwork({ clock: systemClock });
    const implementation = implement(ConnectorServiceDefinition, handlers as Handlers<typeof ConnectorServiceDefinition>);
    const { address } = await new SimulatedRpc(network, 'services').serve('127.0.0.1:9083', [implementation]);
    const endpoints = () => [address];
    const gateway = createGateway({
      rpc: new SimulatedRpc(network, 'gateway'),
      configEndpoints: endpoints,
      schedulerEndpoints: endpoints,
      runnerEndpoints: endpoints,
      log: silent,
      host: '127.0.0.1',
      port,
      version: '0.1.0',
      clusterId: 'default',
      metrics: new Metrics(),
      loggers: new Loggers('info', () => 0),
      health: () => ({
        status: 200,
        json: { status: 'healthy', message: 'Worker has completed startup and is ready to handle requests.' },
      }),
    });
    opened.push(gateway);
    return { gateway, network, url: (await gateway.start()).url };
  };

  it('refuses to start on a port that is taken, naming port, setting and flag', async () => {
    const { url } = await open({});
    const port = Number(new URL(url).port);
    await assert.rejects(open({}, port), (error: ConnectError) => {
      assert.deepEqual([error.kind, error.code, error.field], ['config', 'PORT_IN_USE', 'rest.port']);
      assert.match(error.message, new RegExp(`port ${port}`));
      assert.match(error.remedy ?? '', /--rest-port/);
      return true;
    });
  });

  it('sends the items of a stream as they come and cancels the call when the reader leaves', async () => {
    const seen: AbortSignal[] = [];
    const { url, network } = await open({
      async *watch(_, { signal }) {
        seen.push(signal);
        yield { connector: undefined, deleted: 'a', synced: false };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const leaving = new AbortController();
    const response = await fetch(`${url}/v1/connectors:watch`, { signal: leaving.signal });
    const reader = response.body?.getReader();
    assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), '{"deleted":"a"}\n');
    assert.equal(seen[0]?.aborted, false);
    leaving.abort();
    await until(() => seen[0]?.aborted === true && network.openCalls === 0);
  });

  it('keeps no stream open for a HEAD request', async () => {
    const { url, network } = await open({
      async *watch(_, { signal }) {
        yield { connector: undefined, deleted: 'a', synced: false };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const response = await fetch(`${url}/v1/connectors:watch`, { method: 'HEAD' });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), '');
    await until(() => network.openCalls === 0);
  });

  it('ends streams when it stops, so that stopping waits for nobody', async () => {
    const { url, gateway } = await open({
      async *watch(_, { signal }) {
        yield { connector: undefined, deleted: 'a', synced: false };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const response = await fetch(`${url}/v1/connectors:watch`);
    const text = response.text().catch(() => 'cut');
    await gateway.stop();
    assert.match(await text, /"deleted":"a"/);
    await assert.rejects(fetch(url));
  });

  it('answers a status, not a stream, when the stream is refused', async () => {
    const { url } = await open({
      watch: () => {
        throw new ConnectError('denied', 'not for you');
      },
    });
    const response = await fetch(`${url}/v1/connectors:watch`);
    assert.equal(response.status, 403);
  });

  it('survives what is not HTTP', async () => {
    const { url } = await open({ list: async () => ({ connectors: [], statuses: {} }) });
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write('\u0000\u0001 nonsense\r\n\r\n'));
      socket.on('data', (data) => resolve(data.toString()));
    });
    assert.match(answer, /^HTTP\/1\.1 400/);
    assert.equal((await fetch(`${url}/connectors`)).status, 200);
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; !condition(); round++) {
    assert.ok(round < 500, 'it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };
