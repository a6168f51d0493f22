import assert from 'node:assert/strict';
import { BatchBuilder, property } from '@rocketmq-connect/message-log/message';
import {
  type ConnectRecord,
  DataError,
  defineSource,
  defineTransform,
  FatalError,
  RetriableError,
  type SourceBatch,
  type SourceRecord,
  Type,
} from '@rocketmq-connect/sdk';
import { HostWorld } from '../../../test/support/host-world.ts';

/** A source whose records the test gives, and which waits when there are none. */
class Script {
  readonly batches: (SourceBatch | Error | null)[] = [];
  readonly committed: unknown[] = [];
  committedError: Error | null = null;
  startError: Error | null = null;
  polls = 0;
  stops = 0;
  /** While set, polls wait for it whatever the signal says. */
  gate: Promise<void> | null = null;
  /** What it tells of its partitions; null: it does not. */
  lags: readonly { readonly partition: SourceRecord['partition']; readonly lag: number }[] | null = null;
  waits = true;

  readonly definition = defineSource({
    name: 'Script',
    version: '1',
    config: Type.Object({ password: Type.Optional(Type.String({ secret: true })) }),
    deterministic: true,
    task: (_config, context) => ({
      start: () => {
        if (this.startError !== null) throw this.startError;
      },
      poll: async () => {
        this.polls++;
        if (this.batches.length === 0 && this.gate !== null) await this.gate;
        const next = this.batches.shift();
        if (next instanceof Error) throw next;
        if (next !== undefined) return next;
        if (this.waits) await context.sleep(50);
        return null;
      },
      committed: (checkpoint) => {
        if (this.committedError !== null) throw this.committedError;
        this.committed.push(checkpoint);
      },
      ...(this.lags === null ? {} : { lags: () => this.lags ?? [] }),
      stop: () => void this.stops++,
    }),
  });
}

/** Fails as its test says, by the value of the record. */
function failing(fails: (value: string) => Error | undefined) {
  return defineTransform({
    name: 'Failing',
    version: '1',
    config: Type.Object({}),
    create: () => ({
      apply: <R extends ConnectRecord>(record: R) => {
        const error = fails(String(record.value));
        if (error !== undefined) throw error;
        return record;
      },
    }),
  });
}

const slow = defineTransform({
  name: 'Slow',
  version: '1',
  config: Type.Object({}),
  create: () => ({ apply: async <R extends ConnectRecord>(record: R) => record }),
});

const P = { file: 'a' };

function lines(from: number, to: number, more: Partial<SourceRecord> = {}): SourceRecord[] {
  return Array.from({ length: to - from }, (_, i) => ({
    topic: 't',
    value: `line ${from + i}`,
    partition: P,
    offset: { position: from + i + 1 },
    ...more,
  }));
}

const values = (from: number, to: number): unknown[] => lines(from, to).map(({ value }) => value);
const config = { 'connector.class': 'Script', 'errors.retry.delay.max.ms': '500' };
const withTransform = (type: string): Record<string, string> => ({ ...config, transforms: 'x', 'transforms.x.type': type });
const POSITION = '{"file":"a"}';

describe('source loop', () => {
  let script: Script;
  let world: HostWorld;

  beforeEach(() => {
    script = new Script();
    world = new HostWorld([script.definition, slow]);
  });

  const sent = (count: number): Promise<void> => world.clock.until(() => world.bodies('t').length >= count);

  it('sends what is polled, in order, and commits offsets and checkpoints', async () => {
    script.batches.push({ records: lines(0, 10), checkpoint: 'first' }, { records: lines(10, 20), checkpoint: 'second' });
    world.start(config);
    await sent(20);
    assert.deepEqual(world.bodies('t'), values(0, 20));
    await world.committed();
    assert.deepEqual([...world.offsets], [[POSITION, '{"position":20}']]);
    assert.deepEqual(script.committed, ['second']);
    await world.stop();
    assert.equal(script.stops, 1);
    assert.equal(world.clock.pendingTimers, 0);
  });

  it('gives a checkpoint that advanced although no offset did', async () => {
    script.batches.push({ records: [], checkpoint: 1 });
    world.start(config);
    await world.started();
    await world.committed();
    assert.deepEqual(script.committed, [1]);
    await world.committed();
    assert.deepEqual(script.committed, [1]);
  });

  it('S127: a queue that refuses holds its records: the offset and the checkpoint stay before them, and all arrive in the end', async () => {
    let isAway = true;
    world.log.faults = ({ operation, queue }) =>
      operation === 'send' && queue?.queue === 1 && isAway ? { fails: 'unavailable' } : undefined;
    script.batches.push({
      records: [...lines(0, 1, { queue: 0 }), ...lines(1, 2, { queue: 1 }), ...lines(2, 3, { queue: 0 })],
      checkpoint: 'all',
    });
    world.start(config);
    await sent(2);
    await world.clock.advance(2000);
    await world.committed();
    assert.equal(world.offsets.get(POSITION), '{"position":1}');
    assert.deepEqual(script.committed, []);
    isAway = false;
    await sent(3);
    await world.committed();
    assert.equal(world.offsets.get(POSITION), '{"position":3}');
    assert.deepEqual(script.committed, ['all']);
    assert.ok((await world.stats()).retries >= 3);
  });

  it('S105: a poll that waits delays neither sends nor commits nor a pause', async () => {
    script.batches.push({ records: lines(0, 3) });
    script.gate = new Promise(() => undefined);
    world.start(config);
    await sent(3);
    await world.committed();
    assert.equal(world.offsets.get(POSITION), '{"position":3}');
  });

  it('S105: a pause stops polling and drains; resumed, it goes on', async () => {
    world.start(config, { paused: true });
    await world.started();
    script.batches.push({ records: lines(0, 3) });
    await world.clock.advance(1000);
    assert.equal(script.polls, 0);
    world.runtime().handle({ type: 'resume', unit: 'tasks/c/0' });
    await sent(3);
    world.runtime().handle({ type: 'pause', unit: 'tasks/c/0' });
    await world.clock.advance(1000);
    const { polls } = script;
    await world.clock.advance(1000);
    assert.equal(script.polls, polls);
    await world.committed();
    assert.equal(world.offsets.get(POSITION), '{"position":3}');
  });

  it('tells how far it is behind in all and per partition, of the hundred that are most behind', async () => {
    script.lags = Array.from({ length: 150 }, (_, i) => ({ partition: { file: `/${i}` }, lag: i }));
    world.start(config);
    assert.equal((await world.stats()).lag, (149 * 150) / 2);
    const lags = world.meters?.partitionLags ?? [];
    assert.equal(lags.length, 100);
    assert.deepEqual([lags[0], lags.at(-1)?.lag], [{ partition: '{"file":"/149"}', lag: 149 }, 50]);
    script.lags = [];
    assert.equal((await world.stats()).lag, -1);
    assert.deepEqual(world.meters?.partitionLags, []);
  });

  it('S105: an error of poll fails the task; one that a stop causes does not', async () => {
    script.batches.push(new FatalError('the table is gone', { code: 'TABLE_GONE', remedy: 'Create it.' }));
    world.start(config);
    const error = await world.failed();
    assert.deepEqual([error.code, error.remedy, script.stops], ['TABLE_GONE', 'Create it.', 1]);

    world.start(config);
    await world.started();
    await world.stop();
    assert.equal(world.state, 'stopped');
    assert.equal(script.stops, 2);
  });

  it('S105: a retriable error of poll is tried again after a backoff', async () => {
    script.batches.push(new RetriableError('away'), new RetriableError('away'), { records: lines(0, 2) });
    world.start(config);
    await sent(2);
    assert.equal((await world.stats()).retries, 2);
  });

  it('S105: a commit that cannot advance the source warns, and the task goes on', async () => {
    script.committedError = new RetriableError('no answer');
    script.batches.push({ records: lines(0, 1), checkpoint: 'c' });
    world.start(config);
    await sent(1);
    await world.committed();
    script.committedError = null;
    await world.committed();
    assert.deepEqual(script.committed, ['c']);
    assert.equal(world.state, 'running');
  });

  it('S105: stopped while it starts, it ends; an error of start fails it, and it is stopped', async () => {
    world.start(config);
    await world.stop();
    assert.deepEqual([world.state, script.polls, script.stops], ['stopped', 0, 1]);
    script.startError = new Error('no connection');
    world.start(config);
    const error = await world.failed();
    assert.deepEqual([error.message, error.code, script.stops], ['no connection', 'UNEXPECTED', 2]);
  });

  it('S122: after an unclean end there is little to look through, also where others were busy in its queues', async () => {
    const others = new BatchBuilder();
    script.batches.push({ records: lines(0, 1) });
    world.start(config);
    await sent(1);
    await world.committed();
    for (const queue of world.queues('t')) {
      for (let i = 0; i < 1_000; i++) others.add(Buffer.from('of others'), '');
      world.log.append(queue, others.take());
    }
    for (let commits = 0; commits < 8; commits++) {
      await world.clock.advance(5_000);
      await world.committed();
    }
    assert.deepEqual(
      world.marks.map(({ queue, offset }) => offset - world.log.queue(queue).nextOffset),
      world.queues('t').map(() => 0),
    );
  });

  it('S122: after an unclean end, what siblings sent is left to them', async () => {
    const marks = (): typeof world.marks => world.queues('t').map((queue) => ({ queue, offset: 0 }));
    script.batches.push({ records: lines(0, 5, { partition: { file: 'b' } }) });
    world.start(config, { task: 1 });
    await sent(5);
    world.kill();
    script.batches.push({ records: lines(0, 2) });
    world.start(config, { task: 0, uncleanMarks: marks() });
    await sent(7);
    world.kill();
    world.start(config, { task: 0, uncleanMarks: marks() });
    await world.clock.until(() => world.lines.some(({ message }) => message.startsWith('after an unclean end')));
    assert.match(world.lines.at(-1)?.message ?? '', /^after an unclean end, 2 records/);
  });

  it('S122: marks do not pass what is on its way', async () => {
    script.batches.push({ records: lines(0, 1) });
    world.start(config);
    await sent(1);
    await world.committed();
    await world.clock.advance(60_000);
    // While the ends of the queues are asked for, a batch is stored and its answer is lost: only a look can tell, and the task dies before it.
    world.log.faults = ({ operation }) =>
      operation === 'ask' ? { delayMs: 3_000 } : operation === 'send' ? { fails: 'stored' } : undefined;
    await world.committed();
    script.batches.push({ records: lines(1, 2) });
    await sent(2);
    await world.clock.advance(3_000);
    await world.committed();
    world.kill();
    world.log.faults = () => undefined;
    script.batches.push({ records: lines(1, 3) });
    world.start(config);
    await sent(3);
    assert.deepEqual(world.bodies('t'), values(0, 3));
  });

  it('S148: a log that was gone for an hour is sent to again within seconds of its return', async () => {
    const { 'errors.retry.delay.max.ms': _, ...defaults } = config;
    let isAway = false;
    world.log.faults = () => (isAway ? { fails: 'unavailable' } : undefined);
    script.batches.push({ records: lines(0, 1) });
    world.start(defaults);
    await sent(1);
    isAway = true;
    script.batches.push({ records: lines(1, 2) });
    await world.clock.advance(3_600_000);
    isAway = false;
    await world.clock.until(() => world.bodies('t').length === 2, 5_000);
  });

  describe('S050: while the log takes nothing, the task stops in order before its host would be killed, and commits nothing of what it holds', () => {
    const hookLimits = { pollMs: 0, putMs: 0, flushMs: 0, stopMs: 5000 };
    for (const [what, isAway] of [
      ['the topic cannot be made', () => true],
      ['sends fail', (operation: string) => operation === 'send'],
    ] as const) {
      it(what, async () => {
        world.log.faults = ({ operation }) => (isAway(operation) ? { fails: 'unavailable' } : undefined);
        script.batches.push({ records: lines(0, 3) });
        world.start(config, { hookLimits });
        await world.clock.advance(60_000);
        assert.equal(world.state, 'running');
        world.runtime().handle({ type: 'stop', unit: 'tasks/c/0' });
        await world.clock.until(() => world.state === 'stopped', hookLimits.stopMs);
        assert.deepEqual([world.lastContent, [...world.offsets], script.stops], [null, [], 1]);
        world.log.faults = () => undefined;
        script.batches.push({ records: lines(0, 3) });
        world.start(config, { hookLimits });
        await sent(3);
        await world.stop();
        assert.deepEqual(world.bodies('t'), values(0, 3));
      });
    }
  });

  it('stops polling while too many bytes are in flight', async () => {
    let isAway = true;
    world.log.faults = ({ operation }) => (operation === 'send' && isAway ? { fails: 'unavailable' } : undefined);
    for (let i = 0; i < 40; i++) script.batches.push({ records: lines(i * 10, i * 10 + 10, { value: 'x'.repeat(1000) }) });
    world.start({ ...config, 'bytes.in.flight.max': '65536' });
    await world.clock.advance(5000);
    assert.equal(script.polls, 7);
    isAway = false;
    await sent(400);
  });

  it('a source that returns nothing at once is not polled without a pause', async () => {
    script.waits = false;
    world.start(config);
    await world.started();
    await world.clock.advance(1000);
    assert.ok(script.polls > 50 && script.polls <= 101, `${script.polls} polls in a second`);
  });

  it('the last content of a stop covers what was polled before it', async () => {
    world.log.faults = ({ operation }) => (operation === 'send' ? { delayMs: 300 } : undefined);
    script.batches.push({ records: lines(0, 10) }, { records: lines(10, 20) });
    world.start(config);
    await world.clock.until(() => script.polls > 2);
    await world.stop();
    assert.equal(world.offsets.get(POSITION), '{"position":20}');
    assert.deepEqual(world.bodies('t'), values(0, 20));
    assert.equal(world.released, true);
  });

  it('sends nothing before its marks are committed; a stop before that is no clean one', async () => {
    world.answersCommits = false;
    script.batches.push({ records: lines(0, 10) });
    world.start(config);
    await world.clock.advance(10_000);
    assert.deepEqual(world.bodies('t'), []);
    await world.stop();
    assert.equal(world.lastContent, null);
  });

  it('invariant 6: sends and commits nothing once the session may be over', async () => {
    script.batches.push({ records: lines(0, 1) });
    world.start(config);
    await sent(1);
    world.deadline.set(0.001);
    script.batches.push({ records: lines(1, 2) });
    const error = await world.failed();
    assert.equal(error.code, 'SESSION_OVER');
    assert.deepEqual(world.bodies('t'), values(0, 1));
    assert.equal(world.offsets.size, 0);
  });

  it('invariant 6: does not repeat a send of unknown outcome when the session ended while it looked for the first', async () => {
    script.batches.push({ records: lines(0, 1) });
    let isUnknown = false;
    world.log.faults = ({ operation }) => {
      if (operation === 'ask' && isUnknown) world.deadline.set(0.001);
      if (operation !== 'send' || isUnknown) return undefined;
      isUnknown = true;
      return { fails: 'lost' };
    };
    world.start(config);
    assert.equal((await world.failed()).code, 'SESSION_OVER');
    assert.deepEqual(world.bodies('t'), []);
  });

  it('keeps the order of a key, and of a partition without keys, in one queue', async () => {
    script.batches.push({
      records: lines(0, 30).map((record, i) => ({
        ...record,
        topic: i % 2 === 0 ? 'keyed' : 'plain',
        ...(i % 2 === 0 ? { key: `k${i % 6}` } : {}),
      })),
    });
    world.start(config);
    await world.clock.until(
      () => world.bodies('keyed').length + (world.log.topics().includes('plain') ? world.bodies('plain').length : 0) === 30,
    );
    for (const key of ['k0', 'k2', 'k4']) {
      const queues = world.messages('keyed').map((queue) => queue.filter((message) => message.key === key));
      assert.equal(queues.filter((queue) => queue.length > 0).length, 1);
    }
    assert.equal(world.messages('plain').filter((queue) => queue.length > 0).length, 1);
  });

  it('S149: gives messages the tag and the message group that are configured, or those of a record', async () => {
    const headers = [
      { name: 'TAGS', value: 'own' },
      { name: '__SHARDINGKEY', value: 'g' },
    ];
    script.batches.push({ records: [...lines(0, 1, { key: 'k' }), ...lines(1, 2), ...lines(2, 30, { headers })] });
    world.start({ ...config, 'rocketmq.tags': 'orders', 'rocketmq.message.group': 'key' });
    await sent(30);
    const all = world.messages('t').flat();
    const of = (body: string) =>
      ['TAGS', '__SHARDINGKEY'].map((name) => property(all.find((message) => message.body === body)?.properties ?? '', name));
    assert.deepEqual(
      [of('line 0'), of('line 1'), of('line 2')],
      [
        ['orders', 'k'],
        ['orders', undefined],
        ['own', 'g'],
      ],
    );
    assert.equal(new Set(all.filter(({ body }) => Number(body.split(' ')[1]) >= 2).map(({ queue }) => queue)).size, 1);
  });

  it('S074: creates topics by the rules of their groups, dead-letter topics too', async () => {
    script.batches.push({ records: [...lines(0, 1, { topic: 'w1' }), ...lines(1, 2), ...lines(2, 3, { value: Buffer.alloc(5_000_000) })] });
    world.start({
      ...config,
      'topic.creation.groups': 'wide',
      'topic.creation.wide.include': 'w.*',
      'topic.creation.wide.queues': '7',
      'topic.creation.default.queues': '2',
      'errors.tolerance': 'all',
      'errors.deadletterqueue.topic.name': 'w-dead',
    });
    await world.clock.until(() => world.messages('w-dead').flat().length === 1);
    assert.deepEqual(
      ['w1', 't', 'w-dead'].map((topic) => world.queues(topic).length),
      [7, 2, 7],
    );
  });

  it('send.ordering none spreads records without keys', async () => {
    world.log.faults = ({ operation }) => (operation === 'send' ? { delayMs: 100 } : undefined);
    for (let i = 0; i < 8; i++) script.batches.push({ records: lines(i, i + 1) });
    world.start({ ...config, 'send.ordering': 'none' });
    await sent(8);
    assert.ok(world.messages('t').every((queue) => queue.length > 0));
  });

  it('a batch lingers for more records, and goes out when it is full', async () => {
    script.batches.push({ records: lines(0, 2) });
    world.start({ ...config, 'batch.linger.ms': '200', 'batch.max.count': '5' });
    await world.clock.advance(150);
    assert.deepEqual(world.bodies('t'), []);
    await sent(2);
    script.batches.push({ records: lines(2, 7) }, { records: lines(7, 8) });
    await world.clock.advance(120);
    assert.equal(world.bodies('t').length, 7);
    await sent(8);
  });

  describe('errors', () => {
    const bad = failing((value) => (/[05]$/.test(value) ? new DataError(`cannot take ${value}`, { code: 'BAD' }) : undefined));

    beforeEach(() => {
      world = new HostWorld([script.definition, bad]);
    });

    it('S093: tolerance none fails the task at the first bad record, and nothing after it is sent', async () => {
      script.batches.push({ records: lines(1, 10) });
      world.start(withTransform('Failing'));
      assert.equal((await world.failed()).code, 'BAD');
      await world.clock.advance(1000);
      assert.ok(world.bodies('t').every((value) => Number(value.split(' ')[1]) < 5));
    });

    it('S091: tolerance all sends the good ones, and the bad ones to the dead-letter topic with what is known of them', async () => {
      script.batches.push({ records: lines(0, 1000, { key: 'k', timestamp: 5, headers: [{ name: 'h', value: 'v' }] }) });
      world.start({
        ...withTransform('Failing'),
        'errors.tolerance': 'all',
        'errors.deadletterqueue.topic.name': 'dead',
        'errors.deadletterqueue.context.headers.enable': 'true',
      });
      await sent(800);
      await world.clock.until(() => world.log.topics().includes('dead') && world.bodies('dead').length === 200);
      await world.committed();
      assert.equal(world.offsets.get(POSITION), '{"position":1000}');
      const dead = world.messages('dead').flat();
      assert.deepEqual(new Set(dead.map(({ body }) => body)), new Set(values(0, 1000).filter((value) => /[05]$/.test(String(value)))));
      const one = dead.find(({ body }) => body === 'line 5')?.properties.split('\x02') ?? [];
      for (const expected of [
        'KEYS\x01k',
        'h\x01v',
        'connect.timestamp\x015',
        '__connect.errors.topic\x01t',
        '__connect.errors.connector.name\x01c',
        '__connect.errors.task.id\x010',
        '__connect.errors.stage\x01TRANSFORMATION',
        '__connect.errors.exception.class.name\x01DataError',
        '__connect.errors.exception.message\x01cannot take line 5',
      ]) {
        assert.ok(one.includes(expected), `${expected.replace('\x01', '=')} is not in ${one.map((text) => text.replace('\x01', '='))}`);
      }
      const { polled, acknowledged, deadLettered, inFlight } = await world.stats();
      assert.deepEqual(
        { polled, acknowledged, deadLettered, inFlight },
        { polled: 1000, acknowledged: 800, deadLettered: 200, inFlight: 0 },
      );
    });

    it('no offset passes a record before it is in the dead-letter topic', async () => {
      world.log.faults = ({ operation, queue }) => (operation === 'send' && queue?.topic === 'dead' ? { fails: 'unavailable' } : undefined);
      script.batches.push({ records: lines(4, 7) });
      world.start({ ...withTransform('Failing'), 'errors.tolerance': 'all', 'errors.deadletterqueue.topic.name': 'dead' });
      await sent(1);
      await world.clock.advance(3000);
      await world.committed();
      assert.equal(world.offsets.get(POSITION), '{"position":5}');
      world.log.faults = () => undefined;
      await sent(2);
      await world.committed();
      assert.equal(world.offsets.get(POSITION), '{"position":7}');
    });

    it('without a dead-letter topic, bad records are skipped and counted', async () => {
      script.batches.push({ records: lines(0, 10) });
      world.start({ ...withTransform('Failing'), 'errors.tolerance': 'all', 'errors.log.enable': 'true' });
      await sent(8);
      assert.equal((await world.stats()).skipped, 2);
      assert.equal(world.lines.filter(({ level }) => level === 'error').length, 2);
    });

    it('S091: a retriable error of a stage is tried again for errors.retry.timeout', async () => {
      let failures = 0;
      const flaky = failing(() => (failures++ < 3 ? new RetriableError('busy') : undefined));
      world = new HostWorld([script.definition, flaky]);
      script.batches.push({ records: lines(0, 3) });
      world.start({ ...withTransform('Failing'), 'errors.retry.timeout': '5000' });
      await sent(3);
      assert.deepEqual(world.bodies('t'), values(0, 3));
      failures = -1_000_000;

      world = new HostWorld([script.definition, failing(() => new RetriableError('busy', { code: 'BUSY' }))]);
      script.batches.push({ records: lines(0, 3) });
      world.start({ ...withTransform('Failing'), 'errors.retry.timeout': '2000' });
      const before = world.clock.monotonic();
      assert.equal((await world.failed()).code, 'BUSY');
      assert.ok(world.clock.monotonic() - before >= 2000);
    });

    it('S149: what no message can hold is a bad record: too large, too many header bytes, a name with a separator', async () => {
      script.batches.push({
        records: [
          ...lines(1, 2, { value: Buffer.alloc(4 * 1024 * 1024) }),
          ...lines(2, 3, { headers: [{ name: 'h', value: 'x'.repeat(40_000) }] }),
          ...lines(3, 4, { headers: [{ name: 'a\x01b', value: 1 }] }),
          ...lines(4, 5),
        ],
      });
      world.start({
        ...config,
        'errors.tolerance': 'all',
        'errors.deadletterqueue.topic.name': 'dead',
        'errors.deadletterqueue.context.headers.enable': 'true',
      });
      await sent(1);
      assert.deepEqual(world.bodies('t'), values(4, 5));
      const messages = world
        .messages('dead')
        .flat()
        .map(({ properties }) => property(properties, '__connect.errors.exception.message') ?? '');
      assert.equal(messages.length, 3);
      for (const expected of [/41943\d\d bytes/, /40\d\d\d bytes; a message holds 32767/, /a header is named/]) {
        assert.ok(
          messages.some((message) => expected.test(message)),
          String(messages),
        );
      }
    });

    it('S144: no secret is in an error, a dead letter or a log line', async () => {
      world = new HostWorld([script.definition, failing((value) => new DataError(`cannot log in with hunter22 for ${value}`))]);
      world.env['PW'] = 'hunter22';
      script.batches.push({ records: lines(0, 1) });
      const secretConfig = { ...withTransform('Failing'), password: '${env:PW}' };
      world.start({
        ...secretConfig,
        'errors.tolerance': 'all',
        'errors.log.enable': 'true',
        'errors.deadletterqueue.topic.name': 'dead',
        'errors.deadletterqueue.context.headers.enable': 'true',
      });
      await world.clock.until(() => world.log.topics().includes('dead') && world.bodies('dead').length === 1);
      await world.stop();
      script.batches.push({ records: lines(0, 1) });
      world.start(secretConfig);
      await world.failed();
      const everything = JSON.stringify([world.error, world.lines, world.messages('dead')]);
      assert.ok(everything.includes('[hidden]') && !everything.includes('hunter22'), everything);
    });

    it('fails with a clear text where a topic may not be created', async () => {
      script.batches.push({ records: lines(0, 1) });
      world.start({ ...config, 'topic.creation.enable': 'false' });
      const error = await world.failed();
      assert.deepEqual([error.code, error.field], ['TOPIC_NOT_FOUND', 'topic.creation.enable']);
    });
  });

  it('asynchronous transforms keep the order', async () => {
    script.batches.push({ records: lines(0, 50) });
    world.start(withTransform('Slow'));
    await sent(50);
    assert.deepEqual(world.bodies('t'), values(0, 50));
  });

  it('a record that a plugin makes wrongly fails the task and names the field', async () => {
    script.batches.push({ records: [{ topic: 't', value: 1 } as unknown as SourceRecord] });
    world.start(config);
    const error = await world.failed();
    assert.deepEqual([error.code, error.field], ['SOURCE_RECORD_INVALID', 'partition']);
  });
});
