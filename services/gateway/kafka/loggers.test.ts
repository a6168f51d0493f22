import assert from 'node:assert/strict';
import { implement } from '@rocketmq-connect/mesh';
import { LoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { ConnectError } from '@rocketmq-connect/sdk';
import { gatewayBefore } from '../../../test/support/gateway.ts';

describe('/admin/loggers', () => {
  const told: string[] = [];
  let answers = true;
  let gateway: Awaited<ReturnType<typeof gatewayBefore>>;

  before(async () => {
    const loggers = implement(LoggerServiceDefinition, {
      list: async () => ({ loggers: [] }),
      setLevel: async ({ logger, level }) => {
        if (!answers) throw new ConnectError('unavailable', 'it is away');
        told.push(`${logger} ${level}`);
        return { affected: [logger] };
      },
    });
    gateway = await gatewayBefore([loggers]);
  });
  after(() => gateway.close());

  it("S070: answers as Kafka Connect does: a logger inherits root's level, and one that nobody knows is not there", async () => {
    assert.deepEqual((await gateway.request('GET', '/admin/loggers')).json, { root: { level: 'INFO', last_modified: null } });
    const unknown = await gateway.request('GET', '/admin/loggers/no.such.logger');
    assert.equal(unknown.status, 404);
    assert.match(unknown.text, /Logger no\.such\.logger not found\./);
    gateway.loggers.lets('connectors.orders.0', 'info');
    assert.deepEqual((await gateway.request('GET', '/admin/loggers/connectors.orders.0')).json, { level: 'INFO', last_modified: null });
    const put = await gateway.request('PUT', '/admin/loggers/connectors.orders', { body: { level: 'DEBUG' } });
    assert.deepEqual([put.status, put.json], [200, ['connectors.orders', 'connectors.orders.0']]);
    assert.deepEqual((await gateway.request('GET', '/admin/loggers/connectors.orders')).json, { level: 'DEBUG', last_modified: 1_000 });
    assert.ok(gateway.loggers.lets('connectors.orders.0', 'debug'));
    assert.ok(!gateway.loggers.lets('connectors.others.0', 'debug'));
    const fresh = await gateway.request('PUT', '/admin/loggers/com.example.fresh?scope=worker', { body: { level: 'off' } });
    assert.deepEqual(fresh.json, ['com.example.fresh']);
    assert.deepEqual((await gateway.request('GET', '/admin/loggers/com.example.fresh')).json, { level: 'OFF', last_modified: 1_000 });
    assert.deepEqual(told, []);
  });

  it('tells every process of the cluster with scope=cluster, and says who could not be told', async () => {
    const put = () => gateway.request('PUT', '/admin/loggers/connectors?scope=cluster', { body: { level: 'WARN' } });
    const all = await put();
    assert.deepEqual([all.status, all.text], [204, '']);
    assert.deepEqual(told, ['connectors warn']);
    assert.ok(!gateway.loggers.lets('connectors.orders.0', 'info'));
    answers = false;
    const some = await put();
    assert.equal(some.status, 503);
    assert.match(some.text, /127\.0\.0\.1:9083: .*it is away/);
  });

  it('says of a process of an older version that it must be upgraded first', async () => {
    const older = await gatewayBefore([]);
    try {
      const put = await older.request('PUT', '/admin/loggers/connectors?scope=cluster', { body: { level: 'WARN' } });
      assert.equal(put.status, 501);
      assert.match(put.text, /127\.0\.0\.1:9083: .*"remedy":"[^"]*upgrade/);
      assert.ok(!older.loggers.lets('connectors.orders.0', 'info'));
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
