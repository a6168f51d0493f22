import type * as TypeBox from 'typebox';

/**
 * TypeBox's builders of the types that a configuration can have, with its types and the same schemas. Importing `typebox` itself
 * costs every task host 20 MB and a quarter of a second, for types that no configuration uses; where a plugin imports it anyway,
 * its schemas work as well.
 */
export const Type = {
  String: (options) => schema('String', { type: 'string' }, options) as unknown as TypeBox.TString,
  Boolean: (options) => schema('Boolean', { type: 'boolean' }, options) as unknown as TypeBox.TBoolean,
  Integer: (options) => schema('Integer', { type: 'integer' }, options) as unknown as TypeBox.TInteger,
  Number: (options) => schema('Number', { type: 'number' }, options) as unknown as TypeBox.TNumber,
  Literal: (value, options) => schema('Literal', { type: typeof value, const: value }, options) as never,
  Enum: ((values: readonly unknown[], options?: TypeBox.TSchemaOptions) => schema('Enum', { enum: values }, options)) as never,
  Union: (anyOf, options) => schema('Union', { anyOf }, options) as never,
  Array: (items, options) => schema('Array', { type: 'array', items }, options) as never,
  Optional: (type) => hide(Object.create(Object.prototype, Object.getOwnPropertyDescriptors(type)), '~optional', true) as never,
  Object: (properties, options) => {
    const required = Object.keys(properties).filter((key) => !Object.hasOwn(properties[key] ?? {}, '~optional'));
    return schema('Object', { type: 'object', ...(required.length > 0 ? { required } : {}), properties }, options) as never;
  },
} satisfies Builders as Builders;

type Builders = Pick<
  typeof TypeBox.Type,
  'String' | 'Boolean' | 'Integer' | 'Number' | 'Literal' | 'Enum' | 'Union' | 'Array' | 'Optional' | 'Object'
>;

function schema(kind: string, keywords: object, options: object = {}): object {
  return hide({ ...keywords, ...options }, '~kind', kind);
}

// TypeBox's own marks, which JSON does not show.
function hide(target: object, name: string, value: unknown): object {
  return Object.defineProperty(target, name, { value, enumerable: false, writable: true, configurable: true });
}
