import assert from 'node:assert/strict';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, decodeFetched, encodeProperty, property } from '@rocketmq-connect/message-log/message';
import { connectProxyLog } from '@rocketmq-connect/message-log/proxy/client';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { mqadmin, rocketmq, useRocketmq } from '../support/rocketmq.ts';
import { batchOf, bodiesOf, messageLogContract, newTopic } from './message-log.ts';

/** The least that a proxy takes. */
const INVISIBLE_MS = 10_000;

let clients = 0;

function connect(): MessageLog {
  const clientId = `proxy-${process.pid}-${clients++}`;
  const connection = { kind: 'proxy', proxies: [rocketmq.proxyGrpc], clientId, invisibleMs: INVISIBLE_MS } as const;
  return connectProxyLog(connection, { clock: systemClock, random: Math.random, pid: process.pid });
}

async function createTopic(topic: string, queues: number, type = 'NORMAL'): Promise<void> {
  const clientId = `proxy-admin-${process.pid}-${clients++}`;
  const admin = connectRemotingLog(
    { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId },
    { clock: systemClock, random: Math.random },
  );
  await admin.createTopic(topic, { queues, attributes: { 'message.type': type } });
  await admin.close();
}

describe('A real RocketMQ, by gRPC', function () {
  this.timeout(60_000);
  const opened: MessageLog[] = [];
  const own = (): MessageLog => {
    const log = connect();
    opened.push(log);
    return log;
  };
  const under = {
    connect: own,
    topicsLateMs: 20_000,
    createTopic,
    invisibleMs: INVISIBLE_MS,
    now: () => Date.now(),
    wait: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
    close: async () => {
      await Promise.all(opened.splice(0).map((log) => log.close()));
    },
  };

  before(async function () {
    await useRocketmq(this);
  });

  messageLogContract(
    'proxy',
    { assign: false, subscribe: true, createTopic: false, delay: true, processes: true, dottedTopics: false },
    async () => under,
  );

  describe('MessageLog: proxy, what is its own', () => {
    let log: MessageLog;
    beforeEach(() => {
      log = own();
    });
    afterEach(() => under.close());

    it('keeps the order per key in a FIFO topic for an orderly group', async () => {
      const topic = `fifo-${process.pid}`;
      const group = `orderly-${process.pid}`;
      await createTopic(topic, 4, 'FIFO');
      await mqadmin('updateSubGroup', '-n', rocketmq.nameServer, '-c', 'DefaultCluster', '-g', group, '-o', 'true');
      const { queues } = await log.describeTopic(topic);
      const keys = ['a', 'b', 'c', 'd e', 'ü', 'x'.repeat(100), ' '];
      for (let round = 0; round < 10; round++) {
        const builder = new BatchBuilder();
        for (let i = 0; i < 5; i++) for (const key of keys) builder.add(Buffer.from(String(round * 5 + i)), encodeProperty('KEYS', key));
        await log.send(queues[round % queues.length] as QueueAddress, builder.take());
      }
      const subscription = await log.subscribe(group, [topic]);
      const seen = new Map<string, number[]>();
      for (let total = 0; total < keys.length * 50; ) {
        for (const fetched of await subscription.read(1_000_000, 1_000, new AbortController().signal)) {
          total += fetched.count;
          decodeFetched(fetched, (body, properties) => {
            const binary = property(properties, 'rmqc.k64');
            const key = binary === undefined ? (property(properties, 'KEYS') ?? '') : Buffer.from(binary, 'base64').toString();
            seen.set(key, [...(seen.get(key) ?? []), Number(body)]);
          });
          await subscription.acknowledge(fetched.count);
        }
      }
      for (const key of keys)
        assert.deepEqual(
          seen.get(key),
          Array.from({ length: 50 }, (_, i) => i),
          `key "${key}"`,
        );
    });

    it('sends to a FIFO topic again only what was not stored', async () => {
      const topic = `fifo-part-${process.pid}`;
      await createTopic(topic, 2, 'FIFO');
      const [queue] = (await log.describeTopic(topic)).queues as [QueueAddress];
      const builder = new BatchBuilder();
      for (let i = 0; i < 5; i++) builder.add(Buffer.from(`good ${i}`), encodeProperty('KEYS', 'k'));
      builder.add(Buffer.from('bad'), encodeProperty('KEYS', 'k') + encodeProperty('TAGS', 'a|b'));
      const batch = builder.take();
      for (let attempt = 0; attempt < 3; attempt++) await assert.rejects(log.send(queue, batch), { kind: 'data', code: 'MESSAGE_REFUSED' });
      await log.send(queue, batchOf(['last']));
      const subscription = await log.subscribe(`part-${process.pid}`, [topic]);
      const bodies: string[] = [];
      while (!bodies.includes('last') || bodies.length < 6) {
        bodies.push(...(await subscription.read(1_000_000, 1_000, new AbortController().signal)).flatMap(bodiesOf));
      }
      assert.deepEqual(bodies.sort(), ['good 0', 'good 1', 'good 2', 'good 3', 'good 4', 'last']);
    });

    it('delivers a delayed message when it is due', async () => {
      const topic = `delay-${process.pid}`;
      await createTopic(topic, 1, 'DELAY');
      const [queue] = (await log.describeTopic(topic)).queues as [QueueAddress];
      const subscription = await log.subscribe(`delay-${process.pid}`, [topic]);
      const dueMs = Date.now() + 3_000;
      for (let i = 0; i < 3; i++) await log.send(queue, { ...batchOf([String(i)]), delayMs: 3_000 });
      for (let seen = 0; seen < 3; ) {
        for (const { count } of await subscription.read(1_000_000, 1_000, new AbortController().signal)) {
          seen += count;
          assert.ok(Date.now() >= dueMs - 1_000);
        }
      }
      await assert.rejects(log.send(queue, batchOf(['not delayed'])), { kind: 'data', code: 'MESSAGE_TYPE_REFUSED' });
      await assert.rejects(log.send(queue, { ...batchOf(['in a year']), delayMs: 365 * 86_400_000 }), {
        kind: 'data',
        code: 'DELAY_TOO_LONG',
      });
    });

    it('carries a message group through a topic that knows none', async () => {
      const [queue] = (await newTopic(under, log, 1)) as [QueueAddress];
      const builder = new BatchBuilder();
      builder.add(Buffer.from('x'), encodeProperty('__SHARDINGKEY', 'g'));
      await log.send(queue, builder.take());
      const subscription = await log.subscribe(`group-${process.pid}`, [queue.topic]);
      const [fetched] = await subscription.read(1_000_000, 10_000, new AbortController().signal);
      assert.ok(fetched);
      decodeFetched(fetched, (_, properties) => assert.equal(property(properties, '__SHARDINGKEY'), 'g'));
    });

    it('reads what was sent by RocketMQ’s own protocol, and is read by it', async () => {
      const [queue] = (await newTopic(under, log, 1)) as [QueueAddress];
      const remoting = connectRemotingLog(
        { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: `interop-${process.pid}` },
        { clock: systemClock, random: Math.random },
      );
      opened.push(remoting);
      const text = encodeProperty('KEYS', 'one two') + encodeProperty('TAGS', 'tag') + encodeProperty('header', 'ü');
      const builder = new BatchBuilder();
      builder.add(Buffer.from('by remoting'), text);
      await remoting.send(queue, builder.take());
      builder.add(Buffer.from('by gRPC'), text);
      await log.send(queue, builder.take());
      const seen: string[][] = [];
      const take = (body: Buffer, properties: string): void => {
        seen.push([body.toString(), ...['KEYS', 'TAGS', 'header'].map((name) => property(properties, name) ?? '')]);
      };
      const subscription = await log.subscribe(`interop-${process.pid}`, [queue.topic]);
      while (seen.length < 2) {
        for (const part of await subscription.read(1_000_000, 1_000, new AbortController().signal)) decodeFetched(part, take);
      }
      const reader = await remoting.assign('interop', [{ queue, position: 0 }]);
      while (seen.length < 4) {
        for (const part of await reader.read(1_000_000, 1_000, new AbortController().signal)) decodeFetched(part, take);
      }
      const expected = ['by gRPC', 'by gRPC', 'by remoting', 'by remoting'].map((body) => [body, 'one two', 'tag', 'ü']);
      assert.deepEqual(
        seen.sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1)),
        expected,
      );
    });

    it('says what keeps it from working, and keeps trying where that may pass', async () => {
      const unreachable = connectProxyLog(
        { kind: 'proxy', proxies: ['127.0.0.1:1'], clientId: 'nobody' },
        { clock: systemClock, random: Math.random, pid: 1 },
      );
      opened.push(unreachable);
      await assert.rejects(unreachable.describeTopic('any'), { kind: 'retriable', code: 'CONNECTION_REFUSED', message: /127\.0\.0\.1:1/ });
      const failover = connectProxyLog(
        { kind: 'proxy', proxies: ['127.0.0.1:1', rocketmq.proxyGrpc], clientId: 'second' },
        { clock: systemClock, random: Math.random, pid: 1 },
      );
      opened.push(failover);
      const [queue] = await newTopic(under, log, 1);
      assert.equal((await failover.describeTopic((queue as QueueAddress).topic)).queues.length, 1);
      await assert.rejects(log.describeTopic('with.dot'), { kind: 'config', code: 'TOPIC_NAME_INVALID' });
    });
  });
});
