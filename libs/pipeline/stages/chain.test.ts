import assert from 'node:assert/strict';
import {
  ConfigError,
  type ConnectRecord,
  DataError,
  defineTransform,
  LogicalName,
  type Schema,
  Schemas,
  type SinkRecord,
  Type,
} from '@rocketmq-connect/sdk';
import { createCatalogue } from '../plugins/catalogue.ts';
import { builtInStages } from './built-in.ts';
import { createChain } from './chain.ts';

const empty = Type.Object({});
const split = defineTransform({
  name: 'Split',
  version: '1',
  config: empty,
  create: () => ({
    apply: (record) =>
      String(record.value)
        .split(' ')
        .map((value) => ({ ...record, value })),
  }),
});
const later = defineTransform({
  name: 'Later',
  version: '1',
  config: empty,
  create: () => ({ apply: async (record) => (record.value === 'drop' ? null : { ...record, value: `${record.value}!` }) }),
});
let closed = 0;
const closing = defineTransform({
  name: 'Closing',
  version: '1',
  config: empty,
  create: () => ({ apply: (record) => record, close: () => void closed++ }),
});
const catalogue = createCatalogue([...builtInStages, split, later, closing].map((plugin) => ({ plugin, location: 'test' })));

/** A chain of the given stages: `{alias: {type, ...}}`. */
function chain(transforms: Record<string, Record<string, string>>, predicates: Record<string, Record<string, string>> = {}) {
  const config: Record<string, string> = { transforms: Object.keys(transforms).join(','), predicates: Object.keys(predicates).join(',') };
  for (const [kind, stages] of Object.entries({ transforms, predicates })) {
    for (const [alias, keys] of Object.entries(stages)) {
      for (const [key, value] of Object.entries(keys)) config[`${kind}.${alias}.${key}`] = value;
    }
  }
  return createChain(config, catalogue);
}

const line: ConnectRecord = { topic: 'lines', value: 'hello', valueSchema: Schemas.string, timestamp: 1_700_000_000_000 };

describe('TransformChain', () => {
  it('is empty without transforms, and gives the record itself', () => {
    const none = createChain({ transforms: ' ' }, catalogue);
    assert.equal(none.empty, true);
    assert.equal(none.apply(line), line);
  });

  it('S097: hoists a line and inserts its timestamp, schema and value exactly', () => {
    const hoistAndStamp = chain({
      hoist: { type: 'org.apache.kafka.connect.transforms.HoistField$Value', field: 'content' },
      stamp: { type: 'org.apache.kafka.connect.transforms.InsertField$Value', 'timestamp.field': 'at!' },
    });
    const schema: Schema = {
      type: 'struct',
      fields: [
        { name: 'content', schema: Schemas.string },
        { name: 'at', schema: { type: 'int64', name: LogicalName.timestamp, version: 1 } },
      ],
    };
    const first = hoistAndStamp.apply(line) as ConnectRecord;
    assert.deepEqual(first, { ...line, valueSchema: schema, value: { content: 'hello', at: new Date(1_700_000_000_000) } });
    const second = hoistAndStamp.apply({ ...line, value: 'again' }) as ConnectRecord;
    assert.equal(second.valueSchema, first.valueSchema, 'the schema is made once');
  });

  it('S097: does the same without a schema', () => {
    const { valueSchema: _, ...schemaless } = line;
    const hoistAndStamp = chain({
      hoist: { type: 'HoistField$Value', field: 'content' },
      stamp: { type: 'InsertField$Value', 'timestamp.field': 'at', 'static.field': 'from', 'static.value': 'here' },
    });
    assert.deepEqual(hoistAndStamp.apply(schemaless), { ...schemaless, value: { content: 'hello', at: 1_700_000_000_000, from: 'here' } });
  });

  it('decodes text for transforms where it is valid UTF-8, and leaves other bytes alone', () => {
    const hoist = chain({ hoist: { type: 'HoistField$Value', field: 'content' } });
    const contentOf = (value: Buffer) => ((hoist.apply({ ...line, value }) as ConnectRecord).value as { content: unknown }).content;
    assert.equal(contentOf(Buffer.from('hä')), 'hä');
    const broken = Buffer.from([0xff]);
    assert.equal(contentOf(broken), broken);
  });

  it('drops, splits and goes on with each part', () => {
    const parts = chain({ split: { type: 'Split' }, route: { type: 'RegexRouter', regex: 'li(.*)', replacement: 'to-$1' } });
    assert.deepEqual(
      (parts.apply({ ...line, value: 'a b' }) as ConnectRecord[]).map(({ topic, value }) => [topic, value]),
      [
        ['to-nes', 'a'],
        ['to-nes', 'b'],
      ],
    );
    assert.equal(chain({ f: { type: 'Filter' } }).apply(line), null);
  });

  it('is synchronous as long as its transforms are', async () => {
    assert(!(chain({ split: { type: 'Split' } }).apply(line) instanceof Promise));
    const mixed = chain({ split: { type: 'Split' }, later: { type: 'Later' }, hoist: { type: 'HoistField$Value', field: 'f' } });
    const outcome = mixed.apply({ ...line, value: 'a drop b' });
    assert(outcome instanceof Promise);
    assert.deepEqual(
      ((await outcome) as ConnectRecord[]).map(({ value }) => value),
      [{ f: 'a!' }, { f: 'b!' }],
    );
    assert.equal(await chain({ later: { type: 'Later' } }).apply({ ...line, value: 'drop' }), null);
  });

  it('closes its transforms', () => {
    chain({ a: { type: 'Closing' }, b: { type: 'Closing' } }).close();
    assert.equal(closed, 2);
  });

  for (const [what, transforms, field] of [
    ['no type', { a: {} }, 'transforms.a.type'],
    ['a missing key', { a: { type: 'HoistField$Value' } }, 'transforms.a.field'],
    ['an unknown predicate', { a: { type: 'Filter', predicate: 'p' } }, 'transforms.a.predicate'],
  ] as const) {
    it(`refuses ${what}`, () =>
      assert.throws(
        () => chain(transforms),
        (error) => error instanceof ConfigError && error.field === field,
      ));
  }
});

describe('predicates', () => {
  const dropped = (predicate: Record<string, string>, record: ConnectRecord, negate = 'false'): boolean =>
    chain({ drop: { type: 'Filter', predicate: 'p', negate } }, { p: predicate }).apply(record) === null;

  for (const [type, keys, yes, no] of [
    ['TopicNameMatches', { pattern: 'li.*' }, line, { ...line, topic: 'a-line' }],
    ['HasHeaderKey', { name: 'h' }, { ...line, headers: [{ name: 'h', value: 1 }] }, { ...line, headers: [{ name: 'x', value: 1 }] }],
    ['RecordIsTombstone', {}, { ...line, value: null }, line],
  ] as const) {
    it(`${type} selects records, and negated the others`, () => {
      assert.equal(dropped({ type, ...keys }, yes), true);
      assert.equal(dropped({ type, ...keys }, no), false);
      assert.equal(dropped({ type, ...keys }, yes, 'true'), false);
      assert.equal(dropped({ type, ...keys }, no, 'true'), true);
    });
  }
});

describe('transforms', () => {
  const struct: Schema = {
    type: 'struct',
    fields: [
      { name: 'id', schema: Schemas.int64 },
      { name: 'name', schema: { type: 'string', default: 'none' } },
    ],
  };
  const row: ConnectRecord = { topic: 'rows', key: 'k', keySchema: Schemas.string, value: { id: 7n, name: 'joe' }, valueSchema: struct };
  const applied = (stage: Record<string, string>, record: ConnectRecord) => chain({ it: stage }).apply(record);

  it('RegexRouter renames a topic only where the whole name matches', () => {
    const route = { type: 'RegexRouter', regex: '(r.)ws', replacement: '$1-x' };
    assert.deepEqual(applied(route, row), { ...row, topic: 'ro-x' });
    const other = { ...row, topic: 'rows2' };
    assert.equal(applied(route, other), other);
  });

  it('ExtractField takes a field with its schema', () => {
    const extract = { type: 'ExtractField$Value', field: 'id' };
    assert.deepEqual(applied(extract, row), { ...row, value: 7n, valueSchema: Schemas.int64 });
    const { valueSchema: _, ...schemaless } = row;
    assert.deepEqual(applied(extract, schemaless), { ...schemaless, value: 7n });
    assert.deepEqual(applied({ ...extract, field: 'no' }, schemaless), { ...schemaless, value: null });
    assert.equal((applied({ ...extract, field: 'name' }, { ...row, value: { id: 1n } }) as ConnectRecord).value, 'none');
    assert.throws(() => applied({ ...extract, field: 'no' }, row), /Unknown field: no/);
    assert.throws(() => applied({ ...extract, field: 'toString' }, row), /Unknown field: toString/);
    assert.throws(
      () => applied(extract, line),
      (error) => error instanceof DataError && /Only Struct objects/.test(error.message),
    );
  });

  it('HoistField and ExtractField undo each other on keys', () => {
    const there = applied({ type: 'HoistField$Key', field: 'id' }, row) as ConnectRecord;
    assert.deepEqual(there.key, { id: 'k' });
    assert.deepEqual(applied({ type: 'ExtractField$Key', field: 'id' }, there), row);
  });

  it('InsertField adds topic, queue and offset of a sink record, and passes tombstones', () => {
    const record: SinkRecord = { ...row, origin: { topic: 'rows', broker: 'b', queue: 3, offset: 42 } };
    const insert = { type: 'InsertField$Value', 'topic.field': 't', 'partition.field': 'q!', 'offset.field': 'o?' };
    const inserted = applied(insert, record) as ConnectRecord;
    assert.deepEqual(inserted.value, { id: 7n, name: 'joe', t: 'rows', q: 3, o: 42n });
    assert.deepEqual(inserted.valueSchema?.fields?.slice(2), [
      { name: 't', schema: { type: 'string', optional: true } },
      { name: 'q', schema: { type: 'int32' } },
      { name: 'o', schema: { type: 'int64', optional: true } },
    ]);
    const tombstone = { ...record, value: null };
    assert.equal(applied(insert, tombstone), tombstone);
  });

  it('ValueToKey makes a key of fields', () => {
    assert.deepEqual(applied({ type: 'ValueToKey', fields: 'id' }, row), {
      ...row,
      key: { id: 7n },
      keySchema: { type: 'struct', fields: [{ name: 'id', schema: Schemas.int64 }] },
    });
    assert.throws(() => applied({ type: 'ValueToKey', fields: 'no' }, row), /Field does not exist: no/);
  });

  it('InsertHeader adds a header, and HeaderFrom makes headers of fields', () => {
    const headers = [{ name: 'h', value: 1 }];
    const inserted = applied({ type: 'InsertHeader', header: 'TAGS', 'value.literal': 'orders' }, { ...row, headers }) as ConnectRecord;
    assert.deepEqual(inserted.headers, [...headers, { name: 'TAGS', value: 'orders', schema: Schemas.string }]);

    const from = { type: 'HeaderFrom$Value', fields: 'name,id', headers: 'TAGS,KEYS' };
    const expected = [
      { name: 'TAGS', value: 'joe', schema: { type: 'string', default: 'none' } },
      { name: 'KEYS', value: 7n, schema: Schemas.int64 },
    ];
    assert.deepEqual(applied({ ...from, operation: 'copy' }, row), { ...row, headers: expected });
    const moved = applied({ ...from, fields: 'name', headers: 'TAGS', operation: 'move' }, row) as ConnectRecord;
    assert.deepEqual([moved.value, moved.headers], [{ id: 7n }, expected.slice(0, 1)]);
    assert.deepEqual(moved.valueSchema, { type: 'struct', fields: struct.fields?.slice(0, 1) });
    assert.deepEqual(applied({ ...from, operation: 'move' }, { topic: 't', value: { name: 'joe', x: 1 } }), {
      topic: 't',
      value: { x: 1 },
      headers: [
        { name: 'TAGS', value: 'joe' },
        { name: 'KEYS', value: null },
      ],
    });
    assert.throws(() => applied({ ...from, fields: 'no,id', operation: 'copy' }, row), /Unknown field: no/);
    assert.throws(() => applied({ ...from, headers: 'TAGS', operation: 'copy' }, row), { kind: 'config' });
  });

  it('a regular expression made to hang does not', () => {
    const topic = `${'a'.repeat(5000)}b`;
    assert.equal((applied({ type: 'RegexRouter', regex: '(a+)+$', replacement: 'x' }, { ...row, topic }) as ConnectRecord).topic, topic);
  });
});
