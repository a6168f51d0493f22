import assert from 'node:assert/strict';
import { TargetState } from '@rocketmq-connect/proto/common';
import { type ConfigMesh, configMesh, fileConfig, sinkConfig } from '../../test/support/config-mesh.ts';

describe('connectors', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  describe('creating', () => {
    it('stores the configuration with its name, the type and what it was validated by', async () => {
      const connector = await mesh.create(' a ', fileConfig);
      assert.equal(connector.name, 'a');
      assert.deepEqual(connector.config, { ...fileConfig, name: 'a' });
      assert.deepEqual(connector.tasks, []);
      const spec = mesh.spec('a');
      assert.equal(spec?.targetState, TargetState.RUNNING);
      assert.equal(spec?.plugin, 'FileStreamSource');
      assert.equal(spec?.pluginVersion, '1.0.0');
      assert.equal(spec?.startTimeMs, BigInt(mesh.clock.now()));
    });

    it('takes names with slashes, blanks and percent signs', async () => {
      await mesh.create('g/sl ash%', fileConfig);
      const { connectors } = await mesh.connectors.list({ withStatus: true });
      assert.deepEqual(
        connectors.map(({ name }) => name),
        ['g/sl ash%'],
      );
      assert.equal((await mesh.connectors.get({ name: 'g/sl ash%' })).connector?.config['name'], 'g/sl ash%');
    });

    it('starts in the state that was asked for', async () => {
      await mesh.create('a', fileConfig, TargetState.STOPPED);
      assert.equal(mesh.spec('a')?.targetState, TargetState.STOPPED);
    });

    it('refuses a taken name', async () => {
      await mesh.create('a');
      const error = await mesh.failure(mesh.connectors.create({ name: 'a', config: fileConfig, initialState: TargetState.UNSPECIFIED }));
      assert.equal(error.kind, 'conflict');
      assert.equal(error.message, 'Connector a already exists');
    });

    it("names every field at fault in Kafka Connect's words", async () => {
      const error = await mesh.failure(
        mesh.connectors.create({
          name: 'a',
          config: { 'connector.class': 'FileStreamSource', 'tasks.max': '0' },
          initialState: TargetState.UNSPECIFIED,
        }),
      );
      assert.equal(error.kind, 'config');
      assert.equal(
        error.message,
        'Connector configuration is invalid and contains the following 2 error(s):\n' +
          'Invalid value 0 for configuration tasks.max: Value must be at least 1\n' +
          'Missing required configuration "topic" which has no default value.\n' +
          'You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`',
      );
      assert.deepEqual(
        error.fields.map(({ field }) => field),
        ['tasks.max', 'topic'],
      );
      assert.equal(mesh.spec('a'), null);
    });

    const refusals: [string, string, Record<string, string>, RegExp][] = [
      ['an empty name', '  ', fileConfig, /1 error\(s\):\nInvalid value {2}for configuration name: String may not be empty\n/],
      ['control characters in a name', 'a\u0007b', fileConfig, /control sequences but had the following ASCII chars: 7/],
      ['a name that URLs take for a folder', '..', fileConfig, /name: String may not be \. or \.\., which no URL can end with/],
      ['a name over 200 bytes', 'ä'.repeat(101), fileConfig, /longer than 200 bytes/],
      [
        'another name in the configuration',
        'g-bad',
        { ...fileConfig, name: 'other' },
        /^Connector name configuration \(other\) doesn't match connector name in the URL \(g-bad\)$/,
      ],
      ['no class', 'g-bad', { topic: 't' }, /^Connector config \{topic=t, name=g-bad\} contains no connector type$/],
      ['no class, without showing secrets', 'a', { 'db.password': 'pw' }, /^Connector config \{db.password=\*{8}, name=a\}/],
      [
        'an unknown class',
        'a',
        { 'connector.class': 'NoSuch' },
        /^Failed to find any class that implements Connector and which name matches NoSuch/,
      ],
      ['more than 1,000 keys', 'a', Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`k${i}`, ''])), /more than 1000/],
      ['more than 512 KiB', 'a', { ...fileConfig, large: 'x'.repeat(512 * 1024) }, /more than 524288/],
    ];
    for (const [what, name, config, text] of refusals) {
      it(`refuses ${what}`, async () => {
        const error = await mesh.failure(mesh.connectors.create({ name, config, initialState: TargetState.UNSPECIFIED }));
        assert.equal(error.kind, 'config');
        assert.match(error.message, text);
        assert.ok(error.field !== undefined || what === 'an unknown class');
      });
    }

    it('answers that no runner is registered when nobody can validate', async () => {
      const lonely = await configMesh({ runner: false });
      const error = await lonely.failure(
        lonely.connectors.create({ name: 'a', config: fileConfig, initialState: TargetState.UNSPECIFIED }),
      );
      assert.equal(error.kind, 'unavailable');
      assert.match(error.message, /no task runner is registered/);
    });

    it('of many creates of one name at once exactly one wins', async () => {
      const outcomes = Promise.allSettled(
        Array.from({ length: 20 }, (_, i) =>
          mesh.connectors.create({ name: 'a', config: { ...fileConfig, i: String(i) }, initialState: TargetState.UNSPECIFIED }),
        ),
      );
      const won = (await mesh.run(outcomes)).filter(({ status }) => status === 'fulfilled');
      assert.equal(won.length, 1);
    });
  });

  describe('changing', () => {
    it('replaces the whole configuration, and creates an absent connector', async () => {
      const created = await mesh.run(mesh.connectors.update({ name: 'a', config: fileConfig, expectedConfigRevision: 0n }));
      assert.equal(created.created, true);
      const updated = await mesh.run(mesh.connectors.update({ name: 'a', config: { ...fileConfig, x: '1' }, expectedConfigRevision: 0n }));
      assert.equal(updated.created, false);
      assert.deepEqual(updated.connector?.config, { ...fileConfig, x: '1', name: 'a' });
      assert.ok((updated.connector?.configRevision ?? 0n) > (created.connector?.configRevision ?? 0n));
    });

    it('may change the type', async () => {
      await mesh.create('a');
      await mesh.run(mesh.connectors.update({ name: 'a', config: sinkConfig, expectedConfigRevision: 0n }));
      assert.equal(mesh.spec('a')?.type, 'CONNECTOR_TYPE_SINK');
      assert.equal(mesh.spec('a')?.plugin, 'FileStreamSink');
    });

    it('leaves an equal configuration and its revision as they are', async () => {
      const { configRevision } = await mesh.create('a');
      const again = await mesh.run(mesh.connectors.update({ name: 'a', config: fileConfig, expectedConfigRevision: 0n }));
      assert.equal(again.connector?.configRevision, configRevision);
    });

    it('patches single keys; removing one that is absent is no error', async () => {
      await mesh.create('a');
      const patched = await mesh.run(
        mesh.connectors.patch({ name: 'a', set: { 'tasks.max': '2' }, remove: ['file', 'nope'], expectedConfigRevision: 0n }),
      );
      assert.deepEqual(patched.connector?.config, { 'connector.class': 'FileStreamSource', topic: 't', 'tasks.max': '2', name: 'a' });
    });

    it('refuses to change what is not there, or to another name', async () => {
      assert.equal(
        (await mesh.failure(mesh.connectors.patch({ name: 'x', set: {}, remove: [], expectedConfigRevision: 0n }))).message,
        'Connector x not found',
      );
      await mesh.create('a');
      const error = await mesh.failure(
        mesh.connectors.update({ name: 'a', config: { ...fileConfig, name: 'zz' }, expectedConfigRevision: 0n }),
      );
      assert.match(error.message, /^Connector name configuration \(zz\) doesn't match/);
      const empty = await mesh.failure(mesh.connectors.update({ name: 'a', config: {}, expectedConfigRevision: 0n }));
      assert.equal(empty.message, 'Connector config {name=a} contains no connector type');
    });

    it('S138: of concurrent changes from one revision one wins and the others are told', async () => {
      const { configRevision } = await mesh.create('a');
      const outcomes = await mesh.run(
        Promise.allSettled(
          Array.from({ length: 10 }, (_, i) =>
            mesh.connectors.patch({ name: 'a', set: { x: String(i), y: String(i) }, remove: [], expectedConfigRevision: configRevision }),
          ),
        ),
      );
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
      for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'REVISION_MISMATCH');
      const { config } = mesh.spec('a') ?? { config: {} as Record<string, string> };
      assert.equal(config['x'], config['y']);
    });

    it('concurrent changes of different keys without a revision all take effect', async () => {
      await mesh.create('a');
      await mesh.run(
        Promise.all(
          Array.from({ length: 6 }, (_, i) =>
            mesh.connectors.patch({ name: 'a', set: { [`k${i}`]: '1' }, remove: [], expectedConfigRevision: 0n }),
          ),
        ),
      );
      for (let i = 0; i < 6; i++) assert.equal(mesh.spec('a')?.config[`k${i}`], '1');
    });
  });

  describe('history', () => {
    it('tells who changed what, newest first, never values', async () => {
      await mesh.run(mesh.connectors.create({ name: 'a', config: fileConfig, initialState: TargetState.UNSPECIFIED }, { identity: 'ann' }));
      await mesh.run(
        mesh.connectors.patch({ name: 'a', set: { file: '/c' }, remove: [], expectedConfigRevision: 0n }, { identity: 'bob' }),
      );
      await mesh.stop('a');
      const { entries } = await mesh.connectors.history({ name: 'a' });
      assert.deepEqual(
        entries.map(({ who, what, changedKeys }) => [who, what, changedKeys.join()]),
        [
          ['', 'lifecycle', 'target_state=STOPPED'],
          ['bob', 'config', 'file'],
          ['ann', 'created', 'connector.class,file,name,topic'],
        ],
      );
    });

    it('keeps the last 50 entries', async () => {
      await mesh.create('a');
      for (let i = 0; i < 60; i++) {
        await mesh.run(mesh.connectors.patch({ name: 'a', set: { x: String(i) }, remove: [], expectedConfigRevision: 0n }));
      }
      assert.equal((await mesh.connectors.history({ name: 'a' })).entries.length, 50);
    });
  });

  describe('deleting', () => {
    it('takes everything of it away, and it can be created anew', async () => {
      const before = mesh.keysUnder('/').length;
      const { generation, tokens } = await mesh.running('c');
      await mesh.commit({
        generation,
        token: tokens[0] ?? 0n,
        offsets: [{ partitionJson: '{"f":1}', offsetJson: '{"p":1}', queue: undefined, position: 0n, token: 0n, plugin: '' }],
      });
      await mesh.disown();
      await mesh.run(mesh.connectors.delete({ name: 'c', resetOffsets: true }));
      await mesh.clock.advance(100);
      assert.equal(mesh.keysUnder('/').length, before);
      assert.equal((await mesh.failure(mesh.connectors.delete({ name: 'c', resetOffsets: true }))).message, 'Connector c not found');
      await mesh.create('c');
      assert.deepEqual(mesh.storedOffsets('c'), []);
    });

    it('waits for the tasks: their last commit is still taken, a new connector of that name waits, then is told', async () => {
      const { generation, tokens } = await mesh.running('c');
      await mesh.run(mesh.connectors.delete({ name: 'c', resetOffsets: true }));
      const error = await mesh.failure(mesh.connectors.create({ name: 'c', config: fileConfig, initialState: TargetState.UNSPECIFIED }));
      assert.equal(error.code, 'STILL_DELETING');
      const [last] = await mesh.commit({ generation, token: tokens[0] ?? 0n, release: true });
      assert.equal(last?.result, 'COMMIT_RESULT_OK');
      const creating = mesh.connectors.create({ name: 'c', config: fileConfig, initialState: TargetState.UNSPECIFIED });
      await mesh.clock.advance(200);
      await mesh.disown();
      assert.equal((await mesh.run(creating)).connector?.name, 'c');
    });

    it('keeps offsets if asked, for a connector of the same class only', async () => {
      const { generation, tokens } = await mesh.running('c');
      const offset = { partitionJson: '{"f":1}', offsetJson: '{"p":1}', queue: undefined, position: 0n, token: 0n, plugin: '' };
      await mesh.commit({ generation, token: tokens[0] ?? 0n, offsets: [offset] });
      await mesh.disown();
      await mesh.run(mesh.connectors.delete({ name: 'c', resetOffsets: false }));
      await mesh.clock.advance(100);
      const error = await mesh.failure(mesh.connectors.create({ name: 'c', config: sinkConfig, initialState: TargetState.UNSPECIFIED }));
      assert.equal(error.code, 'FOREIGN_OFFSETS');
      const alias = { ...fileConfig, 'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector' };
      await mesh.create('c', alias);
      assert.equal(mesh.storedOffsets('c').length, 1);
    });

    it('a late repeat of the delete after a re-create is refused', async () => {
      await mesh.create('c');
      mesh.store.faults = ({ txn }) =>
        txn?.then.some((operation) => operation.op === 'put' && operation.key === mesh.keys.deleted('c')) === true
          ? { outcome: 'unknownAppliedLater', laterMs: 5_000 }
          : undefined;
      const deleting = mesh.connectors.delete({ name: 'c', resetOffsets: true }).catch(() => 'unknown');
      await mesh.clock.advance(1);
      mesh.store.faults = undefined;
      await mesh.run(deleting);
      await mesh.run(mesh.connectors.delete({ name: 'c', resetOffsets: true }).catch(() => undefined));
      await mesh.clock.advance(100);
      await mesh.create('c');
      await mesh.clock.advance(10_000);
      assert.notEqual(mesh.spec('c'), null);
    });
  });
});
