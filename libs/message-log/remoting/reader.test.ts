import assert from 'node:assert/strict';
import { between, seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import { FakeBroker, type FakeReaction } from '../../../test/support/fake-broker.ts';
import { storedMessage } from '../../../test/support/stored-messages.ts';
import { systemClock } from '../../configuration/system-clock.ts';
import type { MessageLog, QueueAddress, QueueReader } from '../index.ts';
import { BatchBuilder, decodeFetched } from '../message.ts';
import { connectRemotingLog } from './client.ts';

const first: QueueAddress = { topic: 'lines', broker: 'a', queue: 0 };
const PULL = 11;
const { signal } = new AbortController();

describe('The remoting reader', () => {
  let broker: FakeBroker;
  let log: MessageLog;
  beforeEach(async () => {
    broker = await new FakeBroker().start();
    const connection = { kind: 'remoting', nameServers: [broker.peer.address], clientId: 'test', requestTimeoutMs: 500 } as const;
    log = connectRemotingLog({ ...connection, prefetchBytes: 1024 * 1024 }, { clock: systemClock, random: () => 0 });
  });
  afterEach(async () => {
    await log.close();
    await broker.peer.stop().catch(() => {});
  });

  const pulls = () => broker.peer.requests.filter(({ code }) => code === PULL);

  it('puts answers in order, whatever their order, length and number', async () => {
    const random = seededRandom(20_261_125);
    broker.append(0, 5_000);
    broker.append(1, 3_000);
    broker.react = async ({ code }): Promise<FakeReaction> => {
      if (code !== PULL) return 'default';
      // What comes from the disk is less, and some of it is late.
      if (random() < 0.05) broker.pullMax = between(random, 1, 40);
      if (random() < 0.3) await new Promise((resolve) => setTimeout(resolve, between(random, 0, 5)));
      return 'default';
    };
    const reader = await log.assign('test', [
      { queue: first, position: 10 },
      { queue: { ...first, queue: 1 }, position: 0 },
    ]);
    const seen = await readAll(reader, 4_990 + 3_000, () => between(random, 1, 20_000));
    assert.deepEqual(seen.get(0), numbers(10, 5_000));
    assert.deepEqual(seen.get(1), numbers(0, 3_000));
    assert.equal(lagOf(reader), 0);
  });

  it('keeps several pulls in flight, none beyond the end, and asks for what the broker gives', async () => {
    broker.append(0, 1_000);
    let most = 0;
    let inFlight = 0;
    broker.react = async (request): Promise<FakeReaction> => {
      if (request.code !== PULL || request.fields['suspendTimeoutMillis'] !== '0') return 'default';
      most = Math.max(most, ++inFlight);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inFlight--;
      return 'default';
    };
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    await readAll(reader, 1_000);
    assert.equal(most, 16);
    assert.ok(pulls().length <= 1_000 / 32 + 4, `${pulls().length} pulls`);
    assert.ok(pulls().every(({ fields }) => Number(fields['queueOffset']) <= 1_000));
  });

  it('finds out that a broker gives more again', async () => {
    broker.append(0, 20_000);
    broker.pullMax = 8;
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    let seen = 0;
    while (seen < 20_000) {
      for (const { count } of await reader.read(10_000, 1_000, signal)) seen += count;
      if (seen > 1_000) broker.pullMax = 32;
    }
    assert.ok(pulls().length < 1_500, `${pulls().length} pulls; 2,500 would be with 8 each`);
  });

  it('fetches ahead no more than it may', async () => {
    broker.append(0, 1_000_000);
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    await reader.read(1, 1_000, signal);
    let before = -1;
    while (before !== pulls().length) {
      before = pulls().length;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const bytes = before * 32 * 110;
    assert.ok(bytes > 300_000 && bytes < 1_500_000, `${bytes} bytes`);
    assert.equal(lagOf(reader), 999_999);
  });

  it('has less under way from a proxy than a proxy writes, for all queues together, apart from what is sent', async () => {
    const queues = [0, 1, 2, 3].map((queue) => ({ ...first, queue }));
    for (const { queue } of queues) broker.append(queue, 3_000);
    const underWay = new Map<unknown, number>();
    let most = 0;
    broker.react = async (request): Promise<FakeReaction> => {
      if (request.code === 106) return { code: 3 };
      if (request.code !== PULL) return 'default';
      const bytes = request.fields['suspendTimeoutMillis'] === '0' ? 32 * 110 : 0;
      underWay.set(request.socket, (underWay.get(request.socket) ?? 0) + bytes);
      most = Math.max(most, underWay.get(request.socket) ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 1));
      underWay.set(request.socket, (underWay.get(request.socket) ?? 0) - bytes);
      return 'default';
    };
    const reader = await log.assign(
      'test',
      queues.map((queue) => ({ queue, position: 0 })),
    );
    await readAll(reader, 12_000);
    assert.ok(most > 32 * 1024 && most <= 64 * 1024, `${most} bytes`);
    const builder = new BatchBuilder();
    builder.add(Buffer.from('x'), '');
    await log.send(first, builder.take());
    const sent = broker.peer.requests.find(({ code }) => code === 320);
    assert.ok(pulls().every(({ socket }) => socket !== sent?.socket));
    const before = broker.peer.connections;
    await reader.close();
    while (broker.peer.connections === before) await new Promise((resolve) => setTimeout(resolve, 1));
  });

  it('goes on where it was when the connection is cut or the broker restarts: nothing lost, nothing twice', async () => {
    broker.append(0, 3_000);
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    let reads = 0;
    const seen = await readAll(reader, 3_000, () => {
      reads++;
      if (reads % 20 === 0) broker.peer.cut();
      if (reads === 50) void broker.peer.stop().then(() => broker.peer.start());
      return 2_000;
    });
    assert.deepEqual(seen.get(0), numbers(0, 3_000));
  });

  it('goes on when a pull is answered by a busy broker', async () => {
    broker.append(0, 100);
    let refusals = 3;
    broker.react = ({ code }) => (code === PULL && refusals-- > 0 ? { code: 2, remark: 'system busy' } : 'default');
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    assert.deepEqual((await readAll(reader, 100)).get(0), numbers(0, 100));
  });

  for (const [what, position, code, resumeAt] of [
    ['below the minimum', 5, 'POSITION_BELOW_MINIMUM', 20],
    ['above the maximum', 101, 'POSITION_ABOVE_MAXIMUM', 100],
  ] as const) {
    it(`fails ${what} at once, with the numbers, until told where to go on`, async () => {
      broker.append(0, 100);
      broker.min.set(0, 20);
      const reader = await log.assign('test', [{ queue: first, position }]);
      for (let i = 0; i < 2; i++) await assert.rejects(reader.read(1_000, 0, signal), { kind: 'fatal', code, position, resumeAt });
      reader.seek(first, 90);
      assert.deepEqual((await readAll(reader, 10)).get(0), numbers(90, 100));
    });
  }

  it('fails when retention overtakes it', async () => {
    broker.append(0, 100);
    broker.pullMax = 10;
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    broker.react = (request) => {
      if (request.code === PULL && Number(request.fields['queueOffset']) >= 10) broker.min.set(0, 50);
      return 'default';
    };
    const lost = { code: 'POSITION_BELOW_MINIMUM', position: 10, resumeAt: 50 };
    await assert.rejects(readAll(reader, 100), lost);
    reader.seek(first, 50);
    assert.deepEqual((await readAll(reader, 50)).get(0), numbers(50, 100));
  });

  it('fails at a hole, and does not pass over it by itself', async () => {
    broker.append(0, 10);
    broker.react = ({ code, fields }) => {
      const offset = Number(fields['queueOffset']);
      if (code !== PULL || offset >= 10) return 'default';
      const body = Buffer.concat([0, 1, 2, 6, 7, 8, 9].filter((at) => at >= offset).map((at) => storedMessage({ offset: at })));
      return { code: 0, fields: { nextBeginOffset: 10, minOffset: 0, maxOffset: 10 }, body };
    };
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    assert.equal((await reader.read(10_000, 1_000, signal))[0]?.count, 3);
    await assert.rejects(reader.read(10_000, 1_000, signal), { code: 'LOG_DAMAGED', position: 3, resumeAt: 6 });
  });

  it('fails when the broker has nothing there and tells it to go on further', async () => {
    broker.append(0, 10);
    broker.react = ({ code }) => (code === PULL ? { code: 20, fields: { nextBeginOffset: 7, minOffset: 0, maxOffset: 10 } } : 'default');
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    await assert.rejects(reader.read(10_000, 5_000, signal), { code: 'LOG_DAMAGED', position: 0, resumeAt: 7 });
  });

  it('fails when its topic is deleted', async () => {
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    const waiting = reader.read(1_000, 10_000, signal);
    broker.topics.clear();
    broker.append(0, 0);
    await assert.rejects(waiting, { kind: 'data', code: 'TOPIC_NOT_FOUND' });
  });

  it('fails without permission, and tries again when it is read again', async () => {
    broker.append(0, 5);
    let isForbidden = true;
    broker.react = ({ code }) =>
      code === PULL && isForbidden ? { code: 16, remark: 'the topic[lines] pulling message is forbidden' } : 'default';
    const reader = await log.assign('test', [{ queue: first, position: 0 }]);
    await assert.rejects(reader.read(1_000, 5_000, signal), { kind: 'denied', code: 'BROKER_NO_PERMISSION' });
    isForbidden = false;
    assert.deepEqual((await readAll(reader, 5)).get(0), numbers(0, 5));
  });

  describe('with a slave', () => {
    let slave: FakeBroker;
    beforeEach(async () => {
      slave = await new FakeBroker().start();
      broker.addresses = { 0: 'self', 1: slave.peer.address };
      for (const each of [broker, slave]) each.react = suggesting(each, 1);
    });
    afterEach(() => slave.peer.stop());

    /** Answers that suggest another broker for the next pull. */
    function suggesting(from: FakeBroker, brokerId: number): FakeBroker['react'] {
      return async (request) => {
        const answer = await from.answer(request);
        if (request.code !== PULL || typeof answer !== 'object') return answer;
        return { ...answer, fields: { ...answer.fields, suggestWhichBrokerId: brokerId } };
      };
    }
    const slavePulls = () => slave.peer.requests.filter(({ code }) => code === PULL).length;

    it('reads there when the master suggests it, and while the master is away', async () => {
      broker.append(0, 200);
      slave.append(0, 200);
      const reader = await log.assign('test', [{ queue: first, position: 0 }]);
      assert.deepEqual((await readAll(reader, 200)).get(0), numbers(0, 200));
      assert.ok(slavePulls() > 0);
      await broker.peer.stop();
      reader.seek(first, 100);
      assert.deepEqual((await readAll(reader, 100)).get(0), numbers(100, 200));
    });

    it('takes nothing for lost that only the slave lacks: the master has it', async () => {
      broker.append(0, 200);
      slave.append(0, 50);
      slave.min.set(0, 20);
      const reader = await log.assign('test', [{ queue: first, position: 0 }]);
      assert.deepEqual((await readAll(reader, 200)).get(0), numbers(0, 200));
      assert.ok(slavePulls() > 0);
    });

    it('waits for the master where the slave has nothing at its position, or a hole', async () => {
      broker.append(0, 200);
      slave.append(0, 200);
      const reader = await log.assign('test', [{ queue: first, position: 0 }]);
      await readAll(reader, 200);
      await broker.peer.stop();
      const answers: FakeReaction[] = [
        { code: 21, fields: { nextBeginOffset: 50, minOffset: 0, maxOffset: 50, suggestWhichBrokerId: 1 } },
        { code: 20, fields: { nextBeginOffset: 150, minOffset: 0, maxOffset: 200, suggestWhichBrokerId: 1 } },
        { code: 20, fields: { nextBeginOffset: 150, minOffset: 0, maxOffset: 200, suggestWhichBrokerId: 1 } },
        {
          code: 0,
          fields: { nextBeginOffset: 160, minOffset: 0, maxOffset: 200, suggestWhichBrokerId: 1 },
          body: storedMessage({ offset: 120 }),
        },
        // It hears of topics and groups later.
        { code: 17, remark: 'topic[lines] not exist, apply first please!' },
        { code: 26, remark: 'subscription group [test] does not exist' },
        // Where slaves serve no reads.
        { code: 20, fields: { nextBeginOffset: 100, minOffset: 0, maxOffset: 0, suggestWhichBrokerId: 0 } },
      ];
      let answered = 0;
      slave.react = ({ code }) => (code === PULL ? (answers[answered++ % answers.length] ?? 'default') : 'default');
      reader.seek(first, 100);
      const reading = readAll(reader, 100);
      while (answered < answers.length) await new Promise((resolve) => setTimeout(resolve, 5));
      broker.react = () => 'default';
      await broker.peer.start();
      assert.deepEqual((await reading).get(0), numbers(100, 200));
    });
  });
});

async function readAll(reader: QueueReader, count: number, maxBytes = () => 1_000_000): Promise<Map<number, number[]>> {
  const seen = new Map<number, number[]>();
  for (let total = 0; total < count; ) {
    for (const fetched of await reader.read(maxBytes(), 5_000, signal)) {
      const bodies = seen.get(fetched.queue.queue) ?? [];
      seen.set(fetched.queue.queue, bodies);
      decodeFetched(fetched, (body, _properties, index) => {
        assert.equal(Number(body), fetched.offset + index);
        bodies.push(Number(body));
      });
      total += fetched.count;
    }
  }
  return seen;
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

function lagOf(reader: QueueReader): number {
  return reader.lags().reduce((sum, { lag }) => sum + lag, 0);
}
