import assert from 'node:assert/strict';
import { getOption, isMessage } from '@bufbuild/protobuf';
import { type Implementation, implement, type ServiceDefinition } from '@rocketmq-connect/mesh';
import { registry } from '@rocketmq-connect/mesh/descriptor-files';
import { SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import { DescribeResponse, RunnerServiceDefinition } from '@rocketmq-connect/proto/runner';
import { ConnectError } from '@rocketmq-connect/sdk';
import { fakeConfigService } from '../../../test/support/fake-config-service.ts';
import { gatewayBefore } from '../../../test/support/gateway.ts';
import { adminServices, type RpcRoute } from './routes.ts';

describe('the /v1 routes', () => {
  const calls: { readonly rpc: string; readonly request: unknown }[] = [];
  let gateway: Awaited<ReturnType<typeof gatewayBefore>>;
  before(async () => {
    gateway = await gatewayBefore(adminServices.map(({ definition }) => recording(definition, calls)));
  });
  after(() => gateway.close());
  beforeEach(() => {
    calls.length = 0;
  });

  it('are one per RPC of the admin services, as annotated, and none of the internal services', () => {
    const annotated = allMethods().flatMap(({ rpc, http }) => (http === undefined ? [] : [`${http} → ${rpc}`]));
    const served = gateway.routes
      .filter((route): route is RpcRoute => 'rpc' in route)
      .map(({ method, path, rpc }) => `${method} ${path} → ${rpc.service}/${rpc.method}`);
    assert.deepEqual([...served].sort(), [...annotated].sort());
    const without = allMethods().filter(({ http }) => http === undefined);
    assert.deepEqual(
      [...new Set(without.map(({ rpc }) => rpc.split('/')[0]?.split('.').at(-1)))].sort(),
      ['ClusterLoggerService', 'CommitService', 'LoggerService', 'PluginHostService', 'TaskSetService'],
      'an RPC of an admin service has no annotation',
    );
  });

  for (const { rpc, http } of allMethods()) {
    if (http === undefined) continue;
    it(`${http} reaches ${rpc}`, async () => {
      const [method = '', template = ''] = http.split(' ');
      const path = template.replace(/\{(\w+)\}/g, (_, name: string) => (name === 'task' ? '7' : encodeURIComponent('a/b:c %')));
      const reply = await gateway.request(method, path, method === 'GET' || method === 'DELETE' ? {} : { body: {} });
      assert.equal(reply.status, 200, reply.text);
      assert.deepEqual(
        calls.map((call) => call.rpc),
        [rpc],
      );
      for (const [, name = ''] of template.matchAll(/\{(\w+)\}/g)) {
        assert.equal((calls[0]?.request as Record<string, unknown> | undefined)?.[name], name === 'task' ? 7 : 'a/b:c %');
      }
    });
  }

  it('take parameters of the query by both spellings, typed', async () => {
    assert.equal((await gateway.request('GET', '/v1/connectors?withStatus=true')).status, 200);
    assert.equal((await gateway.request('GET', '/v1/connectors?with_status=false')).status, 200);
    assert.deepEqual(
      calls.map((call) => call.request),
      [{ withStatus: true }, { withStatus: false }],
    );
  });

  it('take fields of the body by both spellings, integers of 64 bits as text, and null as absent', async () => {
    const body = { set: { a: 'b' }, expected_config_revision: '1152921504606846977', remove: null };
    assert.equal((await gateway.request('PATCH', '/v1/connectors/x/config', { body })).status, 200);
    assert.deepEqual(calls[0]?.request, { name: 'x', set: { a: 'b' }, remove: [], expectedConfigRevision: 1_152_921_504_606_846_977n });
  });

  it('let the path win over the body', async () => {
    await gateway.request('PUT', '/v1/connectors/x/config', { body: { name: 'y', config: {} } });
    assert.equal((calls[0]?.request as { name: string } | undefined)?.name, 'x');
  });

  for (const [method, path, body, field] of [
    ['POST', '/v1/connectors', { nam: 'a' }, 'nam'],
    ['POST', '/v1/connectors', { name: 1 }, 'name'],
    ['POST', '/v1/connectors', { name: 'a', config: { a: 1 } }, 'config.a'],
    ['POST', '/v1/connectors', { name: 'a', config: ['a'] }, 'config'],
    ['POST', '/v1/connectors', { name: 'a', initialState: 'RUNNING' }, 'initialState'],
    ['PATCH', '/v1/connectors/x/config', { remove: 'a' }, 'remove'],
    ['PATCH', '/v1/connectors/x/config', { remove: [1] }, 'remove[0]'],
    ['PATCH', '/v1/connectors/x/config', { expectedConfigRevision: '1.5' }, 'expectedConfigRevision'],
    ['PATCH', '/v1/connectors/x/config', '{"expectedConfigRevision": 1152921504606846977}', 'expectedConfigRevision'],
    ['PATCH', '/v1/connectors/x/config', { expectedConfigRevision: '9223372036854775808' }, 'expectedConfigRevision'],
    ['PATCH', '/v1/connectors/x/offsets', { offsets: [{ partitionJson: {} }] }, 'offsets[0].partitionJson'],
    ['POST', '/v1/connectors/x:restart', { includeTasks: 'true' }, 'includeTasks'],
    ['POST', '/v1/connectors/x/tasks/one:restart', {}, 'task'],
    ['POST', '/v1/connectors/x/tasks/99999999999:restart', {}, 'task'],
    ['GET', '/v1/connectors?withStatus=1', undefined, 'withStatus'],
    ['GET', '/v1/connectors?status=true', undefined, 'status'],
    ['GET', '/v1/runners/r1/task-stats?intervalMs=soon', undefined, 'intervalMs'],
  ] as const) {
    it(`refuse ${method} ${path} ${JSON.stringify(body) ?? ''} naming ${field}`, async () => {
      const reply = await gateway.request(method, path, body === undefined ? {} : { body });
      assert.equal(reply.status, 400, reply.text);
      assert.equal((reply.json as { field: string }).field, field);
      assert.deepEqual(calls, []);
    });
  }

  describe('of one runner', () => {
    const unknown = (runner: string) => new ConnectError('notFound', `not ${runner}`, { code: 'OTHER_RUNNER' });
    const runnerAt = (id: string): Implementation =>
      implement(RunnerServiceDefinition, {
        describe: async ({ runner }) => {
          if (runner !== id) throw unknown(runner);
          return { ...DescribeResponse.fromJSON({}), id };
        },
        taskStats: async function* ({ runner }) {
          if (runner !== id) throw unknown(runner);
          yield { tasks: [] };
        },
        setLogLevel: async ({ runner }) => {
          if (runner !== id) throw unknown(runner);
          return {};
        },
      });
    let endpointsOf: (runner: string) => readonly string[];
    let gateway: Awaited<ReturnType<typeof gatewayBefore>>;
    const ask = (method: string, path: string, body?: object) => gateway.request(method, path, body === undefined ? {} : { body });
    before(async () => {
      gateway = await gatewayBefore([], (runner) => endpointsOf(runner));
      for (const id of ['r1', 'r2']) await new SimulatedRpc(gateway.network, id).serve(`${id}:1`, [runnerAt(id)]);
    });
    after(() => gateway.close());

    for (const [what, endpoints] of [
      ['whose address is known', (runner: string) => (runner.startsWith('r') ? [`${runner}:1`] : [])],
      ['of which only addresses were given', () => ['r1:1', 'r2:1']],
    ] as const) {
      it(`${what} reach that one and no other`, async () => {
        endpointsOf = endpoints;
        for (const id of ['r1', 'r2', 'r1']) {
          const described = await ask('GET', `/v1/runners/${id}`);
          assert.deepEqual([described.status, (described.json as { id?: string }).id], [200, id], described.text);
          assert.equal((await ask('GET', `/v1/runners/${id}/task-stats`)).text, '{}\n');
          assert.equal((await ask('PUT', `/v1/runners/${id}/loggers/hosts`, { level: 'debug' })).status, 200);
        }
        const nobody = await ask('GET', '/v1/runners/nobody');
        assert.equal(nobody.status, 404, nobody.text);
        assert.equal((nobody.json as { field?: string }).field, 'runner');
      });
    }

    it('say that it may be away where one of the addresses does not answer', async () => {
      endpointsOf = () => ['r1:1', 'gone:1'];
      assert.equal((await ask('GET', '/v1/runners/r1')).status, 200);
      assert.equal((await ask('GET', '/v1/runners/r2')).status, 503);
    });
  });

  it('give enums by name, integers of 64 bits as text, and streams as lines of JSON', async () => {
    const service = fakeConfigService();
    const real = await gatewayBefore(service.implementations);
    await real.request('POST', '/connectors', { body: { name: 'a', config: { 'connector.class': 'FileStreamSource', topic: 't' } } });
    const { json } = await real.request('GET', '/v1/connectors/a');
    const connector = (json as { connector: Record<string, unknown> }).connector;
    assert.deepEqual([connector['type'], connector['configRevision']], ['CONNECTOR_TYPE_SOURCE', '1']);
    const watch = await real.request('GET', '/v1/connectors:watch', { headers: { accept: 'application/x-ndjson' } });
    const lines = watch.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual([lines.length, lines[0].connector.name, lines[1]], [2, 'a', { synced: true }]);
    assert.equal(watch.headers['content-type'], 'application/x-ndjson');
    await real.close();
  });
});

/** Every method of this project's services, and what its annotation says by protobuf's own reading. */
function allMethods(): readonly { readonly rpc: string; readonly http: string | undefined }[] {
  const extension = registry.getExtension('google.api.http');
  assert.ok(extension !== undefined);
  const services = [...registry].filter((type) => type.kind === 'service' && type.typeName.startsWith('rocketmq.'));
  return services.flatMap((service) =>
    service.kind !== 'service'
      ? []
      : service.methods.map((method) => {
          const rule = getOption(method, extension) as unknown;
          assert.ok(isMessage(rule));
          const { pattern } = rule as unknown as { pattern: { case?: string; value?: string } };
          const http = pattern.case === undefined ? undefined : `${pattern.case.toUpperCase()} ${pattern.value}`;
          return { rpc: `${service.typeName}/${method.name}`, http };
        }),
  );
}

/** A service that answers every call with an empty message. */
function recording(definition: ServiceDefinition, calls: { rpc: string; request: unknown }[]): Implementation {
  const handlers = Object.entries(definition.methods).map(([name, method]) => {
    const answer = (request: unknown) => {
      calls.push({ rpc: `${definition.fullName}/${method.name}`, request });
      return method.responseType.decode(new Uint8Array());
    };
    const stream = async function* (request: unknown) {
      yield answer(request);
    };
    return [name, method.responseStream ? stream : async (request: unknown) => answer(request)];
  });
  return { definition, handlers: Object.fromEntries(handlers) };
}
