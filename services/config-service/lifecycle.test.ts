import assert from 'node:assert/strict';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';
import { PluginKind } from '@rocketmq-connect/proto/plugin';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { type ConfigMesh, configMesh, fileConfig } from '../../test/support/config-mesh.ts';

describe('lifecycle', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  const to = (targetState: TargetState) => mesh.run(mesh.connectors.setTargetState({ name: 'c', targetState }));
  const status = async (name = 'c') => (await mesh.run(mesh.connectors.getStatus({ name }))).status;

  it('S037: all six transitions, each asked twice, end where they should; STOPPED has no tasks', async () => {
    const { RUNNING, PAUSED, STOPPED } = TargetState;
    const { token } = await mesh.running('c');
    for (const next of [PAUSED, RUNNING, STOPPED, RUNNING, PAUSED, STOPPED, PAUSED]) {
      await to(next);
      const revision = mesh.store.revision;
      await to(next);
      assert.equal(mesh.store.revision, revision);
      assert.equal(mesh.spec('c')?.targetState, next);
      if (next === STOPPED) {
        assert.equal(mesh.taskSet('c'), null);
        assert.deepEqual((await mesh.run(mesh.connectors.listTasks({ name: 'c' }))).tasks, []);
        assert.deepEqual([(await status())?.connector?.state, (await status())?.tasks], [UnitState.STOPPED, []]);
      } else if (mesh.taskSet('c') === null) {
        assert.deepEqual((await status())?.tasks, []);
        await mesh.run(mesh.publish('c', token, [{ config: {}, queues: [] }]));
      }
    }
  });

  it('STOPPED and RUNNING in quick succession plan anew: the old pointer is gone, its generation cannot be claimed', async () => {
    const { token, generation } = await mesh.running('c');
    await to(TargetState.STOPPED);
    await to(TargetState.RUNNING);
    assert.equal(mesh.taskSet('c'), null);
    const again = await mesh.run(mesh.publish('c', token, [{ config: { part: '0' }, queues: [] }]));
    assert.ok(again.generation > generation);
  });

  it('an unknown connector or state is refused in the words of Kafka Connect', async () => {
    const state = TargetState.PAUSED;
    assert.equal((await mesh.failure(mesh.connectors.setTargetState({ name: 'x', targetState: state }))).message, 'Unknown connector x');
    assert.equal(
      (await mesh.failure(mesh.connectors.restart({ name: 'x', includeTasks: false, onlyFailed: false }))).message,
      'Unknown connector: x',
    );
    assert.equal((await mesh.failure(mesh.connectors.restartTask({ name: 'x', task: 0 }))).message, 'Unknown connector: x');
    assert.equal((await mesh.failure(mesh.connectors.getStatus({ name: 'x' }))).message, 'No status found for connector x');
    await mesh.create('c');
    for (const targetState of [TargetState.UNSPECIFIED, TargetState.UNRECOGNIZED]) {
      const error = await mesh.failure(mesh.connectors.setTargetState({ name: 'c', targetState }));
      assert.equal(error.field, 'target_state');
    }
    const create = mesh.connectors.create({ name: 'new', config: fileConfig, initialState: TargetState.UNRECOGNIZED });
    assert.equal((await mesh.failure(create)).field, 'initial_state');
  });

  it('S034: a restart raises the counters of exactly the planned units, and tells them as RESTARTING', async () => {
    const { token, tokens } = await mesh.running('c', 3);
    await mesh.report('c', undefined, token, UnitState.RUNNING);
    for (const [task, state] of [UnitState.RUNNING, UnitState.FAILED, UnitState.RUNNING].entries()) {
      await mesh.report('c', task, tokens[task] ?? 0n, state, state === UnitState.FAILED ? 'why' : '');
    }
    const none = mesh.store.revision;
    await mesh.run(mesh.connectors.restart({ name: 'c', includeTasks: false, onlyFailed: true }));
    assert.equal(mesh.store.revision, none);
    const failed = await mesh.run(mesh.connectors.restart({ name: 'c', includeTasks: true, onlyFailed: true }));
    assert.deepEqual(
      failed.status?.tasks.map((task) => task.status?.state),
      [UnitState.RUNNING, UnitState.RESTARTING, UnitState.RUNNING],
    );
    assert.deepEqual([mesh.spec('c')?.connectorRestarts, mesh.spec('c')?.taskRestarts], [0n, { 1: 1n }]);
    const all = await mesh.run(mesh.connectors.restart({ name: 'c', includeTasks: true, onlyFailed: false }));
    assert.equal(all.status?.connector?.state, UnitState.RESTARTING);
    assert.deepEqual([mesh.spec('c')?.connectorRestarts, mesh.spec('c')?.taskRestarts], [1n, { 0: 1n, 1: 2n, 2: 1n }]);
    assert.notEqual(mesh.taskSet('c'), null);
  });

  it('one task restarts alone; none that is not there, and none of a STOPPED connector', async () => {
    await mesh.running('c', 2);
    await mesh.run(mesh.connectors.restartTask({ name: 'c', task: 1 }));
    assert.deepEqual(mesh.spec('c')?.taskRestarts, { 1: 1n });
    const error = await mesh.failure(mesh.connectors.restartTask({ name: 'c', task: 2 }));
    assert.deepEqual([error.kind, error.message], ['notFound', 'Unknown task: c-2']);
    await mesh.stop('c');
    assert.equal((await mesh.failure(mesh.connectors.restartTask({ name: 'c', task: 0 }))).kind, 'conflict');
  });

  it('concurrent restarts are all counted, and one of unknown outcome once', async () => {
    await mesh.running('c');
    await mesh.run(Promise.all([1, 2, 3].map(() => mesh.connectors.restartTask({ name: 'c', task: 0 }))));
    assert.deepEqual(mesh.spec('c')?.taskRestarts, { 0: 3n });
    for (const outcome of ['unknownApplied', 'unknownAppliedLater', 'unknownNotApplied'] as const) {
      const before = mesh.spec('c')?.taskRestarts[0] ?? 0n;
      mesh.store.faults = ({ txn }) => {
        if (txn?.then.some((operation) => operation.op === 'put') !== true) return undefined;
        mesh.store.faults = undefined;
        return { outcome, laterMs: 4 };
      };
      await mesh.run(mesh.connectors.restartTask({ name: 'c', task: 0 }));
      await mesh.clock.advance(100);
      assert.equal(mesh.spec('c')?.taskRestarts[0], before + 1n, outcome);
    }
  });

  it("S089: a past owner's status does not count, the present owner's does", async () => {
    const { generation, tokens } = await mesh.running('c');
    await mesh.report('c', 0, tokens[0] ?? 0n, UnitState.RUNNING);
    assert.equal((await status())?.tasks[0]?.status?.state, UnitState.RUNNING);
    await mesh.disown();
    assert.deepEqual([(await status())?.tasks[0]?.status?.state, (await status())?.tasks[0]?.status?.runner], [UnitState.UNASSIGNED, '']);
    const next = await mesh.ownTask('c', generation, 0);
    assert.equal((await status())?.tasks[0]?.status?.state, UnitState.UNASSIGNED);
    await mesh.report('c', 0, next, UnitState.FAILED, 'why');
    assert.deepEqual([(await status())?.tasks[0]?.status?.state, (await status())?.tasks[0]?.status?.error], [UnitState.FAILED, 'why']);
    const listed = await mesh.run(mesh.connectors.list({ withStatus: true }));
    assert.deepEqual(listed.statuses['c'], await status());
  });

  describe('secrets', () => {
    const secret = { ...fileConfig, password: 'hunter2', 'unknown.api.key': 'k3y' };
    const reference = { ...fileConfig, password: '${env:PW}' };

    it('written out are refused on a cluster, with the field and the remedy, and a reference is taken', async () => {
      const error = await mesh.failure(mesh.connectors.create({ name: 'c', config: secret, initialState: TargetState.UNSPECIFIED }));
      assert.equal(error.kind, 'config');
      assert.deepEqual(
        error.fields.map(({ field }) => field),
        ['password', 'unknown.api.key'],
      );
      assert.match(error.remedy ?? '', /\$\{env:NAME\}/);
      assert.doesNotMatch(JSON.stringify([error.message, error.fields]), /hunter2|k3y/);
      const connector = await mesh.create('c', reference);
      assert.equal(connector.config['password'], '${env:PW}');
      assert.deepEqual(connector.warnings, []);
    });

    it('where they are allowed, are warned of, masked in every output, and never logged', async () => {
      const logged: string[] = [];
      const lax = await configMesh({ allowLiteralSecrets: true, logged });
      await lax.running('c', 1, secret);
      const { connector } = await lax.run(lax.connectors.get({ name: 'c' }));
      assert.equal(connector?.warnings.length, 2);
      assert.match(logged.join('\n'), /^the configuration is accepted, but password holds a secret.* \{"connector":"c"\}$/m);
      const abort = new AbortController();
      const outputs: unknown[] = [connector, (await lax.run(lax.connectors.list({ withStatus: true }))).connectors];
      outputs.push(
        (await lax.run(lax.connectors.listTasks({ name: 'c' }))).tasks,
        (await lax.run(lax.connectors.history({ name: 'c' }))).entries,
      );
      for await (const change of lax.connectors.watch({}, { signal: abort.signal })) {
        outputs.push(change.connector);
        if (change.synced) break;
      }
      const text = JSON.stringify(outputs, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
      assert.match(text, /\*{8}/);
      assert.doesNotMatch(text + logged.join(), /hunter2|k3y/);
      assert.equal(lax.spec('c')?.config['password'], 'hunter2');
    });

    it('sent back masked keep their values, also when the plugin changes to one that has no such secret', async () => {
      const lax = await configMesh({ allowLiteralSecrets: true });
      const { config } = await lax.create('c', secret);
      await lax.run(lax.connectors.update({ name: 'c', config: { ...config, file: '/new' }, expectedConfigRevision: 0n }));
      assert.deepEqual([lax.spec('c')?.config['password'], lax.spec('c')?.config['file']], ['hunter2', '/new']);
      const asSink = { ...config, 'connector.class': 'FileStreamSink' };
      const changed = await lax.run(lax.connectors.update({ name: 'c', config: asSink, expectedConfigRevision: 0n }));
      assert.equal(changed.connector?.config['password'], '********');
      assert.equal(lax.spec('c')?.config['password'], 'hunter2');
    });

    it('a mask with nothing stored behind it is refused', async () => {
      const lax = await configMesh({ allowLiteralSecrets: true });
      const error = await lax.failure(
        lax.connectors.create({ name: 'c', config: { ...fileConfig, password: '********' }, initialState: TargetState.UNSPECIFIED }),
      );
      assert.equal(error.field, 'password');
    });
  });

  it('lists converters, transforms and predicates as what they are, and plugins that a runner could not load', async () => {
    const ref = { version: '1.0.0', aliases: [], secretKeys: [] };
    const broken = { location: '/plugins/bad.ts', error: 'SyntaxError: no' };
    for (const id of ['r2', 'r3']) {
      const stages = [
        { ...ref, name: 'Same', kind: PluginKind.TRANSFORM },
        { ...ref, name: 'Same', kind: PluginKind.CONVERTER },
      ];
      const runner = { ...StoredRunner.create(), id, session: id, plugins: stages, brokenPlugins: [broken] };
      const value = JSON.stringify(StoredRunner.toJSON(runner));
      await mesh.run(mesh.hand.txn({ compare: [], then: [{ op: 'put', key: mesh.keys.runner(id), value }] }));
    }
    const answer = await mesh.run(mesh.plugins.list({ allKinds: true }));
    assert.deepEqual(
      answer.plugins.flatMap(({ name, kind, runners }) => (name === 'Same' ? [[kind, runners.join()]] : [])),
      [
        ['PLUGIN_KIND_TRANSFORM', 'r2,r3'],
        ['PLUGIN_KIND_CONVERTER', 'r2,r3'],
      ],
    );
    assert.deepEqual(answer.broken, [broken]);
  });

  it('lists plugins over all runners, connectors unless all kinds are asked for', async () => {
    const { plugins } = await mesh.run(mesh.plugins.list({ allKinds: false }));
    assert.deepEqual(
      plugins.map(({ name, class: javaClass, kind, version, runners }) => [name, javaClass, kind, version, runners.join()]),
      [
        ['FileStreamSink', 'FileStreamSink', 'PLUGIN_KIND_SINK', '1.0.0', 'r1'],
        ['FileStreamSource', 'org.apache.kafka.connect.file.FileStreamSourceConnector', 'PLUGIN_KIND_SOURCE', '1.0.0', 'r1'],
      ],
    );
    const validation = await mesh.run(mesh.plugins.validate({ plugin: 'FileStreamSource', config: { password: 'hunter2' } }));
    assert.equal(validation.errorCount, 1);
    assert.deepEqual(validation.warnings, ['password holds a secret that is written out']);
  });
});
