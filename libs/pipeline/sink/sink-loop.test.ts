import assert from 'node:assert/strict';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import {
  type ConnectRecord,
  DataError,
  defineSink,
  defineTransform,
  FatalError,
  RetriableError,
  type SinkRecord,
  type SinkState,
  type SinkTaskContext,
  Type,
} from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { HostWorld } from '../../../test/support/host-world.ts';

/** A sink that remembers what it got. */
class Collector {
  readonly records: SinkRecord[] = [];
  readonly puts: number[] = [];
  readonly calls: string[] = [];
  context: SinkTaskContext | null = null;
  openedWith: SinkState | null = null;
  onPut: (records: readonly SinkRecord[], signal: AbortSignal) => Promise<void> | void = () => undefined;
  onFlush: () => SinkState | undefined = () => undefined;
  onCall: (call: string) => void = () => undefined;

  readonly definition = defineSink({
    name: 'Collector',
    version: '1',
    config: Type.Object({}),
    task: (_config, context) => {
      this.context = context;
      const call = (name: string): void => {
        this.calls.push(name);
        this.onCall(name);
      };
      return {
        start: () => call('start'),
        open: (_queues, state) => {
          this.openedWith = state;
          call('open');
        },
        put: async (records, signal) => {
          await this.onPut(records, signal);
          this.puts.push(records.length);
          this.records.push(...records);
        },
        flush: () => {
          call('flush');
          return this.onFlush();
        },
        close: () => call('close'),
        stop: () => call('stop'),
      };
    },
  });
}

const evens = defineTransform({
  name: 'Evens',
  version: '1',
  config: Type.Object({}),
  create: () => ({
    apply: <R extends ConnectRecord>(record: R) => {
      const at = Number(String(record.value).split(' ')[1]);
      if (at % 5 === 0) throw new DataError(`no ${at}`, { code: 'BAD' });
      return at % 2 === 0 ? { ...record, topic: 'renamed' } : null;
    },
  }),
});

const config = { 'connector.class': 'Collector', topics: 't', 'errors.retry.delay.max.ms': '500' };

describe('sink loop', () => {
  let sink: Collector;
  let world: HostWorld;

  beforeEach(() => {
    sink = new Collector();
    world = new HostWorld([sink.definition, evens]);
    world.log.create('t', 2);
  });

  const start = (more: Record<string, string> = {}): void => world.start({ ...config, ...more }, { queues: world.queues('t') });
  const got = (count: number): Promise<void> => world.clock.until(() => sink.records.length >= count);
  const values = (): unknown[] => sink.records.map(({ value }) => value);
  const position = (queue: number): number | undefined => [...world.positions.values()].find((one) => one.queue.queue === queue)?.position;

  function write(queue: number, from: number, to: number, properties = ''): void {
    const builder = new BatchBuilder();
    for (let i = from; i < to; i++) builder.add(Buffer.from(`line ${i}`), properties);
    world.log.append({ topic: 't', broker: 'simulated', queue }, builder.take());
  }

  it('puts what is in the log, in order per queue, and commits the positions of what was put and flushed', async () => {
    write(0, 0, 10);
    write(1, 100, 110);
    start();
    await got(20);
    assert.deepEqual(
      values().filter((value) => Number(String(value).split(' ')[1]) < 100),
      Array.from({ length: 10 }, (_, i) => `line ${i}`),
    );
    assert.deepEqual(sink.records[0]?.origin, { topic: 't', broker: 'simulated', queue: 0, offset: 0 });
    await world.committed();
    assert.deepEqual([position(0), position(1)], [10, 10]);
    write(0, 10, 12);
    await got(22);
    await world.stop();
    assert.deepEqual([position(0), position(1)], [12, 10]);
    assert.deepEqual(sink.calls, ['start', 'open', 'flush', 'flush', 'close', 'stop']);
    assert.equal(world.clock.pendingTimers, 0);
  });

  it('goes on where it stopped', async () => {
    write(0, 0, 10);
    start();
    await got(10);
    await world.stop();
    write(0, 10, 15);
    start();
    await got(15);
    assert.equal(new Set(values()).size, 15);
  });

  it('puts at most put.max.records at once', async () => {
    write(0, 0, 25);
    start({ 'put.max.records': '10' });
    await got(25);
    assert.deepEqual(sink.puts, [10, 10, 5]);
  });

  it('decodes keys, headers, timestamps and tombstones; S104: a timestamp that is missing stays so', async () => {
    write(0, 0, 1);
    write(0, 1, 2, 'KEYS\x01k\x02h\x0142\x02connect.timestamp\x017\x02rmqc.null\x011\x02UNIQ_KEY\x01system\x02rmqc.h64.0:b\x01AAE=\x02');
    start();
    await got(2);
    const [plain, full] = sink.records;
    assert.equal('timestamp' in (plain ?? {}), false);
    assert.deepEqual([full?.key, full?.value, full?.timestamp], ['k', null, 7]);
    assert.deepEqual(
      full?.headers?.map(({ name, value }) => [name, Buffer.isBuffer(value) ? value.toString('hex') : value]),
      [
        ['h', 42],
        ['b', '\x00\x01'],
      ],
    );
  });

  it('takes the messages whose tag the expression names; positions pass the others, which count as filtered', async () => {
    write(0, 0, 2, 'TAGS\x01paid\x02');
    write(0, 2, 4, 'NOTTAGS\x01paid\x02');
    write(0, 4, 6, 'rmqc.id\x01i\x02TAGS\x01sent\x02');
    write(0, 6, 8, 'TAGS\x01paidback\x02');
    write(1, 8, 9);
    start({ 'rocketmq.tag.expression': 'paid||  sent ' });
    await got(4);
    assert.deepEqual(values(), ['line 0', 'line 1', 'line 4', 'line 5']);
    assert.deepEqual(
      sink.records.map(({ headers = [] }) => headers.map(({ name, value }) => `${name}=${value}`).join()),
      ['TAGS=paid', 'TAGS=paid', 'TAGS=sent', 'TAGS=sent'],
    );
    await world.clock.until(() => world.counters?.polled === 9);
    await world.committed();
    assert.deepEqual([position(0), position(1)], [8, 1]);
    const { acknowledged, filtered, inFlight } = await world.stats();
    assert.deepEqual({ acknowledged, filtered, inFlight }, { acknowledged: 4, filtered: 5, inFlight: 0 });
  });

  it('S104: positions move over dropped, failed and renamed records, in the queues they came from', async () => {
    write(0, 0, 10);
    start({ transforms: 'e', 'transforms.e.type': 'Evens', 'errors.tolerance': 'all' });
    await got(4);
    assert.deepEqual([...new Set(sink.records.map(({ topic }) => topic))], ['renamed']);
    await world.committed();
    assert.equal(position(0), 10);
    const { polled, acknowledged, filtered, skipped, inFlight } = await world.stats();
    assert.deepEqual(
      { polled, acknowledged, filtered, skipped, inFlight },
      { polled: 10, acknowledged: 4, filtered: 4, skipped: 2, inFlight: 0 },
    );
  });

  it('S091: failed records get into the dead-letter topic as they were in the log', async () => {
    write(0, 0, 20, 'KEYS\x01k\x02');
    start({
      transforms: 'e',
      'transforms.e.type': 'Evens',
      'errors.tolerance': 'all',
      'errors.deadletterqueue.topic.name': 'dead',
      'errors.deadletterqueue.context.headers.enable': 'true',
    });
    await got(8);
    await world.clock.until(() => world.bodies('dead').length === 4);
    assert.deepEqual(world.bodies('dead').sort(), ['line 0', 'line 10', 'line 15', 'line 5']);
    const one = world.messages('dead').flat()[0];
    assert.equal(one?.key, 'k');
    for (const expected of ['errors.topic\x01t', 'errors.partition\x010', 'errors.stage\x01TRANSFORMATION']) {
      assert.ok(one?.properties.includes(`__connect.${expected}\x02`), expected);
    }
  });

  it('S092: every reported record is in the dead-letter topic once, and no position passes it before', async () => {
    world.log.faults = ({ operation, queue }) => (operation === 'send' && queue?.topic === 'dead' ? { delayMs: 20 } : undefined);
    sink.onPut = (records) => {
      for (const record of records) void sink.context?.report(record, new DataError('unwanted'));
    };
    for (let i = 0; i < 1000; i += 10) write((i / 10) % 2, i, i + 10);
    start({ 'errors.tolerance': 'all', 'errors.deadletterqueue.topic.name': 'dead', 'put.max.records': '50' });
    await got(1000);
    assert.ok(world.bodies('dead').length < 1000);
    await world.committed();
    assert.equal(new Set(world.bodies('dead')).size, 1000);
    assert.deepEqual([position(0), position(1)], [500, 500]);
    const { polled, acknowledged, deadLettered } = await world.stats();
    assert.deepEqual({ polled, acknowledged, deadLettered }, { polled: 1000, acknowledged: 0, deadLettered: 1000 });
  });

  it('S092: with tolerance none, a reported record fails the task, also when nobody looks at the promise', async () => {
    sink.onPut = ([record]) => void sink.context?.report(record as SinkRecord, new DataError('unwanted', { code: 'UNWANTED' }));
    write(0, 0, 1);
    start();
    assert.equal((await world.failed()).code, 'UNWANTED');
    assert.equal(world.positions.size, 0);
    const line = world.lines.find(({ level }) => level === 'error');
    assert.equal(line?.message, 'a record failed in TASK_PUT: unwanted');
    const { topic, queue, offset, record } = line?.fields ?? {};
    assert.deepEqual([topic, queue, offset, record], ['t', 0, 0, undefined]);
  });

  it('S102: a retriable put gets the same records again after a backoff, and commits go on between', async () => {
    let failures = 0;
    const seen: number[] = [];
    sink.onPut = (records) => {
      seen.push(records.length);
      if (failures++ < 5) throw new RetriableError('busy');
    };
    write(0, 0, 10);
    start();
    await world.clock.until(() => failures === 3);
    await world.committed();
    assert.equal(world.positions.size, 0);
    await got(10);
    assert.deepEqual(seen, [10, 10, 10, 10, 10, 10]);
    assert.equal((await world.stats()).retries, 5);
  });

  it('S102: an error of put or flush fails the task, and the records come again from the last commit', async () => {
    write(0, 0, 10);
    start();
    await got(10);
    await world.committed();
    write(0, 10, 20);
    sink.onPut = () => {
      throw new FatalError('full', { code: 'FULL' });
    };
    assert.equal((await world.failed()).code, 'FULL');
    assert.deepEqual(sink.calls.slice(-2), ['close', 'stop']);
    sink.onPut = () => undefined;
    start();
    await got(20);
    sink.onFlush = () => {
      throw new RetriableError('no answer');
    };
    world.commit();
    await world.failed();
    assert.equal(position(0), 10);
  });

  it('S101: an error of open fails the task; one of close does not undo what was flushed', async () => {
    sink.onCall = (call) => {
      if (call === 'open') throw new FatalError('denied', { code: 'DENIED' });
    };
    start();
    assert.equal((await world.failed()).code, 'DENIED');
    assert.equal(sink.calls.at(-1), 'stop');
    sink.onCall = (call) => {
      if (call === 'close') throw new Error('cannot close');
    };
    write(0, 0, 3);
    start();
    await got(3);
    await world.stop();
    assert.equal(position(0), 3);
    assert.equal(sink.calls.at(-1), 'stop');
    assert.ok(world.lines.some(({ level, fields }) => level === 'error' && fields['error'] === 'cannot close'));
  });

  it('a stop while put hangs aborts it after a grace, and commits nothing of it', async () => {
    write(0, 0, 5);
    start();
    await got(5);
    await world.committed();
    sink.onPut = (_records, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    write(0, 5, 9);
    await world.clock.advance(2000);
    await world.stop();
    assert.equal(world.lastContent, null);
    assert.equal(position(0), 5);
    assert.equal(sink.calls.at(-1), 'stop');
  });

  it('a stop lets a put end that does not hang, and commits it', async () => {
    sink.onPut = () => sink.context?.sleep(1000);
    write(0, 0, 5);
    start();
    await world.clock.advance(100);
    await world.stop();
    assert.equal(position(0), 5);
  });

  it('S103: nothing is put or committed once the session may be over', async () => {
    write(0, 0, 5);
    start();
    await got(5);
    world.deadline.set(0.001);
    write(0, 5, 9);
    assert.equal((await world.failed()).code, 'SESSION_OVER');
    assert.equal(sink.records.length, 5);
    world.commit();
    await world.clock.advance(1000);
    assert.equal(world.positions.size, 0);
  });

  it('paused, it reads nothing and still commits', async () => {
    world.start(config, { queues: world.queues('t'), paused: true });
    write(0, 0, 5);
    await world.clock.advance(5000);
    assert.equal(sink.records.length, 0);
    await world.committed();
    world.runtime().handle({ type: 'resume', unit: 'tasks/c/0' });
    await got(5);
  });

  it('begins at a time that is given', async () => {
    write(0, 0, 5);
    await world.clock.advance(1000);
    const from = new Date(world.clock.now()).toISOString();
    await world.clock.advance(1000);
    write(0, 5, 7);
    world.start({ ...config, 'consumer.auto.offset.reset': from }, { queues: world.queues('t') });
    await got(2);
    await world.stop();
    assert.deepEqual(values(), ['line 5', 'line 6']);
  });

  it('latest begins at the start time of the connector, earliest at the minimum', async () => {
    write(0, 0, 5);
    await world.clock.advance(1000);
    const startTimeMs = world.clock.now();
    await world.clock.advance(1000);
    write(0, 5, 7);
    world.start({ ...config, 'consumer.auto.offset.reset': 'latest' }, { queues: world.queues('t'), startTimeMs });
    await got(2);
    await world.stop();
    assert.deepEqual(values(), ['line 5', 'line 6']);
    assert.deepEqual(
      [...world.positions.values()].map((one) => one.position),
      [7],
    );
  });

  describe('a position that the log does not hold', () => {
    const at = (position: number) => ({
      queues: world.queues('t'),
      positions: [{ queue: { topic: 't', broker: 'simulated', queue: 0 }, position }],
    });

    beforeEach(() => {
      write(0, 0, 5);
      write(0, 5, 10);
      world.log.removeBelow({ topic: 't', broker: 'simulated', queue: 0 }, 5);
    });

    it('below the minimum: fails with the gap, or skips and counts it', async () => {
      world.start(config, at(2));
      const error = await world.failed();
      assert.equal(error.code, 'POSITION_BELOW_MINIMUM');
      assert.match(error.message, /removed 3 messages/);
      world.start({ ...config, 'position.out.of.range': 'skip' }, at(2));
      await got(5);
      const { polled, skipped, acknowledged } = await world.stats();
      assert.deepEqual({ polled, skipped, acknowledged }, { polled: 8, skipped: 3, acknowledged: 5 });
    });

    it('above the maximum, since the topic was made anew: fails, or reads all that it has and commits from there', async () => {
      world.start(config, at(11));
      assert.equal((await world.failed()).code, 'POSITION_ABOVE_MAXIMUM');
      world.start({ ...config, 'position.out.of.range': 'skip' }, at(11));
      await got(5);
      await world.stop();
      assert.deepEqual(values(), ['line 5', 'line 6', 'line 7', 'line 8', 'line 9']);
      assert.equal(position(0), 10);
      assert.equal((await world.stats()).skipped, 0);
    });

    it('above the maximum while it reads: the same', async () => {
      world.start({ ...config, 'position.out.of.range': 'skip' }, at(10));
      await world.clock.advance(1000);
      world.log.powerFailure();
      write(0, 20, 22);
      await got(2);
      assert.deepEqual(values(), ['line 20', 'line 21']);
      assert.equal(world.state, 'running');
    });

    it('lost while it reads: fails, or skips and counts', async () => {
      world.start({ ...config, 'position.out.of.range': 'skip' }, { ...at(10), paused: true });
      await world.clock.advance(1000);
      world.runtime().handle({ type: 'resume', unit: 'tasks/c/0' });
      await world.clock.advance(1000);
      sink.onPut = () => sink.context?.sleep(1000);
      write(0, 10, 11);
      await world.clock.advance(100);
      write(0, 11, 13);
      write(0, 13, 14);
      world.log.removeBelow({ topic: 't', broker: 'simulated', queue: 0 }, 13);
      await got(2);
      assert.deepEqual(values(), ['line 10', 'line 13']);
      assert.equal((await world.stats()).skipped, 2);
    });
  });

  it('whose topic is deleted fails as one that comes back when the topic does', async () => {
    write(0, 0, 5);
    world.start(config, { queues: world.queues('t') });
    await got(5);
    await world.log.connect('other').deleteTopic('t');
    const error = await world.failed();
    assert.deepEqual([error.kind, error.code], ['unavailable', 'TOPIC_NOT_FOUND']);
    assert.match(error.remedy ?? '', /Create it again/);
  });

  it('asks for a commit when the sink does', async () => {
    write(0, 0, 5);
    start();
    await got(5);
    sink.context?.requestCommit();
    await world.clock.until(() => position(0) === 5);
  });

  it('S148: waits for a log that cannot be reached, and reads within seconds of its return', async () => {
    let isAway = true;
    world.log.faults = () => (isAway ? { fails: 'unavailable' } : undefined);
    write(0, 0, 5);
    start({ 'errors.retry.delay.max.ms': '60000' });
    await world.clock.advance(3_600_000);
    assert.equal(world.state, 'running');
    isAway = false;
    await world.clock.until(() => sink.records.length === 5, 5_000);
  });

  it('stopped before it knew where to read from, it leaves the positions as they are', async () => {
    write(0, 0, 5);
    start();
    await got(5);
    await world.stop();
    world.log.faults = ({ operation }) => (operation === 'ask' ? { fails: 'unavailable' } : undefined);
    start();
    await world.clock.advance(100);
    await world.stop();
    assert.equal(position(0), 5);
  });

  it('a task without queues waits for a new task set', async () => {
    world.start(config);
    await world.clock.advance(5000);
    assert.equal(world.state, 'running');
    await world.stop();
  });

  it('a sink with state is exactly once, killed at any moment', async function () {
    this.timeout(30_000);
    const lives = fc.array(
      fc.record({ ms: fc.nat(300), commits: fc.array(fc.nat(300), { maxLength: 3 }), end: fc.constantFrom('kill', 'stop') }),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(lives, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 12 }), async (lives, count, putMax) => {
        // A file whose committed length is its state: what was never committed is cut off when it is opened.
        const file: string[] = [];
        let incarnation = 0;
        let puts = 0;
        const stateful = defineSink({
          name: 'Stateful',
          version: '1',
          config: Type.Object({}),
          task: (_config, context) => {
            const own = ++incarnation;
            return {
              open: (_queues, state) => {
                file.length = (state['file'] as { length: number } | undefined)?.length ?? 0;
              },
              put: async (records) => {
                if (++puts % 7 === 0) throw new RetriableError('busy');
                await context.sleep(10);
                // A host that is dead writes nothing.
                if (own !== incarnation) return new Promise(() => undefined);
                for (const record of records) file.push(`${record.origin.queue}/${record.value}`);
              },
              flush: () => ({ file: { length: file.length } }),
            };
          },
        });
        const world = new HostWorld([stateful]);
        world.log.create('t', 2);
        world.log.faults = ({ operation }) => (operation === 'read' ? { delayMs: 5 } : undefined);
        for (const queue of [0, 1]) {
          const builder = new BatchBuilder();
          for (let i = 0; i < count; i++) builder.add(Buffer.from(`line ${i}`), '');
          world.log.append({ topic: 't', broker: 'simulated', queue }, builder.take());
        }
        const begin = (): void =>
          world.start({ ...config, 'connector.class': 'Stateful', 'put.max.records': String(putMax) }, { queues: world.queues('t') });
        for (const life of lives) {
          begin();
          let at = 0;
          for (const ms of life.commits.toSorted((a, b) => a - b)) {
            await world.clock.advance(Math.max(0, Math.min(ms, life.ms) - at));
            at = Math.min(ms, life.ms);
            if (world.state === 'running') world.commit();
          }
          await world.clock.advance(life.ms - at);
          if (life.end === 'stop') await world.stop();
          else {
            world.kill();
            incarnation++;
          }
        }
        begin();
        await world.started();
        for (let round = 0; [...world.positions.values()].some(({ position }) => position < count) || world.positions.size < 2; round++) {
          assert.ok(round < 100, 'not at the end');
          await world.clock.advance(100);
          await world.committed();
        }
        await world.stop();
        const expected = [0, 1].map((queue) => Array.from({ length: count }, (_, i) => `${queue}/line ${i}`));
        for (const [queue, lines] of expected.entries())
          assert.deepEqual(
            file.filter((line) => String(line).startsWith(`${queue}/`)),
            lines,
          );
      }),
      { numRuns: 40 },
    );
  });
});
