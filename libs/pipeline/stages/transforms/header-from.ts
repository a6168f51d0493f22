import { ConfigError, DataError, type Header, type Schema, Type } from '@rocketmq-connect/sdk';
import { derived, type Fields, fieldsOfValue, ofKeyAndValue } from './part.ts';

/** Headers out of fields, for example RocketMQ's TAGS and KEYS of a message. */
export const headerFrom = ofKeyAndValue(
  'HeaderFrom',
  Type.Object({
    fields: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Field names in the record whose values are to be copied or moved to headers.',
      importance: 'high',
    }),
    headers: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Header names, in the same order as the field names listed in the fields configuration property.',
      importance: 'high',
    }),
    operation: Type.Union([Type.Literal('move'), Type.Literal('copy')], {
      description: "Either 'move' if the fields are to be moved to the headers (removed from the key or value), or 'copy' if not.",
      importance: 'high',
    }),
  }),
  (part) => ({
    description: `Moves or copies fields in the ${part.name.toLowerCase()} of a record into that record's headers.`,
    create: ({ fields, headers, operation }) => {
      if (fields.length !== headers.length) {
        throw new ConfigError(`${fields.length} fields cannot become ${headers.length} headers`, {
          field: 'headers',
          remedy: 'Name as many headers as fields.',
        });
      }
      const isMoved = (name: string): boolean => operation === 'move' && fields.includes(name);
      const left = derived((schema) => ({ ...schema, fields: (schema.fields ?? []).filter(({ name }) => !isMoved(name)) }));
      return {
        apply: (record) => {
          const schema = part.schema(record);
          const value = fieldsOfValue(part.value(record), schema, 'header from');
          const added = fields.map((field, i) => headerOf(headers[i] ?? field, field, value, schema));
          const extended = { ...record, headers: [...(record.headers ?? []), ...added] };
          if (operation === 'copy') return extended;
          const rest = Object.fromEntries(Object.entries(value).filter(([name]) => !isMoved(name)));
          return part.with(extended, schema === undefined ? undefined : left(schema), rest);
        },
      };
    },
  }),
);

function headerOf(name: string, field: string, value: Fields, schema: Schema | undefined): Header {
  const content = Object.hasOwn(value, field) ? (value[field] ?? null) : null;
  if (schema === undefined) return { name, value: content };
  const found = schema.fields?.find((candidate) => candidate.name === field);
  if (found === undefined) throw new DataError(`Unknown field: ${field}`, { code: 'FIELD_UNKNOWN' });
  return { name, value: content, schema: found.schema };
}
