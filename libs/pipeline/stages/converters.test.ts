import assert from 'node:assert/strict';
import { DataError, Schemas } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { createCatalogue } from '../plugins/catalogue.ts';
import { builtInStages } from './built-in.ts';
import { createConverters } from './converters.ts';

const catalogue = createCatalogue(builtInStages.map((plugin) => ({ plugin, location: 'test' })));
const broken = Buffer.from([0x61, 0xff, 0x62]);

describe('createConverters', () => {
  it('has text for keys and values by default', () => {
    const { key, value } = createConverters({}, catalogue);
    assert.deepEqual(key.toConnect('t', Buffer.from('k')), { schema: Schemas.optionalString, value: 'k' });
    assert.deepEqual(value.fromConnect('t', Schemas.string, 'ä'), Buffer.from('ä'));
  });

  it('S098: takes the converters and their keys from the configuration', () => {
    const { key, value } = createConverters(
      {
        'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
        'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
        'value.converter.schemas.enable': 'false',
      },
      catalogue,
    );
    assert.equal(value.fromConnect('t', Schemas.string, 'x')?.toString(), '"x"');
    assert.equal(key.fromConnect('t', Schemas.string, 'x')?.toString(), 'x');
  });

  for (const [name, more] of [
    ['StringConverter', {}],
    ['ByteArrayConverter', {}],
    ['JsonConverter', { 'value.converter.schemas.enable': 'true' }],
    ['JsonConverter', { 'value.converter.schemas.enable': 'false' }],
  ] as const) {
    it(`S098: lines go through ${name} ${JSON.stringify(more)} and reappear`, () => {
      const { value } = createConverters({ 'value.converter': name, ...more }, catalogue);
      for (const line of ['', 'a line', 'ünï', '{"json":1}']) {
        const read = value.toConnect('t', value.fromConnect('t', Schemas.string, Buffer.from(line)));
        assert.equal(String(read.value), line);
      }
    });
  }

  it('names the key of a converter that does not exist, or is configured wrongly', () => {
    assert.throws(() => createConverters({ 'value.converter': 'Nope' }, catalogue), { kind: 'config', field: 'value.converter' });
    const config = { 'value.converter': 'JsonConverter', 'value.converter.schemas.enable': 'perhaps' };
    assert.throws(() => createConverters(config, catalogue), { kind: 'config', field: 'value.converter.schemas.enable' });
  });
});

describe('StringConverter', () => {
  const { value: strings } = createConverters({}, catalogue);
  const { value: buffers, key } = createConverters({}, catalogue, { textAsBuffer: true });

  it('passes Buffers through untouched, broken UTF-8 too', () => {
    assert.equal(strings.fromConnect('t', Schemas.string, broken), broken);
    assert.deepEqual(buffers.toConnect('t', broken), { schema: Schemas.optionalString, value: broken });
    assert.equal(buffers.toConnect('t', broken).value, broken);
  });

  it('gives Buffers for values only', () => assert.equal(key.toConnect('t', Buffer.from('k')).value, 'k'));

  it('refuses to mangle what is not UTF-8', () => {
    assert.throws(
      () => strings.toConnect('t', broken),
      (error) => error instanceof DataError && /ByteArrayConverter/.test(error.remedy ?? ''),
    );
  });

  it('writes other values as JSON, and null as a tombstone', () => {
    assert.equal(strings.fromConnect('t', Schemas.int64, 5n)?.toString(), '5');
    assert.equal(strings.fromConnect('t', undefined, { a: 2n ** 60n })?.toString(), '{"a":1152921504606846976}');
    assert.equal(strings.fromConnect('t', Schemas.optionalString, null), null);
    assert.deepEqual(strings.toConnect('t', null), { schema: Schemas.optionalString, value: null });
  });
});

describe('ByteArrayConverter', () => {
  const { value } = createConverters({ 'value.converter': 'ByteArrayConverter' }, catalogue);

  it('passes bytes through untouched', () => {
    assert.equal(value.fromConnect('t', Schemas.bytes, broken), broken);
    assert.equal(value.toConnect('t', broken).value, broken);
    assert.deepEqual(value.fromConnect('t', Schemas.bytes, new Uint8Array([1, 2, 3]).subarray(1)), Buffer.from([2, 3]));
  });

  it('refuses what is not bytes', () => assert.throws(() => value.fromConnect('t', Schemas.string, 'x'), DataError));
});

describe('S108: SimpleHeaderConverter', () => {
  const { header } = createConverters({}, catalogue);
  const read = (text: string) => header.toConnect('h', Buffer.from(text));

  for (const [text, type, value] of [
    ['x', 'string', 'x'],
    ['', 'string', ''],
    ['true', 'boolean', true],
    ['127', 'int8', 127],
    ['-129', 'int16', -129],
    ['70000', 'int32', 70000],
    ['5000000000', 'int64', 5000000000n],
    ['1.5', 'float64', 1.5],
    ['007', 'string', '007'],
    ['1.10', 'string', '1.10'],
    ['99999999999999999999', 'string', '99999999999999999999'],
    ['"quoted"', 'string', '"quoted"'],
    ['[1, 2]', 'string', '[1, 2]'],
    ['{broken', 'string', '{broken'],
  ] as const) {
    it(`reads ${JSON.stringify(text)} as ${type}`, () => assert.deepEqual(read(text), { schema: { type }, value }));
  }

  it('reads structures and null without a schema, and bytes as bytes', () => {
    assert.deepEqual(read('{"a":[1]}'), { value: { a: [1] } });
    assert.deepEqual(read('null'), { value: null });
    assert.deepEqual(header.toConnect('h', broken), { schema: Schemas.optionalBytes, value: broken });
    assert.deepEqual(header.toConnect('h', null), { value: null });
  });

  it('writes any text again that it has read', () => {
    const numbers = fc.oneof(fc.integer().map(String), fc.double().map(String), fc.bigInt().map(String), fc.json());
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), numbers), (text) => {
        fc.pre(text !== 'null');
        const { schema, value } = read(text);
        assert.equal(header.fromConnect('h', schema, value)?.toString(), text);
      }),
    );
  });
});
