import assert from 'node:assert/strict';
import type { FetchedMessages, MessageBatch, MessageLog, QueueAddress, QueueReader } from '@rocketmq-connect/message-log';
import { MAX_BATCH_BYTES } from '@rocketmq-connect/message-log/checks';
import { BatchBuilder, decodeFetched, encodeProperty, property } from '@rocketmq-connect/message-log/message';

/** A log to test, and power over its surroundings. */
export interface LogUnderTest {
  /** A client of its own; they share one log. */
  connect(): MessageLog;
  /** The time by which the log stamps what it stores. */
  now(): number;
  /** It hears of topics that change or go only after a while; 0 or absent: at once. */
  readonly topicsLateMs?: number;
  /** Lets time pass. */
  wait(ms: number): Promise<void>;
  close(): Promise<void>;
}

const MIB = 1024 * 1024;

/** The sentences of the port `MessageLog`, for every adapter. */
export function messageLogContract(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`MessageLog: ${name}`, () => {
    let under: LogUnderTest;
    let log: MessageLog;
    let queues: readonly QueueAddress[];
    let first: QueueAddress;
    let second: QueueAddress;
    const { signal } = new AbortController();

    beforeEach(async () => {
      under = await open();
      log = under.connect();
      ({ queues } = await log.createTopic('orders', { queues: 2 }));
      [first, second] = queues as [QueueAddress, QueueAddress];
    });
    afterEach(() => under.close());

    /** Reads from a position until `count` messages came; bodies as text. */
    async function readBodies(from: MessageLog, queue: QueueAddress, position: number, count: number, maxBytes = MIB): Promise<string[]> {
      const reader = await from.assign('test', [{ queue, position }]);
      const bodies: string[] = [];
      let next = position;
      while (bodies.length < count) {
        for (const fetched of await reader.read(maxBytes, 1_000, signal)) {
          assert.equal(fetched.offset, next, 'no gap, nothing twice');
          next += fetched.count;
          bodies.push(...bodiesOf(fetched));
        }
      }
      await reader.close();
      return bodies;
    }

    describe('topics', () => {
      it('are described with their queues in order', async () => {
        assert.deepEqual(
          queues.map(({ topic, queue }) => [topic, queue]),
          [
            ['orders', 0],
            ['orders', 1],
          ],
        );
        assert.deepEqual(await under.connect().describeTopic('orders'), { topic: 'orders', queues });
      });

      it('are created idempotently, may grow, never shrink', async function () {
        if (under.topicsLateMs) this.skip();
        await log.send(first, batchOf(['kept']));
        assert.equal((await log.createTopic('orders', { queues: 2 })).queues.length, 2);
        const grown = await under.connect().createTopic('orders', { queues: 3 });
        assert.equal(grown.queues.length, 3);
        assert.equal((await log.createTopic('orders', { queues: 1 })).queues.length, 3);
        assert.deepEqual(await log.send(grown.queues[2] as QueueAddress, batchOf(['new'])), { offset: 0 });
        assert.deepEqual(await readBodies(log, first, 0, 1), ['kept']);
      });

      it('are listed by name', async () => {
        await log.createTopic('a%retry|xy-z_1', { queues: 1 });
        assert.deepEqual(await under.connect().listTopics(), ['a%retry|xy-z_1', 'orders']);
      });

      for (const bad of ['', 'with space', 'über', '../x', 'a/b', 'x'.repeat(128)]) {
        it(`refuse the name "${bad.slice(0, 12)}"`, async () => {
          await assert.rejects(log.createTopic(bad, { queues: 1 }), { kind: 'config', code: 'TOPIC_NAME_INVALID', field: 'topic' });
        });
      }

      it('refuse queue counts that are none', async () => {
        for (const bad of [0, -1, 1.5, Number.NaN, 1025]) {
          await assert.rejects(log.createTopic('bad', { queues: bad }), { kind: 'config', code: 'QUEUE_COUNT_INVALID', field: 'queues' });
        }
      });

      it('that are not there, or queues and brokers that are not, are told', async () => {
        const unknown = { ...first, topic: 'nowhere' };
        const notFound = { kind: 'data', code: 'TOPIC_NOT_FOUND' };
        await assert.rejects(log.describeTopic('nowhere'), notFound);
        await assert.rejects(log.deleteTopic('nowhere'), notFound);
        await assert.rejects(log.send(unknown, batchOf(['x'])), notFound);
        await assert.rejects(log.assign('test', [{ queue: unknown, position: 0 }]), notFound);
        await assert.rejects(log.minOffset(unknown), notFound);
        await assert.rejects(log.maxOffset(unknown), notFound);
        await assert.rejects(log.offsetAt(unknown, 0), notFound);
        await assert.rejects(log.send({ ...first, queue: 2 }, batchOf(['x'])), { kind: 'data', code: 'QUEUE_NOT_FOUND' });
        const away = (error: { code?: string }): boolean => /^(QUEUE_NOT_FOUND|BROKER_UNAVAILABLE)$/.test(error.code ?? '');
        await assert.rejects(log.send({ ...first, broker: 'another' }, batchOf(['x'])), away, 'gone, or away for now');
      });

      it('that are deleted and created anew begin at position 0, empty', async function () {
        if (under.topicsLateMs) this.skip();
        const other = under.connect();
        await other.send(first, batchOf(['old', 'older']));
        await log.deleteTopic('orders');
        await assert.rejects(log.describeTopic('orders'), { code: 'TOPIC_NOT_FOUND' });
        await assert.rejects(other.send(first, batchOf(['x'])), { code: 'TOPIC_NOT_FOUND' });
        await log.createTopic('orders', { queues: 2 });
        assert.equal(await other.maxOffset(first), 0);
        assert.deepEqual(await other.send(first, batchOf(['new'])), { offset: 0 });
        assert.deepEqual(await readBodies(log, first, 0, 1), ['new']);
      });

      it('that are deleted end the reads of their queues, waiting ones too', async function () {
        if (under.topicsLateMs) this.skip();
        const reader = await under.connect().assign('test', [{ queue: first, position: 0 }]);
        const waiting = reader.read(MIB, 600_000, signal);
        await log.deleteTopic('orders');
        await assert.rejects(waiting, { code: 'TOPIC_NOT_FOUND' });
        await log.createTopic('orders', { queues: 2 });
        await assert.rejects(reader.read(MIB, 0, signal), { code: 'TOPIC_NOT_FOUND' });
      });
    });

    describe('sends', () => {
      it('give each queue positions of its own, without gaps', async () => {
        assert.deepEqual(await log.send(first, batchOf(['a', 'b', 'c'])), { offset: 0 });
        assert.deepEqual(await log.send(second, batchOf(['x'])), { offset: 0 });
        assert.deepEqual(await log.send(first, batchOf(['d'])), { offset: 3 });
        assert.deepEqual([await log.minOffset(first), await log.maxOffset(first), await log.maxOffset(second)], [0, 4, 1]);
      });

      it('keep bodies and properties as they are', async () => {
        const bodies = [Buffer.alloc(0), Buffer.from([0, 255, 1, 2, 10]), Buffer.from('grün')];
        const builder = new BatchBuilder(16);
        for (const [index, body] of bodies.entries()) builder.add(body, encodeProperty('KEYS', `k${index}-ключ`));
        await log.send(first, builder.take());
        const reader = await log.assign('test', [{ queue: first, position: 0 }]);
        const seen: unknown[] = [];
        while (seen.length < bodies.length) {
          for (const fetched of await reader.read(MIB, 1_000, signal)) {
            decodeFetched(fetched, (body, properties) => seen.push([Buffer.from(body), property(properties, 'KEYS')]));
          }
        }
        assert.deepEqual(
          seen,
          bodies.map((body, index) => [body, `k${index}-ключ`]),
        );
      });

      it('of several clients mix, in the order of their answers', async () => {
        const clients = [log, under.connect(), under.connect()];
        const sent: { offset: number; bodies: string[] }[] = [];
        await Promise.all(
          clients.map(async (client, writer) => {
            for (let index = 0; index < 20; index++) {
              const bodies = [`${writer}:${index}:0`, `${writer}:${index}:1`];
              sent.push({ ...(await client.send(first, batchOf(bodies))), bodies });
            }
          }),
        );
        const expected = sent.sort((a, b) => a.offset - b.offset).flatMap(({ bodies }) => bodies);
        assert.deepEqual(await readBodies(log, first, 0, 120), expected);
        for (let writer = 0; writer < 3; writer++) {
          const own = expected.filter((body) => body.startsWith(`${writer}:`));
          assert.deepEqual(own, [...own].sort(byNumbers), 'each writer in its order');
        }
      });

      it('refuse an empty batch', async () => {
        await assert.rejects(log.send(first, { bytes: Buffer.alloc(0), count: 0 }), { kind: 'data', code: 'BATCH_EMPTY' });
      });

      it('take a batch of 4 MiB and refuse a larger one', async () => {
        const envelope = 22;
        const builder = new BatchBuilder();
        builder.add(Buffer.alloc(MAX_BATCH_BYTES - envelope, 7), '');
        const largest = builder.take();
        assert.equal(largest.bytes.length, MAX_BATCH_BYTES);
        await log.send(first, largest);
        builder.add(Buffer.alloc(MAX_BATCH_BYTES - envelope + 1), '');
        await assert.rejects(log.send(first, builder.take()), { kind: 'data', code: 'BATCH_TOO_LARGE' });
        const reader = await log.assign('test', [{ queue: first, position: 0 }]);
        const [fetched] = await reader.read(1_000, 1_000, signal);
        assert.equal(fetched?.count, 1, 'one message at least, however large');
        decodeFetched(fetched, (body) => assert.equal(body.equals(Buffer.alloc(MAX_BATCH_BYTES - envelope, 7)), true));
      });

      it('refuse bytes that are not as many messages as the batch says', async () => {
        const { bytes, count } = batchOf(['a', 'b']);
        for (const wrong of [
          { bytes, count: count + 1 },
          { bytes, count: count - 1 },
          { bytes: bytes.subarray(0, bytes.length - 1), count },
          { bytes: Buffer.alloc(50), count: 1 },
        ]) {
          await assert.rejects(log.send(first, wrong), { kind: 'data', code: 'BATCH_LAYOUT_INVALID' });
        }
        assert.equal(await log.maxOffset(first), 0);
      });

      it('are readable once acknowledged, and stay so after a flush', async () => {
        await log.send(first, batchOf(['a']));
        await log.flush();
        await log.flush();
        assert.deepEqual(await readBodies(under.connect(), first, 0, 1), ['a']);
      });
    });

    describe('reads', () => {
      it('begin at any position, in the middle of a batch too', async () => {
        const bodies = Array.from({ length: 30 }, (_, index) => `m${index}`);
        for (let at = 0; at < 30; at += 10) await log.send(first, batchOf(bodies.slice(at, at + 10)));
        for (let position = 0; position < 30; position++) {
          assert.deepEqual(await readBodies(log, first, position, 30 - position), bodies.slice(position));
        }
      });

      it('keep to the bytes asked for, and give one message at least', async () => {
        const bodies = Array.from({ length: 50 }, (_, index) => `${index}`.padEnd(100, '.'));
        await log.send(first, batchOf(bodies.slice(0, 40)));
        await log.send(first, batchOf(bodies.slice(40)));
        const reader = await log.assign('test', [{ queue: first, position: 0 }]);
        const counts: number[] = [];
        let messageBytes = 0;
        const seen: string[] = [];
        while (seen.length < 50) {
          const fetched = await reader.read(1_000, 1_000, signal);
          assert.ok(fetched.reduce((sum, { bytes }) => sum + bytes.length, 0) <= 1_000);
          counts.push(fetched.reduce((sum, { count }) => sum + count, 0));
          messageBytes = Math.max(messageBytes, ...fetched.map(({ bytes, count }) => Math.ceil(bytes.length / count)));
          for (const part of fetched) seen.push(...bodiesOf(part));
        }
        assert.deepEqual(seen, bodies);
        assert.equal(counts[0], Math.floor(1_000 / messageBytes), `as many of ${messageBytes} bytes as fit`);
        reader.seek(first, 0);
        assert.equal((await reader.read(1, 1_000, signal))[0]?.count, 1);
      });

      it('give all assigned queues their turn, each in order', async () => {
        for (let index = 0; index < 20; index++) for (const queue of queues) await log.send(queue, batchOf([`${queue.queue}-${index}`]));
        const reader = await log.assign(
          'test',
          queues.map((queue) => ({ queue, position: 0 })),
        );
        // What is fetched over a wire comes as it comes.
        await under.wait(200);
        const seen: [string[], string[]] = [[], []];
        const early = [0, 0];
        for (let total = 0; total < 40; ) {
          for (const fetched of await reader.read(100, 1_000, signal)) {
            (seen[fetched.queue.queue] as string[]).push(...bodiesOf(fetched));
            total += fetched.count;
            if (total <= 20) early[fetched.queue.queue] = (early[fetched.queue.queue] ?? 0) + fetched.count;
          }
        }
        for (const queue of [0, 1] as const)
          assert.deepEqual(
            seen[queue],
            Array.from({ length: 20 }, (_, index) => `${queue}-${index}`),
          );
        assert.ok(
          early.every((count) => count >= 5),
          `one queue starved: ${early}`,
        );
      });

      it('do not disturb each other', async () => {
        await log.send(first, batchOf(['a', 'b']));
        const other = under.connect();
        assert.deepEqual(await readBodies(log, first, 0, 2), ['a', 'b']);
        assert.deepEqual(await readBodies(other, first, 0, 2), ['a', 'b']);
        assert.deepEqual(await readBodies(other, first, 1, 1), ['b']);
      });

      it('wait for data of any of their queues', async function () {
        // Longer than a wake, shorter than a second look after a wake that never came.
        this.timeout(4_000);
        const writer = under.connect();
        const reader = await log.assign(
          'test',
          queues.map((queue) => ({ queue, position: 0 })),
        );
        for (const [round, queue] of [second, first, second].entries()) {
          const waiting = reader.read(MIB, 600_000, signal);
          await writer.send(queue, batchOf([`round ${round}`]));
          assert.deepEqual((await waiting).map(bodiesOf), [[`round ${round}`]]);
        }
      });

      it('end empty when the time is over', async () => {
        const reader = await log.assign('test', [{ queue: first, position: 0 }]);
        const reading = reader.read(MIB, 30, signal);
        await under.wait(30);
        assert.deepEqual(await reading, []);
        assert.deepEqual(await reader.read(MIB, 0, signal), []);
      });

      it('end with the reason of their signal, before or while they wait, and lose nothing', async () => {
        const reader = await log.assign('test', [{ queue: first, position: 0 }]);
        const controller = new AbortController();
        const waiting = reader.read(MIB, 600_000, controller.signal);
        controller.abort(new Error('stop'));
        await assert.rejects(waiting, { message: 'stop' });
        await log.send(first, batchOf(['a']));
        await assert.rejects(reader.read(MIB, 0, controller.signal), { message: 'stop' });
        assert.deepEqual((await reader.read(MIB, 1_000, signal)).map(bodiesOf), [['a']]);
      });

      it('go on elsewhere after a seek', async () => {
        await log.send(first, batchOf(['a', 'b', 'c', 'd']));
        const reader = await log.assign('test', [{ queue: first, position: 0 }]);
        await reader.read(25, 1_000, signal);
        reader.seek(first, 3);
        assert.deepEqual((await reader.read(MIB, 1_000, signal)).map(bodiesOf), [['d']]);
        reader.seek(first, 1);
        assert.deepEqual((await reader.read(MIB, 1_000, signal)).map(bodiesOf), [['b', 'c', 'd']]);
        assert.throws(() => reader.seek(second, 0), { code: 'QUEUE_NOT_FOUND' });
        assert.throws(() => reader.seek(first, -1), { code: 'POSITION_INVALID', field: 'position' });
      });

      it('know how far behind they are', async () => {
        const reader = await log.assign(
          'test',
          queues.map((queue) => ({ queue, position: 0 })),
        );
        assert.equal(reader.lag(), 0);
        await log.send(first, batchOf(['a', 'b']));
        await log.send(second, batchOf(['c']));
        await until(() => reader.lag() === 3);
        await drain(reader, 3);
        assert.equal(reader.lag(), 0);
        reader.seek(first, 1);
        assert.equal(reader.lag(), 1);
      });

      it('fail above the end with the numbers, until told where to go on', async () => {
        await log.send(first, batchOf(['a', 'b']));
        const reader = await log.assign('test', [{ queue: first, position: 5 }]);
        const lost = { kind: 'fatal', code: 'POSITION_ABOVE_MAXIMUM', position: 5, resumeAt: 2 };
        await assert.rejects(reader.read(MIB, 0, signal), lost);
        await assert.rejects(reader.read(MIB, 0, signal), lost);
        reader.seek(first, 1);
        assert.deepEqual((await reader.read(MIB, 1_000, signal)).map(bodiesOf), [['b']]);
      });

      it('refuse positions that are none', async () => {
        for (const position of [-1, 0.5, Number.NaN]) {
          await assert.rejects(log.assign('test', [{ queue: first, position }]), {
            kind: 'data',
            code: 'POSITION_INVALID',
            field: 'position',
          });
        }
      });

      it('are one at a time per reader, and end when it is closed', async () => {
        const reader = await log.assign('test', [{ queue: first, position: 0 }]);
        const waiting = reader.read(MIB, 600_000, signal);
        await assert.rejects(reader.read(MIB, 0, signal), { code: 'READER_BUSY' });
        const ended = assert.rejects(waiting, { code: 'READER_CLOSED' });
        await reader.close();
        await ended;
        await assert.rejects(reader.read(MIB, 0, signal), { code: 'READER_CLOSED' });
      });
    });

    describe('times', () => {
      it('are found as the first position stored at or after them', async () => {
        const before = under.now();
        assert.equal(await log.offsetAt(first, before), 0);
        await log.send(first, batchOf(['a', 'b']));
        await under.wait(20);
        const between = under.now();
        await log.send(first, batchOf(['c']));
        assert.equal(await log.offsetAt(first, before), 0);
        assert.equal(await log.offsetAt(first, between), 2);
        assert.equal(await log.offsetAt(first, under.now() + 60_000), 3);
      });
    });

    it('refuses everything once the client is closed', async () => {
      const other = under.connect();
      const reader = await other.assign('test', [{ queue: first, position: 0 }]);
      await other.close();
      const closed = { code: 'LOG_CLOSED' };
      await assert.rejects(other.send(first, batchOf(['a'])), closed);
      await assert.rejects(other.listTopics(), closed);
      await assert.rejects(reader.read(MIB, 0, signal), (error: { code?: string }) => /CLOSED$/.test(error.code ?? ''));
      assert.equal(await log.maxOffset(first), 0);
    });

    async function drain(reader: QueueReader, count: number): Promise<void> {
      for (let seen = 0; seen < count; ) for (const fetched of await reader.read(MIB, 1_000, signal)) seen += fetched.count;
    }
  });
}

/** A batch of text bodies without properties. */
export function batchOf(bodies: readonly string[]): MessageBatch {
  const builder = new BatchBuilder(256);
  for (const body of bodies) builder.add(Buffer.from(body), '');
  return builder.take();
}

export function bodiesOf(fetched: FetchedMessages): string[] {
  const bodies: string[] = [];
  decodeFetched(fetched, (body) => bodies.push(body.toString()));
  assert.equal(bodies.length, fetched.count);
  return bodies;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

function byNumbers(a: string, b: string): number {
  const [left, right] = [a.split(':').map(Number), b.split(':').map(Number)];
  return (left[1] ?? 0) - (right[1] ?? 0) || (left[2] ?? 0) - (right[2] ?? 0);
}
