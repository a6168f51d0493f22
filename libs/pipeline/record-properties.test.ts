import assert from 'node:assert/strict';
import { property } from '@rocketmq-connect/message-log/message';
import type { Header } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { RecordProperties, WrittenProperties } from './property-writer.ts';
import { copiedProperties, decodeProperties, encodeHeaders, hasOnlyAnId } from './record-properties.ts';
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
  .oneof(fc.string({ minLength: 1, unit: 'grapheme' }), fc.constantFrom('KEYS', 'TAGS', 'DELAY', 'rmqc.id', '__SHARDINGKEY', 'a'))
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
          assert.deepEqual([decoded.key, decoded.timestamp, decoded.isNull], [key, timestamp, isNull]);
          assert.deepEqual(
            decoded.headers.map(({ name, value }) => [name, (value as Buffer).toString('hex')]).sort(),
            headers.map(([name, value]) => [name, value.toString('hex')]).sort(),
          );
          assert.equal(property(written.toString('utf8'), 'rmqc.id') ?? null, id);
          assert.equal(
            hasOnlyAnId(padded, 6, 6 + written.length),
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
    const text = encodeHeaders(
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

  it('of a broker, names of its own are no headers', () => {
    const stored = Buffer.from('UNIQ_KEY\x01AC1\x02CLUSTER\x01D\x02h\x01v\x02TAGS\x01t\x02WAIT\x01true\x02KEYS\x01k');
    const { headers, key } = decodeProperties(stored, 0, stored.length, simple);
    assert.deepEqual([headers.map((header) => header.name), key?.toString()], [['h', 'TAGS'], 'k']);
    assert.equal(copiedProperties(`${stored}\x02rmqc.id\x01i\x02`), 'h\x01v\x02TAGS\x01t\x02KEYS\x01k\x02');
  });

  it('a name that no property can have is a bad record', () => {
    assert.throws(() => encodeHeaders([{ name: 'a\x01b', value: 'x' }], simple), { code: 'HEADER_NAME_INVALID' });
    assert.throws(() => encodeHeaders([{ name: '', value: 'x' }], simple), { code: 'HEADER_NAME_INVALID' });
  });
});
