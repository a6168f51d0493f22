import assert from 'node:assert/strict';
import { FakeBroker } from '../../../test/support/fake-broker.ts';
import type { PeerReaction } from '../../../test/support/remoting-peer.ts';
import { systemClock } from '../../configuration/system-clock.ts';
import type { MessageLog, QueueAddress } from '../index.ts';
import { BatchBuilder } from '../message.ts';
import { connectRemotingLog, type RemotingLogConnection } from './client.ts';

const first: QueueAddress = { topic: 'lines', broker: 'a', queue: 0 };
const SEND = 320;
const MAX = 30;
const ROUTE = 105;
const CLUSTER = 106;

describe('The remoting client', () => {
  let broker: FakeBroker;
  const logs: MessageLog[] = [];
  beforeEach(async () => {
    broker = await new FakeBroker().start();
  });
  afterEach(async () => {
    for (const log of logs.splice(0)) await log.close();
    await broker.peer.stop().catch(() => {});
  });

  function connect(settings: Partial<RemotingLogConnection> = {}, clock = systemClock): MessageLog {
    const connection = {
      kind: 'remoting',
      nameServers: [broker.peer.address],
      clientId: 'test',
      requestTimeoutMs: 2_000,
      ...settings,
    } as const;
    const log = connectRemotingLog(connection, { clock, random: () => 0 });
    logs.push(log);
    return log;
  }

  function once(code: number, reaction: PeerReaction): void {
    let done = false;
    broker.react = (request) => {
      if (request.code !== code || done) return 'default';
      done = true;
      return reaction;
    };
  }

  describe('sending', () => {
    it('leaves the outcome open when the connection is cut before the answer, and sends again over a new one', async () => {
      const log = connect();
      once(SEND, 'cut');
      await assert.rejects(log.send(first, batch(2)), { kind: 'retriable', code: 'SEND_OUTCOME_UNKNOWN' });
      assert.deepEqual(await log.send(first, batch(2)), { offset: 0 });
    });

    it('leaves the outcome open when the answer stops within its frame, and gives the connection up', async () => {
      const log = connect({ requestTimeoutMs: 150 });
      await log.send(first, batch(1));
      once(SEND, 'stall');
      await assert.rejects(log.send(first, batch(1)), { code: 'SEND_OUTCOME_UNKNOWN' });
      // What else came over the stuck connection would be read as the rest of that frame.
      assert.deepEqual(await log.send(first, batch(1)), { offset: 1 });
    });

    it('leaves the outcome open when no answer comes in time', async () => {
      const log = connect({ requestTimeoutMs: 150 });
      once(SEND, undefined);
      await assert.rejects(log.send(first, batch(1)), { code: 'SEND_OUTCOME_UNKNOWN', message: /did not answer/ });
    });

    it('leaves the outcome open when a success names no position', async () => {
      const log = connect();
      once(SEND, { code: 0, fields: { msgId: 'x' } });
      await assert.rejects(log.send(first, batch(1)), { code: 'SEND_OUTCOME_UNKNOWN' });
    });

    it('of unknown outcome may still be stored: the end of the queue is told when that is over, counted from when the broker answers', async () => {
      const log = connect({ strayMs: 20 });
      await log.send(first, batch(1));
      let looks = 0;
      broker.react = ({ code }) => {
        if (code === SEND) return 'cut';
        // It stood still, with the batch before it.
        if (code === MAX && ++looks === 1) setImmediate(() => broker.append(0, 2));
        return 'default';
      };
      await assert.rejects(log.send(first, batch(2)), { code: 'SEND_OUTCOME_UNKNOWN' });
      assert.equal(await log.maxOffset(first), 3);
      assert.equal(looks, 2);
      assert.equal(await log.maxOffset(first), 3);
      assert.equal(looks, 3, 'that is waited for once');
    });

    it('gives up the connection of a batch whose answer does not come, whatever else comes over it', async () => {
      const log = connect({ requestTimeoutMs: 150, strayMs: 1 });
      await log.send(first, batch(1));
      const before = broker.peer.requests.at(-1)?.socket;
      once(SEND, undefined);
      const ticking = setInterval(() => log.minOffset(first).catch(() => {}), 10);
      try {
        await assert.rejects(log.send(first, batch(1)), { code: 'SEND_OUTCOME_UNKNOWN' });
      } finally {
        clearInterval(ticking);
      }
      await log.maxOffset(first);
      assert.notEqual(broker.peer.requests.at(-1)?.socket, before, 'the look comes over another');
    });

    it('is surely not done where nobody listens; goes on when the broker is back', async () => {
      const log = connect();
      await log.send(first, batch(1));
      await broker.peer.stop();
      await eventually(async () => {
        await assert.rejects(log.send(first, batch(1)), { kind: 'retriable', code: 'CONNECTION_REFUSED' });
      });
      await broker.peer.start();
      await eventually(async () => assert.deepEqual(await log.send(first, batch(1)), { offset: 1 }));
      assert.equal(broker.max.get(0), 2, 'nothing twice');
    });

    for (const [response, kind, code] of [
      [{ code: 2, remark: '[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while' }, 'retriable', 'BROKER_BUSY'],
      [{ code: 215, remark: 'flow control' }, 'retriable', 'BROKER_BUSY'],
      [{ code: 14, remark: 'service not available now: disk full' }, 'retriable', 'BROKER_UNAVAILABLE'],
      [{ code: 1500, remark: 'please go away' }, 'retriable', 'BROKER_UNAVAILABLE'],
      [{ code: 16, remark: 'the broker sending message is forbidden' }, 'denied', 'BROKER_NO_PERMISSION'],
      [{ code: 1, remark: 'org.apache.rocketmq.acl.common.AclException: No accessKey is configured' }, 'denied', 'BROKER_UNAUTHENTICATED'],
      [{ code: 1, remark: 'AclException: Check signature failed for accessKey=me' }, 'denied', 'BROKER_UNAUTHENTICATED'],
      [{ code: 1, remark: 'AclException: No default permission for lines' }, 'denied', 'BROKER_NO_PERMISSION'],
      [{ code: 17, remark: 'topic[lines] not exist' }, 'data', 'TOPIC_NOT_FOUND'],
      [{ code: 13, remark: 'the message is illegal' }, 'data', 'MESSAGE_TOO_LARGE'],
      [{ code: 1, remark: 'java.lang.RuntimeException: message body size exceeded' }, 'data', 'MESSAGE_TOO_LARGE'],
      [
        { code: 13, remark: 'timer message illegal, the delay time should not be bigger than the max delay 259200000ms' },
        'data',
        'DELAY_TOO_LONG',
      ],
      [{ code: 1, remark: 'accurate timer message is not enabled, timerWheelEnable is false' }, 'config', 'DELAY_NOT_SUPPORTED'],
      [{ code: 1, remark: 'timer message is under flow control, max num limit is 2' }, 'retriable', 'BROKER_BUSY'],
      [{ code: 29, remark: 'request queueId[7] is illegal' }, 'data', 'QUEUE_NOT_FOUND'],
      [{ code: 1, remark: 'request queueId[7] is illegal' }, 'data', 'QUEUE_NOT_FOUND'],
      [{ code: 3, remark: 'request type 320 not supported' }, 'fatal', 'REQUEST_NOT_SUPPORTED'],
      [{ code: 1, remark: 'create mapped file failed, server is busy or broken.' }, 'retriable', 'BROKER_BUSY'],
      [{ code: 1, remark: 'in-sync replicas not enough' }, 'retriable', 'BROKER_ERROR'],
      [{ code: 1, remark: 'RemotingTimeoutException: wait response on the channel timeout' }, 'retriable', 'SEND_OUTCOME_UNKNOWN'],
    ] as const) {
      it(`takes ${response.code} "${response.remark.slice(0, 40)}" as ${code}`, async () => {
        const log = connect();
        once(SEND, response);
        await assert.rejects(log.send(first, batch(1)), { kind, code });
        assert.deepEqual(await log.send(first, batch(1)), { offset: 0 }, 'the next is not concerned');
      });
    }

    for (const [code, unsafe] of [
      [10, /disk/],
      [11, /no slave is there/],
      [12, /no slave had it/],
    ] as const) {
      it(`says what is missing where a batch is stored but not yet safe (${code})`, async () => {
        once(SEND, { code, fields: { queueOffset: 3 } });
        const result = await connect().send(first, batch(1));
        assert.equal(result.offset, 3);
        assert.match(result.unsafe ?? '', unsafe);
      });
    }

    it('sends a delayed message by itself, as the version of the broker asks for, and knows no position of it', async () => {
      const delayed = { ...batch(1), delayMs: 1_500 };
      for (const [version, property] of [
        [493, 'TIMER_DELAY_MS\x011500\x02'],
        [401, 'DELAY\x012\x02'],
      ] as const) {
        broker.peer.version = version;
        assert.deepEqual(await connect().send(first, delayed), { offset: -1 });
        assert.equal(broker.peer.requests.findLast(({ code }) => code === 310)?.fields['i'], property);
      }
      await assert.rejects(connect().send(first, { ...batch(2), delayMs: 5 }), { kind: 'data', code: 'DELAY_INVALID' });
    });

    it('signs what it sends, and asks no broker to make a topic by itself', async () => {
      await connect({ credentials: { accessKey: 'key', secretKey: 'secret' } }).send(first, batch(1));
      const sent = broker.peer.requests.find(({ code }) => code === SEND);
      assert.equal(sent?.fields['AccessKey'], 'key');
      assert.match(sent?.fields['Signature'] ?? '', /^[A-Za-z0-9+/]{27}=$/);
      assert.equal(sent?.fields['c'], '');
    });
  });

  describe('routes', () => {
    it('are learned anew when a topic has grown', async () => {
      const log = connect();
      await log.send(first, batch(1));
      await assert.rejects(log.send({ ...first, queue: 4 }, batch(1)), { code: 'QUEUE_NOT_FOUND' });
      broker.queues = 8;
      assert.deepEqual(await log.send({ ...first, queue: 7 }, batch(1)), { offset: 0 });
      assert.equal((await log.describeTopic('lines')).queues.length, 8);
    });

    it('come from any name server', async () => {
      const log = connect({ nameServers: ['127.0.0.1:1', broker.peer.address] });
      assert.deepEqual(await log.send(first, batch(1)), { offset: 0 });
      await assert.rejects(connect({ nameServers: ['127.0.0.1:1', '127.0.0.1:2'] }).describeTopic('lines'), {
        kind: 'retriable',
        code: 'NAME_SERVER_UNAVAILABLE',
        field: 'rocketmq.namesrv',
      });
    });

    it('that were known still count while a restarted name server knows nothing', async () => {
      const log = connect({ routeRefreshMs: 1 });
      await log.send(first, batch(1));
      broker.react = ({ code }) => {
        if (code === ROUTE) return { code: 17 };
        return code === 106 ? { code: 0, body: Buffer.from('{"brokerAddrTable":{}}') } : 'default';
      };
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(await log.send(first, batch(1)), { offset: 1 });
      await assert.rejects(log.describeTopic('lines'), { kind: 'retriable', code: 'BROKER_UNAVAILABLE' });
      await assert.rejects(connect().send(first, batch(1)), { kind: 'retriable', code: 'BROKER_UNAVAILABLE' });
    });

    it('without the broker of a queue say that it is away: it may come back', async () => {
      const log = connect();
      await assert.rejects(log.send({ ...first, broker: 'b' }, batch(1)), { kind: 'retriable', code: 'BROKER_UNAVAILABLE' });
      broker.addresses = { 1: 'self' };
      await assert.rejects(log.send(first, batch(1)), { kind: 'retriable', code: 'BROKER_UNAVAILABLE' });
    });

    it('are asked for once, however many want them', async () => {
      const log = connect();
      await Promise.all([0, 1, 2, 3].map((queue) => log.send({ ...first, queue }, batch(1))));
      assert.equal(broker.peer.requests.filter(({ code }) => code === ROUTE).length, 1);
    });
  });

  describe('topics', () => {
    it('may be read from and written to in different queues: those that are gone first are written to no more', async () => {
      const numbers = { readQueueNums: 3, writeQueueNums: 1, perm: 6 };
      const route = {
        brokerDatas: ['a', 'b', 'c'].map((brokerName) => ({ brokerName, brokerAddrs: { 0: broker.peer.address } })),
        queueDatas: [
          { brokerName: 'a', ...numbers },
          { brokerName: 'b', ...numbers, perm: 4 },
          { brokerName: 'c', ...numbers, perm: 2 },
        ],
      };
      broker.react = ({ code }) => (code === ROUTE ? { code: 0, body: Buffer.from(JSON.stringify(route)) } : 'default');
      const { queues, writable } = await connect().describeTopic('lines');
      const names = (all: readonly QueueAddress[] = []) => all.map(({ broker, queue }) => `${broker}${queue}`);
      assert.deepEqual(
        [names(queues), names(writable)],
        [
          ['a0', 'a1', 'a2', 'b0', 'b1', 'b2'],
          ['a0', 'c0'],
        ],
      );
    });

    const CREATE = 17;
    const CONFIG = 351;
    const created = () => broker.peer.requests.filter(({ code }) => code === CREATE).map(({ fields }) => fields['attributes']);
    const fifo = { queues: 4, attributes: { 'message.type': 'FIFO', 'reserve.time': '7' } };

    it('get the attributes that they do not have, in the words of brokers', async () => {
      broker.react = ({ code }) => {
        return code === CONFIG ? { code: 0, body: Buffer.from('{"attributes":{"reserve.time":"7"}}') } : 'default';
      };
      await connect().createTopic('lines', fifo);
      await connect().createTopic('lines', { queues: 4 });
      await connect().createTopic('lines', { queues: 4, attributes: { 'reserve.time': '7' } });
      assert.deepEqual(created(), ['+message.type=FIFO']);
    });

    it('have none with a broker of RocketMQ 4', async () => {
      broker.react = ({ code }) => (code === CONFIG ? { code: 3, remark: 'request type 351 not supported' } : 'default');
      await connect().createTopic('lines', fifo);
      assert.deepEqual(created(), []);
    });

    it('are refused by the field where a broker does not take their attributes', async () => {
      broker.react = ({ code }) => {
        if (code === CONFIG) return { code: 0, body: Buffer.from('{}') };
        return code === CREATE ? { code: 1, remark: 'unsupported key: reserve.time' } : 'default';
      };
      const refused = { kind: 'config', code: 'TOPIC_ATTRIBUTES_REFUSED', field: 'attributes', message: /unsupported key/ };
      await assert.rejects(connect().createTopic('lines', fifo), refused);
    });
  });

  it('tells brokers which groups it has, as long as it has them', async () => {
    const log = connect({ heartbeatMs: 20 });
    const reader = await log.assign('connect-x', [{ queue: first, position: 0 }]);
    const group = 'connect-x';
    const beats = (): string[] => broker.peer.requests.filter(({ code }) => code === 34).map(({ body }) => body.toString());
    await eventually(async () => assert.ok(beats().at(-1)?.includes(`"${group}"`)));
    await log.mirrorPosition('connect-x', first, 17);
    await eventually(async () => {
      const mirrored = broker.peer.requests.find(({ code }) => code === 15);
      assert.deepEqual([mirrored?.fields['consumerGroup'], mirrored?.fields['commitOffset']], [group, '17']);
    });
    await reader.close();
    await log.close();
    await eventually(async () => {
      const left = broker.peer.requests
        .filter(({ code }) => code === 35)
        .map(({ fields }) => fields['consumerGroup'] ?? fields['producerGroup']);
      assert.deepEqual(left, [group, 'rocketmq-connect']);
    });
    assert.ok(!beats().at(-1)?.includes('secret'));
  });

  it('behind a proxy gives up the connections of queues that nobody sends to any more, when it opens others', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    broker.react = ({ code }) => (code === CLUSTER ? { code: 3 } : 'default');
    const log = connect({}, clock);
    const send = (queue: number) => log.send({ ...first, queue }, batch(1));
    const reader = await log.assign('connect-x', [{ queue: { ...first, queue: 2 }, position: 0 }]);
    await send(0);
    await send(1);
    await eventually(async () => assert.equal(broker.peer.connections, 4, 'two lanes to send, one to read, and one for the rest'));
    aheadMs = 200_000;
    await send(1);
    aheadMs = 400_000;
    await send(3);
    await eventually(async () => assert.equal(broker.peer.connections, 4, 'one is open and another closed'));
    for (const queue of [1, 0, 2]) await send(queue);
    assert.equal((await reader.read(1024, 5_000, new AbortController().signal)).length, 1);
  });

  it('leaves a peer alone that speaks another protocol, and says so', async () => {
    broker.react = ({ socket }) => {
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      return undefined;
    };
    await assert.rejects(connect().describeTopic('lines'), { code: 'NAME_SERVER_UNAVAILABLE', message: /remoting protocol/ });
  });

  it('refuses addresses that are none', () => {
    for (const nameServers of [[], ['nowhere'], ['host:'], ['a:1', 'http://b:2'], ['::1:9876']]) {
      assert.throws(() => connect({ nameServers }), { kind: 'config', field: 'rocketmq.namesrv' }, String(nameServers));
    }
    connect({ nameServers: ['[::1]:9876', 'rocket.example:9876'] });
  });

  it('takes no topic name that RocketMQ does not', async () => {
    await assert.rejects(connect().createTopic('server.schema.table', { queues: 1 }), { code: 'TOPIC_NAME_INVALID', message: /dot/ });
  });
});

function batch(count: number): { bytes: Buffer; count: number } {
  const builder = new BatchBuilder(64);
  for (let i = 0; i < count; i++) builder.add(Buffer.from('x'), '');
  return builder.take();
}

/** Connections end and begin when they do: what is to come true is looked for until it does. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const until = performance.now() + 5_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
