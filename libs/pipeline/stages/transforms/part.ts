import { type ConnectRecord, DataError, type Schema, type TObject, type TransformDefinition } from '@rocketmq-connect/sdk';

/** The half of a record that a transform such as `HoistField$Value` works on. */
export interface Part {
  readonly name: 'Key' | 'Value';
  value(record: ConnectRecord): unknown;
  schema(record: ConnectRecord): Schema | undefined;
  /** The record with this half replaced. */
  with<R extends ConnectRecord>(record: R, schema: Schema | undefined, value: unknown): R;
}

const KEY: Part = {
  name: 'Key',
  value: (record) => record.key,
  schema: (record) => record.keySchema,
  with: (record, schema, value) => {
    const { keySchema: _, ...rest } = record;
    return (schema === undefined ? { ...rest, key: value } : { ...rest, key: value, keySchema: schema }) as typeof record;
  },
};

const VALUE: Part = {
  name: 'Value',
  value: (record) => record.value,
  schema: (record) => record.valueSchema,
  with: (record, schema, value) => {
    const { valueSchema: _, ...rest } = record;
    return (schema === undefined ? { ...rest, value } : { ...rest, value, valueSchema: schema }) as typeof record;
  },
};

/** The two transforms `{name}$Key` and `{name}$Value`, with Kafka Connect's classes as aliases. */
export function ofKeyAndValue<C extends TObject>(
  name: string,
  config: C,
  define: (part: Part) => Pick<TransformDefinition<C>, 'description' | 'create'>,
): readonly TransformDefinition<C>[] {
  return [KEY, VALUE].map((part) => ({
    kind: 'transform',
    name: `${name}$${part.name}`,
    version: '1.0.0',
    aliases: [`org.apache.kafka.connect.transforms.${name}$${part.name}`],
    config,
    ...define(part),
  }));
}

export type Fields = Readonly<Record<string, unknown>>;

/** A struct, or a map without a schema; anything else is bad data. */
export function fieldsOfValue(value: unknown, schema: Schema | undefined, purpose: string): Fields {
  if (schema !== undefined && schema.type !== 'struct') {
    throw new DataError(`Only Struct objects supported for [${purpose}], found: ${schema.type}`, { code: 'NOT_A_STRUCT' });
  }
  if (value instanceof Map) return Object.fromEntries(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof Date) {
    const found = value === null || value === undefined ? 'null' : Array.isArray(value) ? 'array' : typeof value;
    throw new DataError(`Only Struct objects and maps supported for [${purpose}], found: ${found}`, { code: 'NOT_A_STRUCT' });
  }
  return value as Fields;
}

/** Derives a schema once per schema: equal schemas are one object then, which converters cache by identity. */
export function derived(derive: (schema: Schema) => Schema): (schema: Schema) => Schema {
  const known = new WeakMap<Schema, Schema>();
  return (schema) => {
    const before = known.get(schema);
    if (before !== undefined) return before;
    const made = derive(schema);
    known.set(schema, made);
    return made;
  };
}
