import { DataError, defineTransform, type Field, type Schema, Type } from '@rocketmq-connect/sdk';
import { derived, type Fields, fieldsOfValue } from './part.ts';

/** Makes the key of some fields of the value. */
export const valueToKey = defineTransform({
  name: 'ValueToKey',
  version: '1.0.0',
  description: 'Replaces the record key with a new key formed from a subset of fields in the record value.',
  aliases: ['org.apache.kafka.connect.transforms.ValueToKey'],
  config: Type.Object({
    fields: Type.Array(Type.String(), {
      minItems: 1,
      description: 'Field names on the record value to extract as the record key.',
      importance: 'high',
    }),
  }),
  create: ({ fields }) => {
    const keySchemaOf = derived((schema) => ({ type: 'struct', fields: fields.map((name) => fieldOf(schema, name)) }));
    return {
      apply: (record) => {
        const value = fieldsOfValue(record.value, record.valueSchema, 'copying fields from value to key');
        const { keySchema: _, ...rest } = record;
        const keySchema = record.valueSchema === undefined ? {} : { keySchema: keySchemaOf(record.valueSchema) };
        return { ...rest, ...keySchema, key: pick(value, fields) } as unknown as typeof record;
      },
    };
  },
});

function fieldOf(schema: Schema, name: string): Field {
  const field = schema.fields?.find((candidate) => candidate.name === name);
  if (field === undefined) throw new DataError(`Field does not exist: ${name}`, { code: 'FIELD_UNKNOWN' });
  return field;
}

function pick(value: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, Object.hasOwn(value, name) ? (value[name] ?? null) : null]));
}
