import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { JavaClient, type JavaFound } from './support/java-client.ts';
import { readRecords, sendRecords } from './support/real-task.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';

/** Another in each test: what comes late for one is not read by the next. */
let topic = '';
const LARGE = Array.from({ length: 800 }, (_, i) => `line ${i} grün`).join('; ');

describe('Messages of the official Java client and ours', function () {
  this.timeout(60_000);
  let java: JavaClient;
  let log: MessageLog;
  let queues: readonly QueueAddress[];

  before(async function () {
    this.timeout(600_000);
    await useRocketmq(this);
    java = await JavaClient.start(rocketmq.nameServer);
  });
  after(() => java?.stop());
  beforeEach(async () => {
    const connection = { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: 'interop' } as const;
    log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    topic = `interop-${randomUUID()}`;
    ({ queues } = await log.createTopic(topic, { queues: 4 }));
  });
  afterEach(async () => {
    await log.deleteTopic(topic);
    await log.close();
  });

  describe('ours, read by it', () => {
    it('S149: have bodies, keys, tags, groups, timestamps and headers', async () => {
      await sendRecords(
        log,
        [
          { topic, key: 'k-1', value: 'plain', timestamp: 1_700_000_000_123 },
          { topic, key: 'k-1', value: Buffer.from([0, 255, 1, 2]), headers: [{ name: 'trace', value: 'grün' }] },
          {
            topic,
            key: 'k-1',
            value: 'own',
            headers: [
              { name: 'TAGS', value: 'paid' },
              { name: 'KEYS', value: ['a', 'b'] },
            ],
          },
          { topic, key: 'k-1', value: null },
        ],
        { 'rocketmq.tags': 'orders', 'rocketmq.message.group': 'key' },
      );
      const found = await java.consume(topic, 4);
      const [plain, binary, own, nothing] = found;
      assert.deepEqual([plain?.body.toString(), plain?.keys, plain?.tags], ['plain', 'k-1', 'orders']);
      assert.deepEqual(pick(plain, 'connect.timestamp', '__SHARDINGKEY'), { 'connect.timestamp': '1700000000123', __SHARDINGKEY: 'k-1' });
      assert.deepEqual([binary?.body, pick(binary, 'trace')], [Buffer.from([0, 255, 1, 2]), { trace: 'grün' }]);
      assert.deepEqual([own?.keys, own?.tags], ['a b', 'paid']);
      assert.deepEqual([nothing?.body.length, pick(nothing, 'rmqc.null')], [0, { 'rmqc.null': '1' }]);
      assert.equal(new Set(found.map(({ queue }) => queue)).size, 1, 'one key, one queue');
    });

    it('are in the queue that it chooses for a key', async () => {
      const keys = ['order-1', 'order-2', 'a', 'zebra', 'The quick brown fox', '0', '99999999'];
      await sendRecords(
        log,
        keys.map((key) => ({ topic, key, value: key })),
      );
      // SelectMessageQueueByHash over 4 queues: String.hashCode() of jshell.
      const hashes = [-1207111310, -1207111309, 97, 115776262, -1739336029, 48, 1290300544];
      const expected = Object.fromEntries(keys.map((key, i) => [key, Math.abs((hashes[i] ?? 0) % 4)]));
      const found = await java.consume(topic, keys.length);
      assert.deepEqual(Object.fromEntries(found.map(({ keys: key, queue }) => [key, queue])), expected);
    });

    it('S149: are delivered when they are due', async () => {
      const delayed = [{ name: 'rocketmq.delay.ms', value: 2_500 }];
      await sendRecords(log, [
        { topic, key: 'k', value: 'later', headers: [...delayed, { name: 'h', value: 'v' }] },
        { topic, key: 'k', value: 'now' },
      ]);
      const [now, later] = await java.consume(topic, 2);
      assert.deepEqual([now?.body.toString(), later?.body.toString()], ['now', 'later']);
      assert.deepEqual([later?.keys, pick(later, 'h')], ['k', { h: 'v' }]);
      const delayMs = (later?.storedAtMs ?? 0) - (now?.storedAtMs ?? 0);
      assert.ok(delayMs >= 1_000, `${delayMs} ms`);
    });

    it('S149: that are to be delivered in a year are bad records', async () => {
      const records = [
        { topic, value: 'a', headers: [{ name: 'rocketmq.delay.ms', value: 366 * 86_400_000 }] },
        { topic, value: 'b' },
      ];
      const failed = await sendRecords(log, records);
      assert.deepEqual([failed.error?.code, failed.error?.field], ['DELAY_TOO_LONG', 'rocketmq.delay.ms']);
      const { counters } = await sendRecords(log, records, { 'errors.tolerance': 'all' });
      assert.deepEqual([counters?.skipped, counters?.acknowledged], [1, 1]);
    });
  });

  describe('its, read by us', () => {
    it('S149: have bodies, keys, tags and properties', async () => {
      const properties = { trace: 'grün', number: '42' };
      await java.produce(topic, [{ body: 'plain' }, { body: Buffer.from([0, 255, 1, 2]), keys: 'k1 k2', tags: 'paid', properties }]);
      const bytes = { 'value.converter': 'ByteArrayConverter', 'header.converter': 'StringConverter' };
      const [plain, full] = await readRecords(log, queues, 2, bytes);
      assert.deepEqual([plain?.value, plain?.key, plain?.headers], [Buffer.from('plain'), undefined, undefined]);
      assert.deepEqual([full?.value, full?.key], [Buffer.from([0, 255, 1, 2]), 'k1 k2']);
      const headers = Object.fromEntries(full?.headers?.map(({ name, value }) => [name, value]) ?? []);
      assert.deepEqual(headers, { ...properties, TAGS: 'paid' });
    });

    for (const compression of ['ZLIB', 'LZ4', 'ZSTD'] as const) {
      it(`are decompressed: ${compression}`, async () => {
        await java.produce(topic, [{ body: LARGE, keys: 'k' }, { body: 'small' }], { compression });
        const records = await readRecords(log, queues, 2);
        assert.deepEqual(
          records.map(({ key, value }) => [key, value]),
          [
            ['k', LARGE],
            [undefined, 'small'],
          ],
        );
      });
    }

    it('may be batches', async () => {
      const messages = Array.from({ length: 100 }, (_, i) => ({ body: `line ${i}`, keys: `k${i}`, tags: i % 2 === 0 ? 'even' : 'odd' }));
      await java.produce(topic, messages, { batch: true });
      const records = await readRecords(log, queues, 100);
      assert.deepEqual(
        records.map(({ key, value }) => `${key} ${value}`),
        messages.map(({ keys, body }) => `${keys} ${body}`),
      );
      const even = await readRecords(log, queues, 50, { 'rocketmq.tag.expression': 'even' });
      assert.deepEqual(
        even.map(({ value }) => value),
        messages.filter(({ tags }) => tags === 'even').map(({ body }) => body),
      );
    });

    it('may be delivered later', async () => {
      await java.produce(topic, [{ body: 'later', keys: 'k', delayMs: 1_500, properties: { h: 'v' } }, { body: 'now' }]);
      const [now, later] = await readRecords(log, queues, 2);
      assert.deepEqual([now?.value, later?.value, later?.key], ['now', 'later', 'k']);
      assert.deepEqual(
        later?.headers?.map(({ name, value }) => [name, value]),
        [['h', 'v']],
      );
    });
  });

  // What WorkerSourceTask of apache/rocketmq-connect (commit 85da68c) makes of a record: body = converted value, KEYS = converted key,
  // extensions as properties connect-ext-*, but KEYS and TAGS.
  it('records of apache/rocketmq-connect are whole in our sinks', async () => {
    const row =
      '{"schema":{"optional":true,"name":"row","type":"struct","fields":[{"field":"id","optional":true,"type":"int64"}]},"payload":{"id":7}}';
    const properties = { 'connect.timestamp': '1700000000123', 'connect-ext-host': 'h1', 'connect-ext-topic': topic };
    await java.produce(topic, [{ body: row, keys: '{"schema":null,"payload":"k"}', tags: 't', properties }]);
    const json = 'org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter';
    const [record] = await readRecords(log, queues, 1, { 'key.converter': json, 'value.converter': json });
    assert.deepEqual([record?.key, record?.value, record?.timestamp], ['k', { id: 7n }, 1_700_000_000_123]);
    assert.deepEqual(Object.fromEntries(record?.headers?.map(({ name, value }) => [name, value]) ?? []), {
      host: 'h1',
      topic,
      TAGS: 't',
    });
  });
});

function pick(found: JavaFound | undefined, ...names: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, found?.properties[name]]));
}
