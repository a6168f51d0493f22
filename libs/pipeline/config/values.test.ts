import assert from 'node:assert/strict';
import { Secret, Type } from '@rocketmq-connect/sdk';
import { convertValue, type FieldSchema } from './values.ts';

const mode = Type.Union([Type.Literal('a'), Type.Literal('b')]);
const size = Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 })]);

describe('convertValue', () => {
  const good: readonly (readonly [string, unknown, string, unknown])[] = [
    ['text, trimmed', Type.String(), '  x y ', 'x y'],
    ['a secret as it is', Secret(), ' p ', ' p '],
    ['int', Type.Integer(), ' +42 ', 42],
    ['negative int', Type.Integer(), '-1', -1],
    ['number', Type.Number(), '1.5e3', 1500],
    ['boolean', Type.Boolean(), 'TRUE', true],
    ['list', Type.Array(Type.String()), 'a, b,c', ['a', 'b', 'c']],
    ['empty list', Type.Array(Type.String()), ' ', []],
    ['list of ints', Type.Array(Type.Integer()), '1,2', [1, 2]],
    ['choice', mode, 'b', 'b'],
    ['enum', Type.Enum(['x', 'y']), 'y', 'y'],
    ['first of a mixed union', size, 'auto', 'auto'],
    ['second of a mixed union', size, '7', 7],
  ];
  for (const [what, schema, text, value] of good) {
    it(`reads ${what}`, () => assert.deepEqual(convertValue(schema as FieldSchema, text), { ok: true, value }));
  }

  const bad: readonly (readonly [unknown, string, string])[] = [
    [Type.Integer(), 'x', 'Not a number of type INT'],
    [Type.Integer(), '1.5', 'Not a number of type INT'],
    [Type.Integer(), '', 'Not a number of type INT'],
    [Type.Integer(), '0x10', 'Not a number of type INT'],
    [Type.Integer(), '99999999999999999999', 'Not a number of type INT'],
    [Type.Integer({ maximum: 1e15 }), 'x', 'Not a number of type LONG'],
    [Type.Number(), 'Infinity', 'Not a number of type DOUBLE'],
    [Type.Integer({ minimum: 1 }), '0', 'Value must be at least 1'],
    [Type.Integer({ maximum: 5 }), '6', 'Value must be no more than 5'],
    [Type.Number({ exclusiveMinimum: 0 }), '0', 'Value must be more than 0'],
    [Type.Boolean(), 'yes', 'Expected value to be either true or false'],
    [mode, 'c', 'String must be one of: a, b'],
    [Type.String({ minLength: 1 }), ' ', 'String may not be empty'],
    [Type.String({ pattern: '^a$' }), 'b', 'String must match ^a$'],
    [Type.String({ format: 'regex' }), 'a(', 'Not a regular expression: missing closing ): `a(`'],
    [Type.Array(Type.String()), 'a,,b', 'List must not have an empty entry'],
    [Type.Array(Type.String(), { minItems: 1 }), '', 'List must have at least 1 entries'],
    [Type.Array(Type.String(), { uniqueItems: true }), 'a,a', 'List must not have an entry twice'],
    [Type.Array(Type.Integer()), '1,x', 'Not a number of type INT'],
    [size, '0', 'String must be one of: auto, or: Value must be at least 1'],
  ];
  for (const [schema, text, error] of bad) {
    it(`refuses ${JSON.stringify(text)}: ${error}`, () =>
      assert.deepEqual(convertValue(schema as FieldSchema, text), { ok: false, error }));
  }

  it('says that look-around is not supported', () => {
    const result = convertValue(Type.String({ format: 'regex' }) as FieldSchema, '(?=a)b');
    assert(!result.ok);
    assert.match(result.error, /look-around and back-references are not supported/);
  });
});
