import assert from 'node:assert/strict';
import { Type as TypeBox } from 'typebox';
import { isSecretName, Secret } from './config.ts';
import { Type } from './type.ts';

describe('Type', () => {
  it('builds the schemas that TypeBox builds', () => {
    const build = (T: typeof Type) =>
      T.Object(
        {
          text: T.String({ default: 'a', title: 'Text' }),
          flag: T.Boolean({ default: true }),
          count: T.Integer({ minimum: 1 }),
          ratio: T.Optional(T.Number({ description: 'x' })),
          mode: T.Union([T.Literal('a'), T.Literal('b')], { default: 'a' }),
          level: T.Enum(['x', 'y']),
          list: T.Optional(T.Array(T.String(), { minItems: 1 })),
        },
        { description: 'all' },
      );
    assert.deepEqual(marked(build(Type)), marked(build(TypeBox)));
    assert.deepEqual(
      marked(Type.Object({ a: Type.Optional(Type.String()) })),
      marked(TypeBox.Object({ a: TypeBox.Optional(TypeBox.String()) })),
    );
  });

  it('mixes with schemas of TypeBox', () => {
    const mixed = Type.Object({ a: TypeBox.Optional(TypeBox.String()), b: TypeBox.Integer(), c: Type.Optional(TypeBox.Boolean()) });
    assert.deepEqual(mixed.required, ['b']);
  });

  it('leaves the schema that it makes optional as it was', () => {
    const text = Type.String();
    Type.Optional(text);
    assert.deepEqual(Type.Object({ text }).required, ['text']);
  });
});

describe('Secret', () => {
  it('is a text marked secret', () => {
    assert.deepEqual({ ...Secret({ title: 'Password' }) }, { type: 'string', title: 'Password', secret: true });
  });

  for (const name of [
    'password',
    'db.password',
    'ssl.keystore.password',
    'client-secret',
    'aws.secret.access.key',
    'api.key',
    'auth_token',
    'PASSWORD',
  ]) {
    it(`is ${name} by its name`, () => assert.equal(isSecretName(name), true));
  }
  for (const name of ['file', 'topic', 'key', 'key.converter', 'password.file', 'tokens.max', 'primary.key', 'compass', 'bypass']) {
    it(`is not ${name}`, () => assert.equal(isSecretName(name), false));
  }
});

/** A schema with the marks that JSON does not show. */
function marked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(marked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.getOwnPropertyNames(value).map((name) => [name, marked((value as Record<string, unknown>)[name])]));
}
