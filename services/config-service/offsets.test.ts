import assert from 'node:assert/strict';
import { StoredAlter, StoredCommit, StoredRunner } from '@rocketmq-connect/proto/storage';
import { type ConfigMesh, configMesh, fileConfig, sinkConfig, sinkOffset, sourceOffset } from '../../test/support/config-mesh.ts';

describe('offsets', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  const shown = async (connector = 'c'): Promise<string[]> =>
    (await mesh.run(mesh.offsets.get({ connector }))).offsets.map(({ partitionJson, offsetJson }) => `${partitionJson} ${offsetJson}`);
  const alter = (offsets: [unknown, unknown][], connector = 'c') =>
    mesh.offsets.alter({
      connector,
      offsets: offsets.map(([partition, offset]) => ({
        partitionJson: partition === undefined ? '' : JSON.stringify(partition),
        offsetJson: offset === undefined ? '' : JSON.stringify(offset),
      })),
    });
  /** A STOPPED connector with these offsets, its tasks gone. */
  const stopped = async (config: Record<string, string>, ...offsets: ReturnType<typeof sourceOffset>[]): Promise<void> => {
    const { generation, tokens } = await mesh.running('c', 1, config);
    for (let from = 0, sequence = 1n; from < offsets.length; from += 50, sequence++) {
      await mesh.commit({ generation, token: tokens[0] ?? 0n, sequence, offsets: offsets.slice(from, from + 50), sinkStates: { f: '{}' } });
    }
    await mesh.stop('c');
    await mesh.disown();
  };
  const alterKeys = (): string[] => mesh.store.peek(mesh.keys.alters).map(({ value }) => value);

  it('S075: of an unknown connector are not found', async () => {
    const calls = [
      () => mesh.offsets.get({ connector: 'x' }),
      () => alter([[{ a: 1 }, { b: 1 }]], 'x'),
      () => mesh.offsets.reset({ connector: 'x' }),
    ];
    for (const call of calls) {
      const error = await mesh.failure(call());
      assert.equal(error.kind, 'notFound');
      assert.equal(error.message, 'Connector x not found');
    }
  });

  it('S076: are shown as committed, those of sinks by topic, broker and queue', async () => {
    const source = await mesh.running('c');
    await mesh.commit({
      generation: source.generation,
      token: source.tokens[0] ?? 0n,
      offsets: [sourceOffset('/b', 2), sourceOffset('/a', 80)],
    });
    assert.deepEqual(await shown(), ['{"filename":"/a"} {"position":80}', '{"filename":"/b"} {"position":2}']);
    const sink = await mesh.running('s', 1, sinkConfig);
    await mesh.commit({ connector: 's', generation: sink.generation, token: sink.tokens[0] ?? 0n, offsets: [sinkOffset(3, 10)] });
    assert.deepEqual(await shown('s'), ['{"rocketmq_topic":"t","rocketmq_broker":"b","rocketmq_queue":3} {"rocketmq_offset":10}']);
  });

  it('of a sink are neither shown nor changed where the message log keeps them', async () => {
    await stopped(sinkConfig);
    await mesh.running('source');
    const runner = { ...StoredRunner.create(), id: 'r2', session: 's2', logKeepsPositions: true };
    const key = mesh.keys.runner('r2');
    await mesh.run(mesh.hand.txn({ compare: [], then: [{ op: 'put', key, value: JSON.stringify(StoredRunner.toJSON(runner)) }] }));
    for (const call of [
      () => mesh.offsets.get({ connector: 'c' }),
      () => alter([[{ a: 1 }, null]]),
      () => mesh.offsets.reset({ connector: 'c' }),
    ]) {
      const { kind, code, field, message, remedy } = await mesh.failure(call());
      assert.deepEqual([kind, code, field], ['config', 'LOG_KEEPS_POSITIONS', 'connector']);
      assert.match(`${message} ${remedy}`, /the sink c has no offsets here.*mqadmin consumerProgress -g connect-c/);
    }
    assert.deepEqual(await shown('source'), []);
  });

  it('S077: of a RUNNING or PAUSED connector cannot be changed', async () => {
    await mesh.running('c');
    for (const targetState of ['TARGET_STATE_RUNNING', 'TARGET_STATE_PAUSED'] as const) {
      await mesh.run(mesh.connectors.setTargetState({ name: 'c', targetState }));
      for (const call of [() => alter([[{ a: 1 }, { b: 1 }]]), () => mesh.offsets.reset({ connector: 'c' })]) {
        const error = await mesh.failure(call());
        assert.equal(error.kind, 'config');
        assert.equal(
          error.message,
          'Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector ' +
            "by issuing a 'PUT' request to the '/connectors/c/stop' endpoint",
        );
      }
    }
  });

  it('S078: are set and removed one by one; the fences of the past go, so that nothing is searched for behind them', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80), sourceOffset('/b', 5));
    const { message } = await mesh.run(
      alter([
        [{ filename: '/a' }, { position: 20 }],
        [{ filename: '/b' }, null],
        [{ filename: '/new' }, { position: 1 }],
      ]),
    );
    assert.equal(message, 'The offsets for this connector have been altered successfully');
    assert.deepEqual(await shown(), ['{"filename":"/a"} {"position":20}', '{"filename":"/new"} {"position":1}']);
    assert.deepEqual(
      mesh.plugin.altered[0]?.offsets.map(({ offsetJson }) => offsetJson),
      ['{"position":20}', '', '{"position":1}'],
    );
    assert.deepEqual(mesh.store.peek(mesh.keys.commits('c')), []);
    assert.equal(mesh.storedOffsets('c')[0]?.plugin, 'FileStreamSource');
    assert.deepEqual(alterKeys(), []);
    await mesh.resume('c');
  });

  it("S078: of a sink are taken in Kafka's names too; the broker is the one that has the queue", async () => {
    await stopped(sinkConfig, sinkOffset(0, 9, 'b1'), sinkOffset(1, 9, 'b2'));
    await mesh.run(
      alter([
        [{ kafka_topic: 't', kafka_partition: 0 }, { kafka_offset: 3 }],
        [{ rocketmq_topic: 't', rocketmq_broker: 'b2', rocketmq_queue: '1' }, null],
      ]),
    );
    assert.deepEqual(await shown(), ['{"rocketmq_topic":"t","rocketmq_broker":"b1","rocketmq_queue":0} {"rocketmq_offset":3}']);
    await mesh.run(alter([[{ kafka_topic: 'other', kafka_partition: 7 }, { kafka_offset: 0 }]]));
    assert.match((await shown())[0] ?? '', /"other","rocketmq_broker":"embedded","rocketmq_queue":7/);
  });

  it('of a sink are checked by a runner, which knows the queues; what is only removed needs none', async () => {
    await stopped(sinkConfig, sinkOffset(0, 9), sinkOffset(1, 9));
    const [queue, other] = [0, 1].map((id) => ({ rocketmq_topic: 't', rocketmq_broker: 'b', rocketmq_queue: id }));
    await mesh.run(alter([[queue, null]]));
    assert.equal(mesh.plugin.altered.length, 0);
    mesh.plugin.refusal = 'there is no such queue';
    await mesh.failure(
      alter([
        [queue, { rocketmq_offset: 3 }],
        [other, null],
      ]),
    );
    assert.deepEqual(
      mesh.plugin.altered[0]?.offsets.map(({ partitionJson, offsetJson }) => [JSON.parse(partitionJson), offsetJson]),
      [
        [queue, '{"rocketmq_offset":3}'],
        [other, ''],
      ],
    );
    assert.equal((await shown()).length, 1);
  });

  it("S080: while a task is still owned, a change is refused with the zombie's name and may be retried", async () => {
    const { tokens, generation } = await mesh.running('c', 1, sinkConfig);
    await mesh.stop('c');
    const error = await mesh.failure(mesh.offsets.reset({ connector: 'c' }));
    assert.equal(error.kind, 'conflict');
    assert.match(error.message, /zombie sink task/);
    assert.match(
      (await mesh.failure(alter([[{ kafka_topic: 't', kafka_partition: 0 }, { kafka_offset: 3 }]]))).message,
      /zombie sink task/,
    );
    assert.deepEqual(alterKeys(), []);
    await mesh.commit({ generation, token: tokens[0] ?? 0n, release: true });
    await mesh.disown();
    await mesh.run(mesh.offsets.reset({ connector: 'c' }));
  });

  describe('S081: a bad body is the caller’s fault and names the place', () => {
    const sinkBodies: [string, [unknown, unknown][], RegExp, string][] = [
      ['no offsets', [], /^Partitions \/ offsets need to be provided for an alter offsets request$/, 'offsets'],
      [
        'no partition',
        [[undefined, { kafka_offset: 1 }]],
        /^The partition for a sink connector offset cannot be null or missing$/,
        'offsets[0].partition',
      ],
      ['a null partition', [[null, { kafka_offset: 1 }]], /cannot be null or missing$/, 'offsets[0].partition'],
      [
        'wrong keys',
        [[{ topic: 't' }, { kafka_offset: 1 }]],
        /^The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'/,
        'offsets[0].partition',
      ],
      [
        'a topic that is no text',
        [[{ kafka_topic: 5, kafka_partition: 1 }, null]],
        /^Topic names must be valid strings/,
        'offsets[0].partition.kafka_topic',
      ],
      [
        'a partition that is no number',
        [[{ kafka_topic: 't', kafka_partition: 'x' }, null]],
        /^Failed to parse the following partition value in the provided offsets: '"x"'/,
        'offsets[0].partition.kafka_partition',
      ],
      [
        'a negative partition',
        [[{ kafka_topic: 't', kafka_partition: -1 }, null]],
        /need to be integers/,
        'offsets[0].partition.kafka_partition',
      ],
      [
        'an offset without its key',
        [[{ kafka_topic: 't', kafka_partition: 1 }, { x: 1 }]],
        /should either be null or contain the key 'kafka_offset'/,
        'offsets[0].offset',
      ],
      [
        'an offset that is no number',
        [[{ kafka_topic: 't', kafka_partition: 1 }, { kafka_offset: 'a' }]],
        /^Failed to parse the following offset value/,
        'offsets[0].offset.kafka_offset',
      ],
      ['an offset that is a list', [[{ kafka_topic: 't', kafka_partition: 1 }, [1]]], /must be a JSON object/, 'offsets[0].offset'],
      [
        'one partition twice',
        [1, 2].map((n) => [{ kafka_topic: 't', kafka_partition: 1 }, { kafka_offset: n }]),
        /is given twice/,
        'offsets[1].partition',
      ],
      [
        'a queue on no single broker',
        [[{ kafka_topic: 't', kafka_partition: 5 }, null]],
        /several brokers \(b1, b2\): name one/,
        'offsets[0].partition.rocketmq_broker',
      ],
    ];
    for (const [what, body, text, field] of sinkBodies) {
      it(`sink: ${what}`, async () => {
        await stopped(sinkConfig, sinkOffset(0, 9, 'b1'), sinkOffset(1, 9, 'b2'));
        const before = await shown();
        const error = await mesh.failure(alter(body));
        assert.equal(error.kind, 'config');
        assert.match(error.message, text);
        assert.equal(error.field, field);
        assert.deepEqual(await shown(), before);
      });
    }
    const sourceBodies: [string, [unknown, unknown][], RegExp][] = [
      ['no partition', [[undefined, { p: 1 }]], /^The partition for a source connector offset cannot be null or missing$/],
      ['a partition that is a text', [['x', { p: 1 }]], /must be a JSON object/],
      ['an offset that is a number', [[{ filename: '/a' }, 5]], /must be a JSON object/],
      ['an empty partition', [[{}, { p: 1 }]], /cannot be empty/],
    ];
    for (const [what, body, text] of sourceBodies) {
      it(`source: ${what}`, async () => {
        await stopped(fileConfig, sourceOffset('/a', 80));
        const error = await mesh.failure(alter(body));
        assert.equal(error.kind, 'config');
        assert.match(error.message, text);
      });
    }

    it('no JSON', async () => {
      await stopped(fileConfig, sourceOffset('/a', 80));
      const error = await mesh.failure(mesh.offsets.alter({ connector: 'c', offsets: [{ partitionJson: '{', offsetJson: '' }] }));
      assert.equal(error.kind, 'config');
      assert.equal(error.field, 'offsets[0].partition');
    });
  });

  it('S082: a reset forgets everything, twice is the same, and "latest" begins anew', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80));
    await mesh.clock.advance(5_000);
    const { message } = await mesh.run(mesh.offsets.reset({ connector: 'c' }));
    assert.equal(message, 'The offsets for this connector have been reset successfully');
    assert.deepEqual(await shown(), []);
    assert.deepEqual(mesh.store.peek(mesh.keys.commits('c')), []);
    assert.deepEqual(mesh.store.peek(mesh.keys.sinkStates('c')), []);
    assert.equal(mesh.spec('c')?.startTimeMs, BigInt(mesh.clock.now()));
    await mesh.run(mesh.offsets.reset({ connector: 'c' }));
    assert.deepEqual(
      mesh.plugin.altered.map(({ offsets }) => offsets.map(({ offsetJson }) => offsetJson)),
      [['']],
    );
    const { entries } = await mesh.connectors.history({ name: 'c' });
    assert.equal(entries[0]?.what, 'offsets');
  });

  it('S084: a plugin that refuses, or is not to be had, leaves the offsets and resuming as they were', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80));
    mesh.plugin.refusal = "Partition objects should contain the key 'filename'";
    const error = await mesh.failure(alter([[{ foo: 1 }, { position: 1 }]]));
    assert.equal(error.kind, 'config');
    assert.equal(error.message, "Partition objects should contain the key 'filename'");
    mesh.network.crash('runner');
    assert.equal((await mesh.failure(mesh.offsets.reset({ connector: 'c' }))).kind, 'unavailable');
    assert.deepEqual(await shown(), ['{"filename":"/a"} {"position":80}']);
    assert.deepEqual(alterKeys(), []);
    await mesh.resume('c');
  });

  it('Invariant 4: while they change no resume passes, nor another change, and what was planned before is not claimed', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80));
    let release = (): void => {};
    mesh.plugin.before = () => new Promise((resolve) => (release = resolve));
    const altering = alter([[{ filename: '/a' }, { position: 1 }]]);
    await mesh.clock.advance(100);
    assert.equal(
      (await mesh.failure(mesh.connectors.setTargetState({ name: 'c', targetState: 'TARGET_STATE_RUNNING' }))).code,
      'OFFSETS_CHANGING',
    );
    assert.equal((await mesh.failure(mesh.offsets.reset({ connector: 'c' }))).code, 'OFFSETS_CHANGING');
    assert.equal(mesh.taskSet('c'), null);
    release();
    await mesh.run(altering);
    await mesh.resume('c');
  });

  it('many positions are written in pieces, all of them, or none when the plugin refuses', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80));
    const many = Array.from({ length: 230 }, (_, i): [unknown, unknown] => [{ filename: `/${i}` }, { position: i }]);
    const states: boolean[] = [];
    mesh.store.observe(() => {
      const [alter] = alterKeys();
      if (alter !== undefined) states.push(StoredAlter.fromJSON(JSON.parse(alter)).writing);
    });
    await mesh.run(alter(many));
    assert.equal(mesh.storedOffsets('c').length, 231);
    assert.deepEqual(states, [false, true, true, true, true]);
    assert.deepEqual(alterKeys(), []);
  });

  it('config-service dies between two pieces: no resume until the change is sent again, which takes it over', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80));
    const many = Array.from({ length: 230 }, (_, i): [unknown, unknown] => [{ filename: `/${i}` }, { position: i }]);
    let pieces = 0;
    mesh.store.faults = ({ client, txn }) => {
      if (txn?.then.some((operation) => operation.op === 'put' && operation.key.includes('/offsets/')) !== true || client === 'hand')
        return undefined;
      return ++pieces > 2 ? { outcome: 'unavailable' } : undefined;
    };
    await mesh.failure(alter(many));
    mesh.store.faults = undefined;
    assert.equal(alterKeys().length, 1);
    await mesh.service.start();
    await mesh.clock.advance(120_000);
    assert.equal(
      (await mesh.failure(mesh.connectors.setTargetState({ name: 'c', targetState: 'TARGET_STATE_RUNNING' }))).code,
      'OFFSETS_CHANGING',
    );
    await mesh.run(alter(many));
    assert.equal(mesh.storedOffsets('c').length, 231);
    await mesh.resume('c');
  });

  it('one that died before it wrote is swept, and one that lives is not taken over', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80));
    await mesh.put(mesh.keys.alter('c'), JSON.stringify(StoredAlter.toJSON({ who: 'gone', writing: false })));
    assert.equal((await mesh.failure(mesh.offsets.reset({ connector: 'c' }))).code, 'OFFSETS_CHANGING');
    await mesh.service.start();
    await mesh.clock.advance(25_000);
    assert.equal(alterKeys().length, 1);
    await mesh.clock.advance(30_000);
    assert.equal(alterKeys().length, 0);
    await mesh.resume('c');
  });

  it('of unknown outcome, each step is read back; the change happens once', async () => {
    for (const outcome of ['unknownApplied', 'unknownNotApplied', 'unknownAppliedLater'] as const) {
      const world = await configMesh();
      mesh = world;
      await stopped(fileConfig, sourceOffset('/a', 80));
      let left = 2;
      world.store.faults = ({ txn }) => {
        if (left === 0 || txn?.then.some((operation) => operation.op !== 'get' && operation.op !== 'range') !== true) return undefined;
        left--;
        return { outcome, laterMs: 3 };
      };
      await world.run(alter([[{ filename: '/a' }, { position: 1 }]]));
      assert.deepEqual(await shown(), ['{"filename":"/a"} {"position":1}'], outcome);
      await world.clock.advance(1_000);
      assert.deepEqual(alterKeys(), [], outcome);
    }
  });

  it('after a change of the class, positions of the other kind are not shown', async () => {
    await stopped(fileConfig, sourceOffset('/a', 80));
    await mesh.run(mesh.connectors.update({ name: 'c', config: sinkConfig, expectedConfigRevision: 0n }));
    assert.deepEqual(await shown(), []);
    await mesh.run(mesh.offsets.reset({ connector: 'c' }));
    assert.deepEqual(mesh.storedOffsets('c'), []);
  });

  it('the fence of a commit says when the last owner stopped cleanly', async () => {
    const { generation, tokens } = await mesh.running('c');
    await mesh.commit({ generation, token: tokens[0] ?? 0n, release: true });
    const [kv] = mesh.store.peek(mesh.keys.commits('c'));
    assert.equal(StoredCommit.fromJSON(JSON.parse(kv?.value ?? '{}')).released, true);
  });
});
