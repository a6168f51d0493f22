import assert from 'node:assert/strict';
import { implement } from '@rocketmq-connect/mesh';
import { ClusterLoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { ConnectError } from '@rocketmq-connect/sdk';
import { gatewayBefore } from '../../../test/support/gateway.ts';

describe('/admin/loggers', () => {
  const told: string[] = [];
  let answers = true;
  let gateway: Awaited<ReturnType<typeof gatewayBefore>>;

  before(async () => {
    const loggers = implement(ClusterLoggerServiceDefinition, {
      setClusterLevel: async ({ logger, level }) => {
        if (!answers) throw new ConnectError('unavailable', 'it is away');
        told.push(`${logger} ${level}`);
        return { modifiedMs: 2_000n };
      },
      removeClusterLevel: async ({ logger }) => {
        if (told.includes(logger)) throw new ConnectError('notFound', `Logger ${logger} has no level in the cluster.`);
        told.push(logger);
        return {};
      },
    });
    gateway = await gatewayBefore([loggers]);
  });
  after(() => gateway.close());

  it("S070: answers as Kafka Connect does: a logger inherits root's level, and one that nobody knows is not there", async () => {
    assert.deepEqual((await gateway.request('GET', '/admin/loggers')).json, {
      root: { level: 'INFO', last_modified: null, scope: null },
    });
    const unknown = await gateway.request('GET', '/admin/loggers/no.such.logger');
    assert.equal(unknown.status, 404);
    assert.match(unknown.text, /Logger no\.such\.logger not found\./);
    gateway.loggers.lets('connectors.orders.0', 'info');
    assert.deepEqual((await gateway.request('GET', '/admin/loggers/connectors.orders.0')).json, {
      level: 'INFO',
      last_modified: null,
      scope: null,
    });
    const put = await gateway.request('PUT', '/admin/loggers/connectors.orders', { body: { level: 'DEBUG' } });
    assert.deepEqual([put.status, put.json], [200, ['connectors.orders', 'connectors.orders.0']]);
    assert.deepEqual((await gateway.request('GET', '/admin/loggers/connectors.orders')).json, {
      level: 'DEBUG',
      last_modified: 1_000,
      scope: 'worker',
    });
    assert.ok(gateway.loggers.lets('connectors.orders.0', 'debug'));
    assert.ok(!gateway.loggers.lets('connectors.others.0', 'debug'));
    const fresh = await gateway.request('PUT', '/admin/loggers/com.example.fresh?scope=worker', { body: { level: 'off' } });
    assert.deepEqual(fresh.json, ['com.example.fresh']);
    assert.deepEqual((await gateway.request('GET', '/admin/loggers/com.example.fresh')).json, {
      level: 'OFF',
      last_modified: 1_000,
      scope: 'worker',
    });
    assert.deepEqual(told, []);
  });

  it('gives a level to the whole cluster with scope=cluster, shows where it comes from, and takes it back', async () => {
    const path = '/admin/loggers/connectors?scope=cluster';
    const put = await gateway.request('PUT', path, { body: { level: 'WARN' } });
    assert.deepEqual([put.status, put.text], [204, '']);
    assert.deepEqual(told, ['connectors warn']);
    const shown = async () => (await gateway.request('GET', '/admin/loggers')).json;
    const root = { level: 'INFO', last_modified: null, scope: null };
    const ofWorker = { 'com.example.fresh': { level: 'OFF', last_modified: 1_000, scope: 'worker' } };
    assert.deepEqual(await shown(), { root, ...ofWorker, connectors: { level: 'WARN', last_modified: 2_000, scope: 'cluster' } });
    assert.ok(!gateway.loggers.lets('connectors.orders.0', 'info'));
    assert.deepEqual((await gateway.request('DELETE', path)).status, 204);
    assert.deepEqual(await shown(), { root, ...ofWorker });
    assert.deepEqual(told, ['connectors warn', 'connectors']);
    const again = await gateway.request('DELETE', path);
    assert.equal(again.status, 404);
    const ofOne = await gateway.request('DELETE', '/admin/loggers/connectors?scope=worker');
    assert.equal(ofOne.status, 400);
    assert.match(ofOne.text, /only a level of the cluster/);
  });

  it('changes nothing where the level cannot be kept, and says why', async () => {
    answers = false;
    const put = await gateway.request('PUT', '/admin/loggers/connectors?scope=cluster', { body: { level: 'WARN' } });
    answers = true;
    assert.equal(put.status, 503);
    assert.match(put.text, /it is away/);
    assert.ok(gateway.loggers.lets('connectors.orders.0', 'info'));
  });

  it('says of a config-service of an older version that it must be upgraded first', async () => {
    const older = await gatewayBefore([]);
    try {
      const put = await older.request('PUT', '/admin/loggers/connectors?scope=cluster', { body: { level: 'WARN' } });
      assert.equal(put.status, 501);
      assert.match(put.text, /"remedy":"[^"]*upgrade/);
      assert.ok(older.loggers.lets('connectors.orders.0', 'info'));
    } finally {
      await older.close();
    }
  });

  it('refuses what it does not understand', async () => {
    const cases: [string, unknown, number, RegExp][] = [
      ['root', { level: 'HOGWASH' }, 404, /invalid log level 'HOGWASH'\./],
      ['root', {}, 400, /Desired 'level' parameter was not specified in request\./],
      ['root?scope=zzz', { level: 'INFO' }, 400, /there is no scope zzz/],
      ['x'.repeat(400), { level: 'INFO' }, 400, /a logger has a name/],
    ];
    for (const [path, body, status, message] of cases) {
      const refused = await gateway.request('PUT', `/admin/loggers/${path}`, { body });
      assert.equal(refused.status, status, path);
      assert.match(refused.text, message);
    }
  });
});
