import assert from 'node:assert/strict';
import { property } from '@rocketmq-connect/message-log/message';
import type { Header } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { type FixedProperties, isText, RecordProperties, WrittenProperties } from './property-writer.ts';
import { copiedProperties, decodeProperties, encodeHeaders, NO_HEADERS, traceparentBesideId } from './record-properties.ts';
import { byteArrayConverter } from './stages/converters/byte-array.ts';
import { simpleHeaderConverter } from './stages/converters/simple-header.ts';

const bytes = byteArrayConverter.create({})(false);
const simple = simpleHeaderConverter.create({})(false);

function write(id: string | null, key: Buffer | null, timestamp: number | undefined, isNull: boolean, headers: readonly Header[]): Buffer {
  const properties = new RecordProperties();
  properties.set(id === null ? null : new WrittenProperties(Buffer.from(id)), key, timestamp, isNull, encodeHeaders(headers, bytes));
  return properties.copy().bytes;
}

const anyBytes = fc
  .oneof(
    fc.uint8Array(),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  )
  .map((array) => Buffer.from(array));
const name = fc
  .oneof(
    fc.string({ minLength: 1, unit: 'grapheme' }),
    fc.constantFrom('KEYS', 'TAGS', 'DELAY', 'rmqc.id', '__SHARDINGKEY', 'connect-ext-a', 'connect.timestamp', 'a'),
  )
  .filter((text) => !text.includes('\x01') && !text.includes('\x02') && text.isWellFormed());

describe('record properties', () => {
  it('come back as they were: key, timestamp, null, headers of any name and value', () => {
    fc.assert(
      fc.property(
        fc.option(fc.stringMatching(/^[a-z0-9.~]{1,30}$/)),
        fc.option(anyBytes),
        fc.option(fc.integer(), { nil: undefined }),
        fc.boolean(),
        fc.array(fc.tuple(name, anyBytes), { maxLength: 5 }),
        (id, key, timestamp, isNull, headers) => {
          const written = write(
            id,
            key,
            timestamp,
            isNull,
            headers.map(([name, value]) => ({ name, value })),
          );
          const padded = Buffer.concat([Buffer.from('before'), written, Buffer.from('\x02after')]);
          const decoded = decodeProperties(padded, 6, 6 + written.length, bytes);
          // A record without a key has its KEYS for one, as in apache/rocketmq-connect.
          const keys = key === null ? headers.find(([name]) => name === 'KEYS') : undefined;
          const expectedKey = keys !== undefined && isText(keys[1]) ? keys[1] : key;
          assert.deepEqual([decoded.key, decoded.timestamp, decoded.isNull], [expectedKey, timestamp, isNull]);
          assert.deepEqual(
            decoded.headers.map(({ name, value }) => [name, (value as Buffer).toString('hex')]).sort(),
            headers
              .filter((header) => header[1] !== expectedKey)
              .map(([name, value]) => [name, value.toString('hex')])
              .sort(),
          );
          assert.equal(property(written.toString('utf8'), 'rmqc.id') ?? null, id);
          assert.equal(
            traceparentBesideId(padded, 6, 6 + written.length) === 0,
            key === null && timestamp === undefined && !isNull && headers.length === 0,
          );
        },
      ),
    );
  });

  it('S149: a key that is text is KEYS, readable by everybody; other bytes are base64', () => {
    assert.equal(write(null, Buffer.from('käse 1'), undefined, false, []).toString(), 'KEYS\x01käse 1\x02');
    assert.equal(write(null, Buffer.from([0xff]), undefined, false, []).toString(), 'rmqc.k64\x01/w==\x02');
    assert.equal(write(null, Buffer.from('a\x02b'), undefined, false, []).toString(), 'rmqc.k64\x01YQJi\x02');
  });

  it('headers are properties; what would mean something to RocketMQ is kept from it', () => {
    const { text } = encodeHeaders(
      [
        { name: 'trace', value: 'x' },
        { name: 'TAGS', value: 't' },
        { name: 'DELAY', value: '3' },
        { name: 'trace', value: 7 },
        { name: 'none', value: null },
      ],
      simple,
    );
    assert.equal(text, 'trace\x01x\x02TAGS\x01t\x02rmqc.h64.2:DELAY\x01Mw==\x02rmqc.h64.3:trace\x01Nw==\x02none\x01null\x02');
  });

  it('of a message that came by the proxy of RocketMQ, an empty tag is none', () => {
    const sent = Buffer.from('TAGS\x01\x02a\x01b\x02');
    assert.deepEqual(
      decodeProperties(sent, 0, sent.length, simple).headers.map(({ name }) => name),
      ['a'],
    );
  });

  it('of a broker, names of its own are no headers', () => {
    const stored = Buffer.from('UNIQ_KEY\x01AC1\x02CLUSTER\x01D\x02h\x01v\x02TAGS\x01t\x02WAIT\x01true\x02KEYS\x01k');
    const { headers, key } = decodeProperties(stored, 0, stored.length, simple);
    assert.deepEqual([headers.map((header) => header.name), key?.toString()], [['h', 'TAGS'], 'k']);
    assert.equal(copiedProperties(`${stored}\x02rmqc.id\x01i\x02`), 'h\x01v\x02TAGS\x01t\x02KEYS\x01k\x02');
  });

  describe('of RocketMQ itself', () => {
    const key = Buffer.from('k');

    function written(fixed: FixedProperties, headers: readonly Header[], recordKey: Buffer | null = key): string {
      const properties = new RecordProperties(fixed);
      properties.set(null, recordKey, undefined, false, encodeHeaders(headers, simple));
      return properties.copy().bytes.toString();
    }
    const none: FixedProperties = { tags: '', groupByKey: false };

    it('S149: tags are those of the connector, unless a record has its own in the header TAGS', () => {
      const orders = { tags: 'orders', groupByKey: false };
      assert.equal(written(orders, []), 'KEYS\x01k\x02TAGS\x01orders\x02');
      assert.equal(written(orders, [{ name: 'TAGS', value: 'paid' }]), 'KEYS\x01k\x02TAGS\x01paid\x02');
      assert.equal(written(orders, [{ name: 'TAGS', value: null }]), 'KEYS\x01k\x02');
      assert.equal(written(none, []), 'KEYS\x01k\x02');
    });

    it('S149: several keys are the header KEYS, a text or a list; the record key then travels beside them', () => {
      for (const value of ['order-1 user-7', ['order-1', 'user-7']]) {
        const text = written(none, [{ name: 'KEYS', value }]);
        assert.equal(text, 'rmqc.k64\x01aw==\x02KEYS\x01order-1 user-7\x02');
        const decoded = decodeProperties(Buffer.from(text), 0, text.length, simple);
        assert.deepEqual([decoded.key?.toString(), decoded.headers.map((header) => header.name)], ['k', ['KEYS']]);
      }
      assert.equal(written(none, [{ name: 'KEYS', value: 'a b' }], null), 'KEYS\x01a b\x02');
    });

    it('the message group is the key where the connector says so, or what the header __SHARDINGKEY says', () => {
      const byKey = { tags: '', groupByKey: true };
      assert.equal(written(byKey, []), 'KEYS\x01k\x02__SHARDINGKEY\x01k\x02');
      assert.equal(written(byKey, [], Buffer.from([0xff])), 'rmqc.k64\x01/w==\x02__SHARDINGKEY\x01/w==\x02');
      assert.equal(written(byKey, [], null), '');
      assert.equal(written(byKey, [{ name: '__SHARDINGKEY', value: 'g' }]), 'KEYS\x01k\x02__SHARDINGKEY\x01g\x02');
      assert.equal(encodeHeaders([{ name: '__SHARDINGKEY', value: 'g' }], simple).group, 'g');
      const text = written(byKey, []);
      assert.deepEqual(decodeProperties(Buffer.from(text), 0, text.length, simple).headers, [
        { name: '__SHARDINGKEY', ...simple.toConnect('', key) },
      ]);
    });

    it('a delay is taken out of the headers, and must be one', () => {
      const delay = (value: unknown) => encodeHeaders([{ name: 'rocketmq.delay.ms', value }], simple);
      for (const value of [5000, 5000n, '5000', Buffer.from('5000')]) assert.deepEqual(delay(value), { ...NO_HEADERS, delayMs: 5000 });
      for (const value of ['', 'soon', -1, 1.5, null, 2 ** 60]) {
        assert.throws(() => delay(value), { kind: 'data', code: 'DELAY_INVALID', field: 'rocketmq.delay.ms' }, String(value));
      }
    });
  });

  it('of apache/rocketmq-connect: its timestamp, its extensions, and what the client adds', () => {
    const stored = Buffer.from(
      'KEYS\x01k\x02connect.timestamp\x0117\x02connect-ext-host\x01h1\x02TAGS\x01t\x02UNIQ_KEY\x01AC1\x02WAIT\x01true\x02TRACE_ON\x01true\x02',
    );
    const { key, timestamp, headers } = decodeProperties(stored, 0, stored.length, simple);
    assert.deepEqual([key?.toString(), timestamp], ['k', 17]);
    assert.deepEqual(
      headers.map(({ name, value }) => [name, value]),
      [
        ['host', 'h1'],
        ['TAGS', 't'],
      ],
    );
    const odd = Buffer.from('connect.timestamp\x01yesterday\x02');
    assert.equal(decodeProperties(odd, 0, odd.length, simple).timestamp, undefined);
  });

  it('a name that no property can have is a bad record', () => {
    assert.throws(() => encodeHeaders([{ name: 'a\x01b', value: 'x' }], simple), { code: 'HEADER_NAME_INVALID' });
    assert.throws(() => encodeHeaders([{ name: '', value: 'x' }], simple), { code: 'HEADER_NAME_INVALID' });
  });
});
