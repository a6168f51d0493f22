import assert from 'node:assert/strict';
import type { Clock, ConnectError } from '@rocketmq-connect/sdk';
import { delivery, FakeProxy } from '../../../test/support/fake-proxy.ts';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { systemClock } from '../../configuration/system-clock.ts';
import type { FetchedMessages, MessageBatch, MessageLog, QueueAddress, Subscription } from '../index.ts';
import { BatchBuilder, decodeFetched, encodeProperty } from '../message.ts';
import { connectProxyLog, type ProxyLogConnection } from './client.ts';
import { wire } from './wire.ts';

const { Code, MessageType } = wire;
const queue: QueueAddress = { topic: 't', broker: 'b', queue: 1 };
const { signal } = new AbortController();

describe('The proxy client', () => {
  let proxy: FakeProxy;
  const proxies: FakeProxy[] = [];
  const logs: MessageLog[] = [];

  beforeEach(async () => {
    proxy = await new FakeProxy().start();
    proxies.push(proxy);
  });
  afterEach(async () => {
    for (const log of logs.splice(0)) await log.close();
    for (const one of proxies.splice(0)) one.stop();
  });

  function connect(settings: Partial<ProxyLogConnection> = {}, clock: Clock = systemClock): MessageLog {
    const connection = { kind: 'proxy', proxies: [proxy.address], clientId: 'test', ...settings } as const;
    const log = connectProxyLog(connection, { clock, random: () => 0.5, pid: 4711 });
    logs.push(log);
    return log;
  }

  it('refuses addresses that are none', () => {
    for (const proxies of [[], ['host'], ['a:1', ':2'], ['a b:1']]) {
      assert.throws(() => connectProxyLog({ kind: 'proxy', proxies, clientId: 'x' }, { clock: systemClock, random: Math.random, pid: 1 }), {
        kind: 'config',
        field: 'rocketmq.proxy',
      });
    }
  });

  describe('sends', () => {
    it('a batch in one request, with everything where it belongs', async () => {
      const builder = new BatchBuilder();
      builder.add(Buffer.from('a'), `${encodeProperty('KEYS', 'k 1')}${encodeProperty('TAGS', 'tag')}${encodeProperty('h', 'ü')}`);
      builder.add(Buffer.alloc(0), `${encodeProperty('KEYS', 'ends ')}${encodeProperty('h', 'two\nlines')}`);
      assert.deepEqual(await connect().send(queue, builder.take()), { offset: -1 });
      assert.deepEqual(proxy.sent.map(describeMessages), [
        [
          { body: 'a', keys: ['k 1'], tag: 'tag', type: MessageType.NORMAL, user: { h: 'ü' } },
          {
            body: '-',
            keys: [],
            tag: '',
            type: MessageType.NORMAL,
            user: { 'rmqc.empty': '1', 'rmqc.k64': 'ZW5kcyA=', 'rmqc.h64.1000000:h': 'dHdvCmxpbmVz' },
          },
        ],
      ]);
      const ids = proxy.sent.flat().map((message) => message.getSystemProperties()?.getMessageId() ?? '');
      assert.match(ids[0] ?? '', /^01[0-9A-F]{12}1267[0-9A-F]{16}$/);
      assert.equal(new Set(ids).size, 2);
    });

    it('in parts what a broker would count as more than 4 MiB', async () => {
      const builder = new BatchBuilder();
      for (let i = 0; i < 10_000; i++) builder.add(Buffer.alloc(350), '');
      await connect().send(queue, builder.take());
      assert.equal(proxy.sent.length, 2);
      assert.equal(proxy.sent.flat().length, 10_000);
    });

    it('to a FIFO topic one after the other per group, and after a failure only the rest', async () => {
      proxy.types = [MessageType.FIFO];
      const builder = new BatchBuilder();
      for (const text of ['a1', 'b1', 'a2', 'a3', 'b2']) builder.add(Buffer.from(text), encodeProperty('KEYS', text[0] ?? ''));
      builder.add(Buffer.from('keyless'), '');
      builder.add(Buffer.from('long'), encodeProperty('KEYS', 'x'.repeat(64)));
      const batch = builder.take();
      const log = connect();
      proxy.sendCodes.push(Code.OK, Code.OK, Code.OK, Code.OK, Code.TOO_MANY_REQUESTS);
      await assert.rejects(log.send(queue, batch), { kind: 'retriable', code: 'BROKER_BUSY' });
      await log.send(queue, batch);
      const bodies = proxy.sent.map(([message]) => Buffer.from(message?.getBody_asU8() ?? []).toString());
      assert.ok(proxy.sent.every((messages) => messages.length === 1));
      assert.equal(bodies.length, 8, 'one of them twice');
      for (const [group, expected] of [
        ['a', 'a1,a2,a3'],
        ['b', 'b1,b2'],
      ]) {
        assert.equal([...new Set(bodies)].filter((body) => body.startsWith(group as string)).join(), expected);
      }
      const groupOf = (body: string): string | undefined =>
        proxy.sent.flat()[bodies.indexOf(body)]?.getSystemProperties()?.getMessageGroup();
      assert.deepEqual([groupOf('a1'), groupOf('keyless')], ['a', 'queue-1']);
      assert.match(groupOf('long') ?? '', /^[0-9a-f]{32}$/);
    });

    it('refuse topics of a type that no source sends', async () => {
      proxy.types = [MessageType.TRANSACTION];
      await assert.rejects(connect().send(queue, batchOf('a')), { kind: 'fatal', code: 'MESSAGE_TYPE_REFUSED' });
    });

    for (const [code, kind, name] of [
      [Code.INTERNAL_SERVER_ERROR, 'retriable', 'SEND_OUTCOME_UNKNOWN'],
      [Code.PROXY_TIMEOUT, 'retriable', 'SEND_OUTCOME_UNKNOWN'],
      [Code.TOO_MANY_REQUESTS, 'retriable', 'BROKER_BUSY'],
      [Code.TOPIC_NOT_FOUND, 'data', 'TOPIC_NOT_FOUND'],
      [Code.MESSAGE_BODY_TOO_LARGE, 'data', 'MESSAGE_TOO_LARGE'],
      [Code.MESSAGE_PROPERTIES_TOO_LARGE, 'data', 'MESSAGE_PROPERTIES_TOO_LARGE'],
      [Code.ILLEGAL_MESSAGE_KEY, 'data', 'MESSAGE_REFUSED'],
      [Code.UNAUTHORIZED, 'denied', 'BROKER_NO_PERMISSION'],
      [Code.UNSUPPORTED, 'fatal', 'REQUEST_NOT_SUPPORTED'],
    ] as const) {
      it(`tell ${name} by the answer ${code}`, async () => {
        proxy.sendCodes.push(code);
        await assert.rejects(connect().send(queue, batchOf('a')), { kind, code: name });
      });
    }

    it('count as stored what is not on a slave yet, and say so', async () => {
      proxy.sendCodes.push(Code.HA_NOT_AVAILABLE);
      assert.deepEqual(await connect().send(queue, batchOf('a')), { offset: -1, unsafe: 'no slave is there to have it' });
    });

    it('tell one that may have been stored from one that was not', async () => {
      const log = connect({ requestTimeoutMs: 300 });
      proxy.sendCodes.push(null);
      await assert.rejects(log.send(queue, batchOf('a')), { code: 'SEND_OUTCOME_UNKNOWN' });
      proxy.sendCodes.push(null);
      await log.describeTopic('t');
      const sending = assert.rejects(log.send(queue, batchOf('b')), { code: 'SEND_OUTCOME_UNKNOWN' });
      await until(() => proxy.sent.length === 2);
      proxy.stop();
      await sending;
      await assert.rejects(log.send(queue, batchOf('c')), { kind: 'retriable', code: 'CONNECTION_REFUSED' });
      await proxy.start();
      await eventually(() => log.send(queue, batchOf('d')));
    });

    it('go by another proxy while one is away', async () => {
      const other = await new FakeProxy().start();
      proxies.push(other);
      const log = connect({ proxies: [proxy.address, other.address] });
      await log.send(queue, batchOf('a'));
      proxy.stop();
      await eventually(() => log.send(queue, batchOf('b')));
      assert.deepEqual([proxy.sent.length, other.sent.length], [1, 1]);
    });

    it('go where the proxy was configured, if it names itself by an address that cannot be reached', async () => {
      proxy.advertised = '127.0.0.1:1';
      await connect().send(queue, batchOf('a'));
      assert.equal(proxy.sent.length, 1);
    });

    it('are signed', async () => {
      await connect({ credentials: { accessKey: 'ak', secretKey: 'sk', securityToken: 'st' } }).send(queue, batchOf('a'));
      const [metadata] = proxy.metadata;
      assert.match(
        String(metadata?.get('authorization')[0]),
        /^MQv2-HMAC-SHA1 Credential=ak, SignedHeaders=x-mq-date-time, Signature=[0-9A-F]{40}$/,
      );
      assert.deepEqual([metadata?.get('x-mq-session-token'), metadata?.get('x-mq-client-id')], [['st'], ['test']]);
    });
  });

  describe('subscriptions', () => {
    let clock: VirtualClock;
    beforeEach(() => {
      // Deadlines of gRPC are wall times.
      clock = new VirtualClock(Date.now());
    });

    const subscribe = (): Promise<Subscription> => connect({}, clock).subscribe('g', ['t']);

    /** Time passes for the client, while the wire is real. */
    async function pass(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += 500) {
        await clock.advance(500);
        await turn();
      }
    }

    async function take(subscription: Subscription, count: number): Promise<FetchedMessages[]> {
      const all: FetchedMessages[] = [];
      for (let taken = 0; taken < count; ) {
        let isDone = false;
        const reading = subscription.read(1_000_000, 60_000, signal).finally(() => {
          isDone = true;
        });
        // On a busy machine the wire can be too slow for a deadline; the pause after that needs time.
        for (let turns = 1; !isDone; turns++) await (turns % 500 === 0 ? clock.advance(100) : turn());
        for (const part of await reading) {
          all.push(part);
          taken += part.count;
        }
      }
      return all;
    }

    it('give messages of one queue that follow each other together, and those that come again a place of their own', async () => {
      proxy.deliveries.push([delivery(7), delivery(8), delivery(3, { queue: 1 }), delivery(8, { attempt: 2 }), delivery(10)]);
      const parts = await take(await subscribe(), 5);
      assert.deepEqual(
        parts.map((part) => [part.queue.broker, part.queue.queue, part.offset, part.count, part.storedAtMs]),
        [
          ['b', 0, 7, 2, 1_700_000_000_123],
          ['b', 1, 3, 1, 1_700_000_000_123],
          ['b%RETRY', 0, 8, 1, 1_700_000_000_123],
          ['b', 0, 10, 1, 1_700_000_000_123],
        ],
      );
      const bodies: string[] = [];
      for (const part of parts) decodeFetched(part, (body) => bodies.push(body.toString()));
      assert.deepEqual(bodies, ['body 7', 'body 8', 'body 3', 'body 8', 'body 10']);
    });

    it('acknowledge in the order of the reads, many at once, and again what was not taken', async () => {
      proxy.deliveries.push(Array.from({ length: 32 }, (_, i) => delivery(i)));
      const subscription = await subscribe();
      await take(subscription, 32);
      proxy.ackCodes.push(Code.INTERNAL_SERVER_ERROR, Code.OK, Code.INVALID_RECEIPT_HANDLE);
      const acknowledging = subscription.acknowledge(30);
      await until(() => proxy.acknowledged.length === 1);
      await pass(1_000);
      assert.equal(await acknowledging, 0);
      assert.deepEqual(
        proxy.acknowledged.map((handles) => handles.length),
        [30, 30],
      );
      assert.equal(await subscription.acknowledge(2), 2, 'lapsed');
      assert.deepEqual(proxy.acknowledged[2]?.toSorted(), ['handle-30', 'handle-31']);
    });

    it('give up an acknowledgement when the hold must have lapsed', async () => {
      proxy.deliveries.push([delivery(0)]);
      const subscription = await subscribe();
      await take(subscription, 1);
      proxy.ackCodes.push(...Array<number>(1_000).fill(Code.INTERNAL_SERVER_ERROR));
      let lapsed = -1;
      const acknowledging = subscription.acknowledge(1).then((count) => {
        lapsed = count;
      });
      await until(() => proxy.acknowledged.length === 1);
      await pass(25_000);
      assert.equal(lapsed, -1);
      await pass(10_000);
      await acknowledging;
      assert.equal(lapsed, 1);
    });

    it('renew what is read and what waits to be read, and acknowledge it by what the renewal gave', async () => {
      proxy.deliveries.push([delivery(0), delivery(1)]);
      const subscription = await subscribe();
      const [part] = await subscription.read(10, 60_000, signal);
      assert.equal(part?.count, 1);
      await pass(20_000);
      assert.deepEqual(
        proxy.renewed.map(({ handle, ms }) => [handle, ms]),
        [
          ['handle-0', 30_000],
          ['handle-1', 30_000],
        ],
      );
      await pass(20_000);
      assert.deepEqual(
        proxy.renewed.slice(2).map(({ handle }) => handle),
        ['renewed-1', 'renewed-2'],
      );
      await subscription.acknowledge(1);
      assert.deepEqual(proxy.acknowledged, [['renewed-3']]);
    });

    it('wait for a renewal that is under way before they acknowledge', async () => {
      let renew = (): void => undefined;
      proxy.onRenewal = () => new Promise((resolve) => (renew = resolve));
      proxy.deliveries.push([delivery(0)]);
      const subscription = await subscribe();
      await take(subscription, 1);
      await pass(16_000);
      await until(() => proxy.renewed.length === 1);
      const acknowledging = subscription.acknowledge(1);
      await pass(1_000);
      assert.deepEqual(proxy.acknowledged, []);
      renew();
      await acknowledging;
      assert.deepEqual(proxy.acknowledged, [['renewed-1']]);
      await pass(60_000);
      assert.equal(proxy.renewed.length, 1);
    });

    it('renew again what a proxy did not renew, and nothing that has lapsed', async () => {
      proxy.deliveries.push([delivery(0), delivery(1)]);
      const subscription = await subscribe();
      await take(subscription, 2);
      proxy.renewCodes.push(Code.INVALID_RECEIPT_HANDLE, Code.INTERNAL_SERVER_ERROR);
      await pass(18_000);
      assert.deepEqual(
        proxy.renewed.map(({ handle }) => handle),
        ['handle-0', 'handle-1', 'handle-1'],
      );
    });

    it('tell their settings before they receive, and again to a proxy that has forgotten them', async () => {
      const subscription = await subscribe();
      await until(() => proxy.settings === 1);
      await pass(20_000);
      assert.equal(proxy.settings, 1);
      proxy.heartbeatCode = Code.UNRECOGNIZED_CLIENT_TYPE;
      await pass(10_000);
      proxy.heartbeatCode = Code.OK;
      await until(() => proxy.settings === 2);
      proxy.stop();
      await pass(2_000);
      await proxy.start();
      proxy.deliveries.push([delivery(0)]);
      const reading = subscription.read(1_000_000, 600_000, signal).catch((error: ConnectError) => assert.equal(error.kind, 'retriable'));
      while (proxy.settings < 3) await pass(500);
      await reading;
    });

    it('say of a proxy that stays away that it does, once per failure that lasts', async () => {
      const subscription = await subscribe();
      await until(() => proxy.settings === 1);
      proxy.stop();
      let told: ConnectError | null = null;
      const reading = subscription.read(1_000_000, 600_000, signal).catch((error: ConnectError) => {
        told = error;
      });
      await pass(8_000);
      assert.equal(told, null);
      await pass(10_000);
      await reading;
      assert.equal((told as ConnectError | null)?.kind, 'retriable');
    });

    it('give back what they hold when they end, and say goodbye', async () => {
      proxy.deliveries.push([delivery(0), delivery(1), delivery(2)]);
      const subscription = await subscribe();
      await take(subscription, 3);
      await subscription.acknowledge(1);
      await subscription.close();
      assert.deepEqual(
        proxy.renewed.map(({ handle, ms }) => [handle, ms]),
        [
          ['handle-1', 1_000],
          ['handle-2', 1_000],
        ],
      );
      assert.equal(proxy.terminated, 1);
      assert.equal(clock.pendingTimers, 0);
    });

    it('receive no more than they may hold', async () => {
      for (let at = 0; at < 40_000; at += 32) proxy.deliveries.push(Array.from({ length: 32 }, (_, i) => delivery(at + i)));
      const subscription = await subscribe();
      await until(() => proxy.deliveries.length < 1_125);
      const waiting = proxy.deliveries.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(proxy.deliveries.length > waiting - 20, 'not much further');
      await take(subscription, 32);
      await until(() => proxy.deliveries.length < waiting);
    });
  });
});

function batchOf(...bodies: string[]): MessageBatch {
  const builder = new BatchBuilder();
  for (const body of bodies) builder.add(Buffer.from(body), '');
  return builder.take();
}

function describeMessages(messages: FakeProxy['sent'][number]): unknown[] {
  return messages.map((message) => {
    const system = message.getSystemProperties();
    return {
      body: Buffer.from(message.getBody_asU8()).toString(),
      keys: system?.getKeysList(),
      tag: system?.getTag(),
      type: system?.getMessageType(),
      user: Object.fromEntries(message.getUserPropertiesMap().getEntryList()),
    };
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      assert.equal((error as ConnectError).kind, 'retriable', String(error));
      await turn();
    }
  }
}
