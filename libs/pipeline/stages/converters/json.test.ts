import assert from 'node:assert/strict';
import { type Converter, DataError, type Field, LogicalName, type Schema, Schemas, type Static } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { jsonConverter, rocketmqJsonConverter } from './json.ts';

type Config = Static<(typeof jsonConverter)['config']>;
const defaults: Config = {
  'schemas.enable': true,
  'schemas.cache.size': 1000,
  'decimal.format': 'BASE64',
  'replace.null.with.default': true,
};
const converter = (config: Partial<Config> = {}): Converter => jsonConverter.create({ ...defaults, ...config })(false);
const envelope = converter();
const plain = converter({ 'schemas.enable': false });
const text = (bytes: Buffer | null): string => (bytes === null ? 'null' : bytes.toString('utf8'));

const decimal = (scale: number): Schema => ({ type: 'bytes', name: LogicalName.decimal, version: 1, parameters: { scale: String(scale) } });
const date: Schema = { type: 'int32', name: LogicalName.date, version: 1 };
const time: Schema = { type: 'int32', name: LogicalName.time, version: 1 };
const timestamp: Schema = { type: 'int64', name: LogicalName.timestamp, version: 1 };

describe('S108: JsonConverter with schemas', () => {
  // The texts are those of Kafka Connect's JsonConverter.
  const table: readonly (readonly [Schema, unknown, string])[] = [
    [Schemas.boolean, true, '{"schema":{"type":"boolean","optional":false},"payload":true}'],
    [{ type: 'int8' }, -128, '{"schema":{"type":"int8","optional":false},"payload":-128}'],
    [Schemas.int64, 4398046511104n, '{"schema":{"type":"int64","optional":false},"payload":4398046511104}'],
    [Schemas.int64, 9223372036854775807n, '{"schema":{"type":"int64","optional":false},"payload":9223372036854775807}'],
    [{ type: 'float32' }, 12.5, '{"schema":{"type":"float","optional":false},"payload":12.5}'],
    [Schemas.float64, 1e300, '{"schema":{"type":"double","optional":false},"payload":1e+300}'],
    [Schemas.bytes, Buffer.from('test-string'), '{"schema":{"type":"bytes","optional":false},"payload":"dGVzdC1zdHJpbmc="}'],
    [Schemas.string, 'a"b', '{"schema":{"type":"string","optional":false},"payload":"a\\"b"}'],
    [Schemas.optionalString, null, '{"schema":{"type":"string","optional":true},"payload":null}'],
    [
      { type: 'array', values: { type: 'int32' } },
      [1, 2],
      '{"schema":{"type":"array","items":{"type":"int32","optional":false},"optional":false},"payload":[1,2]}',
    ],
    [
      { type: 'map', keys: Schemas.string, values: Schemas.int32 },
      new Map([['key1', 12]]),
      '{"schema":{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"int32","optional":false},"optional":false},"payload":{"key1":12}}',
    ],
    [
      { type: 'map', keys: Schemas.int32, values: Schemas.int32 },
      new Map([[1, 12]]),
      '{"schema":{"type":"map","keys":{"type":"int32","optional":false},"values":{"type":"int32","optional":false},"optional":false},"payload":[[1,12]]}',
    ],
    [
      { type: 'struct', name: 'Point', version: 2, doc: 'd', fields: [{ name: 'x', schema: { type: 'int32', default: 7 } }] },
      { x: 1 },
      '{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"default":7,"field":"x"}],"optional":false,"name":"Point","version":2,"doc":"d"},"payload":{"x":1}}',
    ],
    [
      decimal(2),
      '1.56',
      '{"schema":{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}},"payload":"AJw="}',
    ],
    [
      date,
      new Date(10000 * 86_400_000),
      '{"schema":{"type":"int32","optional":false,"name":"org.apache.kafka.connect.data.Date","version":1},"payload":10000}',
    ],
    [
      time,
      new Date(14_400_000),
      '{"schema":{"type":"int32","optional":false,"name":"org.apache.kafka.connect.data.Time","version":1},"payload":14400000}',
    ],
    [
      timestamp,
      new Date(4_000_000_000),
      '{"schema":{"type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","version":1},"payload":4000000000}',
    ],
  ];
  for (const [schema, value, json] of table) {
    it(`writes and reads ${json}`, () => {
      assert.equal(text(envelope.fromConnect('t', schema, value)), json);
      assert.deepEqual(envelope.toConnect('t', Buffer.from(json)), { schema, value });
    });
  }

  it('writes and reads values without a schema', () => {
    assert.equal(text(envelope.fromConnect('t', undefined, { a: [1, 'x', null] })), '{"schema":null,"payload":{"a":[1,"x",null]}}');
    assert.deepEqual(envelope.toConnect('t', Buffer.from('{"schema":null,"payload":{"a":[1.50]}}')), { value: { a: [1.5] } });
    assert.equal(envelope.fromConnect('t', undefined, null), null);
    assert.deepEqual(envelope.toConnect('t', null), { value: null });
  });

  it('writes decimals as numbers where that is chosen, and reads both', () => {
    const numeric = converter({ 'decimal.format': 'numeric' });
    const json = text(numeric.fromConnect('t', decimal(3), '-12345678901234567890.10'));
    assert.match(json, /"payload":-12345678901234567890\.100}$/);
    assert.equal(numeric.toConnect('t', Buffer.from(json)).value, '-12345678901234567890.100');
    assert.equal(numeric.toConnect('t', envelope.fromConnect('t', decimal(3), '1.5')).value, '1.500');
    assert.equal(envelope.toConnect('t', Buffer.from(json.replace(/payload":.*/, 'payload":1.5e1}'))).value, '15.000');
  });

  it('fills null fields with their defaults, unless that is switched off', () => {
    const schema: Schema = { type: 'struct', fields: [{ name: 'a', schema: { type: 'int32', optional: true, default: 5 } }] };
    assert.match(text(envelope.fromConnect('t', schema, { a: null })), /"payload":\{"a":5\}/);
    const strict = converter({ 'replace.null.with.default': false });
    const json = text(strict.fromConnect('t', schema, {}));
    assert.match(json, /"payload":\{"a":null\}/);
    assert.deepEqual(envelope.toConnect('t', Buffer.from(json)).value, { a: 5 });
    assert.deepEqual(strict.toConnect('t', Buffer.from(json)).value, { a: null });
  });

  it('reads payloads alone by schema.content', () => {
    const fixed = converter({ 'schema.content': '{"type":"struct","fields":[{"type":"int64","field":"id"}]}' });
    assert.deepEqual(fixed.toConnect('t', Buffer.from('{"id":5}')).value, { id: 5n });
  });

  it('gives equal schemas of messages as one object', () => {
    const bytes = Buffer.from('{ "schema": {"type":"int32"}, "payload": 1 }');
    const compact = Buffer.from('{"schema":{"type":"int32"},"payload":1}');
    assert.equal(envelope.toConnect('t', bytes).schema, envelope.toConnect('t', compact).schema);
    assert.equal(envelope.toConnect('t', compact).schema, envelope.toConnect('t', compact).schema);
  });

  it('does not take a longer message for one that it knows', () => {
    const fresh = converter();
    assert.equal(fresh.toConnect('t', Buffer.from('{"schema":{"type":"int32"},"payload":1}')).value, 1);
    for (const json of [
      '{"schema":{"type":"int32"},"payload":1,"more":2}',
      '{"schema":{"type":"int32"},"payload":}',
      '{"schema":{"type":"int32"},"payload":"1"}',
    ]) {
      assert.throws(() => fresh.toConnect('t', Buffer.from(json)), DataError);
    }
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    ['no JSON', '{"a":', /a message of t is not JSON/],
    ['no UTF-8', '\xff', /not JSON: it is not valid UTF-8/],
    ['no envelope', '{"a":1}', /requires "schema" and "payload" fields/],
    ['too many fields', '{"schema":null,"payload":1,"x":1}', /may not contain additional fields/],
    ['an unknown type', '{"schema":{"type":"uint8"},"payload":1}', /unknown schema type: uint8/],
    ['a struct without fields', '{"schema":{"type":"struct"},"payload":{}}', /must have a list "fields"/],
    ['another type', '{"schema":{"type":"int32"},"payload":"x"}', /expected int32, found string/],
    ['a fraction for an int', '{"schema":{"type":"int32"},"payload":1.5}', /expected int32, found number/],
    ['a number out of range', '{"schema":{"type":"int8"},"payload":128}', /128 is out of the range of int8/],
    ['an int64 out of range', '{"schema":{"type":"int64"},"payload":9223372036854775808}', /out of the range of int64/],
    ['null for required', '{"schema":{"type":"string","optional":false},"payload":null}', /Invalid null value for required STRING field/],
    ['a missing field', '{"schema":{"type":"struct","fields":[{"type":"string","field":"a"}]},"payload":{}}', /at a: Invalid null value/],
    ['bad base64', '{"schema":{"type":"bytes"},"payload":"%"}', /expected base64/],
  ];
  for (const [what, json, pattern] of bad) {
    it(`refuses ${what} as bad data`, () => {
      assert.throws(
        () => envelope.toConnect('t', Buffer.from(json, 'latin1')),
        (error) => error instanceof DataError && pattern.test(error.message),
      );
    });
  }

  it('refuses values that do not fit their schema, and never shows them', () => {
    const schema: Schema = { type: 'struct', fields: [{ name: 'a', schema: { type: 'array', values: Schemas.string } }] };
    for (const [value, pattern] of [
      [{ a: ['x', 5] }, /at a\[1\]: expected string, found number/],
      [{ a: 'secret' }, /at a: expected array, found string/],
      [{}, /at a: null value for field that is required/],
      [{ a: [Buffer.from([0xff])] }, /at a\[0\]: expected string, found object/],
      ['secret', /expected struct, found string/],
    ] as const) {
      assert.throws(
        () => envelope.fromConnect('t', schema, value),
        (error) => error instanceof DataError && pattern.test(error.message) && !error.message.includes('secret'),
      );
    }
    assert.throws(() => envelope.fromConnect('t', decimal(1), '1.55'), /more digits than its schema's scale/);
  });

  it('gives back what it took, for any schema and value', () => {
    const numeric = converter({ 'decimal.format': 'NUMERIC' });
    fc.assert(
      fc.property(schemaAndValue(2), ({ schema, value }) => {
        for (const each of [envelope, numeric]) {
          const read = each.toConnect('t', each.fromConnect('t', schema, value));
          assert.deepEqual(read.schema, schema);
          assert.deepEqual(read.value, value);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('S108: JsonConverter without schemas', () => {
  const table: readonly (readonly [unknown, string])[] = [
    ['x', '"x"'],
    [5, '5'],
    [-0.5, '-0.5'],
    [true, 'true'],
    [9007199254740993n, '9007199254740993'],
    [{ a: { b: [1, null] } }, '{"a":{"b":[1,null]}}'],
  ];
  for (const [value, json] of table) {
    it(`writes and reads ${json}`, () => {
      assert.equal(text(plain.fromConnect('t', undefined, value)), json);
      assert.deepEqual(plain.toConnect('t', Buffer.from(json)), { value });
    });
  }

  it('writes values under a schema alone', () => {
    const schema: Schema = {
      type: 'struct',
      fields: [
        { name: 'at', schema: timestamp },
        { name: 'line', schema: Schemas.string },
      ],
    };
    assert.equal(text(plain.fromConnect('t', schema, { at: new Date(5), line: Buffer.from('ä') })), '{"at":5,"line":"ä"}');
  });

  it('writes bytes, dates, maps and bigints, however deep', () => {
    const value = { b: [Buffer.from('hi')], d: new Date(7), m: new Map([['k', 2n ** 60n]]), n: new Map([[1, undefined]]), u: undefined };
    assert.equal(
      text(plain.fromConnect('t', undefined, value)),
      '{"b":["aGk="],"d":7,"m":{"k":1152921504606846976},"n":[[1,null]],"u":null}',
    );
  });

  it('refuses what JSON has no value for', () => {
    for (const value of [Number.NaN, { a: Infinity }, [() => 1], new Date(Number.NaN)]) {
      assert.throws(() => plain.fromConnect('t', undefined, value), DataError);
    }
  });

  it('gives any JSON back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.equal(
          text(plain.fromConnect('t', undefined, plain.toConnect('t', Buffer.from(JSON.stringify(value))).value)),
          JSON.stringify(value),
        );
      }),
    );
  });

  it('keeps a key named __proto__ an ordinary one', () => {
    const json = '{"__proto__":{"a":1.50},"b":12345678901234567890}';
    const { value } = plain.toConnect('t', Buffer.from(json));
    assert.equal(({} as { a?: unknown }).a, undefined);
    assert.equal(text(plain.fromConnect('t', undefined, value)), '{"__proto__":{"a":1.5},"b":12345678901234567890}');
  });
});

interface Pair {
  readonly schema: Schema;
  readonly value: unknown;
}

function schemaAndValue(depth: number): fc.Arbitrary<Pair> {
  const leaf = fc.oneof(...leaves());
  const any = depth === 0 ? leaf : fc.oneof({ arbitrary: leaf, weight: 2 }, ...nested(depth - 1));
  const wrapped = fc.tuple(any, fc.boolean(), fc.boolean());
  return wrapped.map(([pair, optional, isNull]) => {
    if (!optional) return pair;
    return { schema: { ...pair.schema, optional: true }, value: isNull ? null : pair.value };
  });
}

function leaves(): fc.Arbitrary<Pair>[] {
  const of = (schema: Schema, values: fc.Arbitrary<unknown>): fc.Arbitrary<Pair> => values.map((value) => ({ schema, value }));
  const number = fc.double().filter((value) => !Object.is(value, -0));
  return [
    of({ type: 'int8' }, fc.integer({ min: -128, max: 127 })),
    of({ type: 'int16' }, fc.integer({ min: -32768, max: 32767 })),
    of({ type: 'int32' }, fc.integer()),
    of({ type: 'int64' }, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    of({ type: 'float64' }, number),
    of({ type: 'boolean' }, fc.boolean()),
    of({ type: 'string' }, fc.string({ unit: 'binary' })),
    of(
      { type: 'bytes' },
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    ),
    of(
      date,
      fc.integer({ min: -1e6, max: 1e6 }).map((days) => new Date(days * 86_400_000)),
    ),
    of(
      time,
      fc.integer({ min: 0, max: 86_399_999 }).map((ms) => new Date(ms)),
    ),
    of(
      timestamp,
      fc.integer({ min: -8.64e15, max: 8.64e15 }).map((ms) => new Date(ms)),
    ),
    fc.tuple(fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n }), fc.integer({ min: 0, max: 12 })).map(([unscaled, scale]) => {
      const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
      const whole = digits.slice(0, digits.length - scale);
      const value = `${unscaled < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(-scale)}`}`;
      return { schema: decimal(scale), value };
    }),
  ];
}

function nested(depth: number): fc.Arbitrary<Pair>[] {
  const inner = schemaAndValue(depth);
  const name = fc.string({ minLength: 1, maxLength: 6 });
  return [
    inner.map(({ schema, value }) => ({ schema: { type: 'array', values: schema }, value: [value, value] })),
    fc.tuple(inner, fc.uniqueArray(fc.string(), { maxLength: 3 })).map(([{ schema, value }, keys]) => ({
      schema: { type: 'map', keys: Schemas.string, values: schema },
      value: new Map(keys.map((key) => [key, value])),
    })),
    fc.tuple(inner, fc.uniqueArray(fc.integer(), { maxLength: 3 })).map(([{ schema, value }, keys]) => ({
      schema: { type: 'map', keys: Schemas.int32, values: schema },
      value: new Map(keys.map((key) => [key, value])),
    })),
    fc.tuple(fc.uniqueArray(name, { maxLength: 3 }), fc.array(inner, { minLength: 3, maxLength: 3 })).map(([names, inners]) => {
      const pairs = names.map((each, at) => [each, inners[at] as Pair] as const);
      const fields: Field[] = pairs.map(([each, { schema }]) => ({ name: each, schema }));
      return { schema: { type: 'struct', fields }, value: Object.fromEntries(pairs.map(([each, { value }]) => [each, value])) };
    }),
  ];
}

describe('Topics that are shared with apache/rocketmq-connect', () => {
  // Written by its JsonConverter (commit 85da68c).
  const row =
    '{"schema":{"name":"row","doc":"a row","optional":true,"type":"struct","fields":[{"field":"i8","optional":true,"type":"int8"},' +
    '{"field":"i16","optional":true,"type":"int16"},{"field":"i32","optional":true,"type":"int32"},{"field":"i64","optional":true,' +
    '"type":"int64"},{"field":"f32","optional":true,"type":"float"},{"field":"f64","optional":true,"type":"double"},{"field":"b","' +
    'optional":true,"type":"boolean"},{"default":"d","field":"s","optional":true,"type":"string"},{"field":"by","optional":true,"t' +
    'ype":"bytes"},{"field":"n","optional":true,"type":"string"},{"field":"arr","optional":true,"type":"array","items":{"optional"' +
    ':true,"field":"i32","type":"int32"}},{"field":"map","keys":{"optional":true,"field":"n","type":"string"},"values":{"optional"' +
    ':true,"field":"i64","type":"int64"},"optional":true,"type":"map"},{"field":"dec","name":"io.openmessaging.connector.api.data.' +
    'logical.Decimal","optional":true,"type":"bytes","version":1,"parameters":{"scale":"2"}},{"field":"date","name":"io.openmessag' +
    'ing.connector.api.data.logical.Date","optional":true,"type":"int32","version":1},{"field":"time","name":"io.openmessaging.con' +
    'nector.api.data.logical.Time","optional":true,"type":"int32","version":1},{"field":"ts","name":"io.openmessaging.connector.ap' +
    'i.data.logical.Timestamp","optional":true,"type":"int64","version":1},{"field":"in","name":"inner","optional":true,"type":"st' +
    'ruct","fields":[{"optional":true,"field":"x","type":"float"}]}],"version":3},"payload":{"i8":1,"i16":2,"i32":3,"i64":90071992' +
    '54740993,"f32":1.5,"f64":2.25,"b":true,"s":"grün","by":"AAH/","n":null,"arr":[1,2],"map":{"k":7},"dec":"BNI=","date":3,"time"' +
    ':1234,"ts":1700000000123,"in":{"x":0.5}}}';
  const value = {
    i8: 1,
    i16: 2,
    i32: 3,
    i64: 9007199254740993n,
    f32: 1.5,
    f64: 2.25,
    b: true,
    s: 'grün',
    by: Buffer.from([0, 1, 255]),
    n: null,
    arr: [1, 2],
    map: new Map([['k', 7n]]),
    dec: '12.34',
    date: new Date(3 * 86_400_000),
    time: new Date(1_234),
    ts: new Date(1_700_000_000_123),
    in: { x: 0.5 },
  };
  const openMessaging = rocketmqJsonConverter.create(defaults)(false);

  it('are read with its schemas and logical types', () => {
    for (const reader of [envelope, openMessaging]) {
      const read = reader.toConnect('t', Buffer.from(row));
      assert.deepEqual(read.value, value);
      assert.deepEqual([read.schema?.name, read.schema?.version], ['row', 3]);
      const names = ['dec', 'date', 'time', 'ts'].map((name) => read.schema?.fields?.find((field) => field.name === name)?.schema.name);
      assert.deepEqual(names, [LogicalName.decimal, LogicalName.date, LogicalName.time, LogicalName.timestamp]);
    }
    assert.equal(
      envelope.toConnect('t', Buffer.from('{"schema":{"optional":true,"field":"n","type":"string"},"payload":"hello"}')).value,
      'hello',
    );
  });

  it('are written with the names of logical types that it knows', () => {
    const { schema } = openMessaging.toConnect('t', Buffer.from(row));
    const written = JSON.parse(text(openMessaging.fromConnect('t', schema, value))) as { schema: unknown; payload: unknown };
    assert.deepEqual(written.payload, (JSON.parse(row) as { payload: unknown }).payload);
    assert.match(JSON.stringify(written.schema), /"name":"io\.openmessaging\.connector\.api\.data\.logical\.Decimal"/);
    assert.doesNotMatch(JSON.stringify(written.schema), /org\.apache\.kafka/);
    assert.match(text(envelope.fromConnect('t', schema, value)), /"name":"org\.apache\.kafka\.connect\.data\.Decimal"/);
  });
});
