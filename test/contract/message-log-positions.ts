import assert from 'node:assert/strict';
import type { MessageLog, QueueAddress, QueueReader } from '@rocketmq-connect/message-log';
import { batchOf, bodiesOf, type LogUnderTest, MIB, readBodies, until } from './message-log.ts';

/** What a log promises whose queues have positions: `capabilities.assign`. */
export function positionsContract(open: () => Promise<LogUnderTest>): void {
  describe('positions', () => {
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

    describe('of what is sent', () => {
      it('give each queue positions of its own, without gaps', async () => {
        assert.deepEqual(await log.send(first, batchOf(['a', 'b', 'c'])), { offset: 0 });
        assert.deepEqual(await log.send(second, batchOf(['x'])), { offset: 0 });
        assert.deepEqual(await log.send(first, batchOf(['d'])), { offset: 3 });
        assert.deepEqual([await log.minOffset(first), await log.maxOffset(first), await log.maxOffset(second)], [0, 4, 1]);
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

      it('stay where a topic grows', async function () {
        if (under.topicsLateMs) this.skip();
        await log.send(first, batchOf(['kept']));
        const grown = await under.connect().createTopic('orders', { queues: 3 });
        assert.deepEqual(await log.send(grown.queues[2] as QueueAddress, batchOf(['new'])), { offset: 0 });
        assert.deepEqual(await readBodies(log, first, 0, 1), ['kept']);
      });

      it('of a topic that was deleted and created anew begin at position 0, empty', async function () {
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

      it('of queues and topics that are not there are told', async () => {
        const unknown = { ...first, topic: 'nowhere' };
        const notFound = { kind: 'data', code: 'TOPIC_NOT_FOUND' };
        await assert.rejects(log.assign('test', [{ queue: unknown, position: 0 }]), notFound);
        await assert.rejects(log.minOffset(unknown), notFound);
        await assert.rejects(log.maxOffset(unknown), notFound);
        await assert.rejects(log.offsetAt(unknown, 0), notFound);
      });
    });

    describe('reads', () => {
      it('end when their topic is deleted, waiting ones too', async function () {
        if (under.topicsLateMs) this.skip();
        const reader = await under.connect().assign('test', [{ queue: first, position: 0 }]);
        const waiting = reader.read(MIB, 600_000, signal);
        await log.deleteTopic('orders');
        await assert.rejects(waiting, { code: 'TOPIC_NOT_FOUND' });
        await log.createTopic('orders', { queues: 2 });
        await assert.rejects(reader.read(MIB, 0, signal), { code: 'TOPIC_NOT_FOUND' });
      });

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
        assert.equal(lagOf(reader), 0);
        await log.send(first, batchOf(['a', 'b']));
        await log.send(second, batchOf(['c']));
        await until(() => lagOf(reader) === 3);
        await drain(reader, 3);
        assert.equal(lagOf(reader), 0);
        reader.seek(first, 1);
        assert.equal(lagOf(reader), 1);
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

    it('are not asked for once the client is closed', async () => {
      const other = under.connect();
      const reader = await other.assign('test', [{ queue: first, position: 0 }]);
      await other.close();
      await assert.rejects(reader.read(MIB, 0, signal), (error: { code?: string }) => /CLOSED$/.test(error.code ?? ''));
      assert.equal(await log.maxOffset(first), 0);
    });

    async function drain(reader: QueueReader, count: number): Promise<void> {
      for (let seen = 0; seen < count; ) for (const fetched of await reader.read(MIB, 1_000, signal)) seen += fetched.count;
    }
  });
}

function byNumbers(a: string, b: string): number {
  const [left, right] = [a.split(':').map(Number), b.split(':').map(Number)];
  return (left[1] ?? 0) - (right[1] ?? 0) || (left[2] ?? 0) - (right[2] ?? 0);
}

function lagOf(reader: QueueReader): number {
  return reader.lags().reduce((sum, { lag }) => sum + lag, 0);
}
