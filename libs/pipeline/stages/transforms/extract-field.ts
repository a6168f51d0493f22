import { DataError, Type } from '@rocketmq-connect/sdk';
import { fieldsOfValue, ofKeyAndValue } from './part.ts';

/** Replaces the key or value by one of its fields. */
export const extractField = ofKeyAndValue(
  'ExtractField',
  Type.Object({
    field: Type.String({ minLength: 1, description: 'Field name to extract.', importance: 'medium' }),
    'replace.null.with.default': Type.Boolean({
      default: true,
      description:
        'Whether to replace fields that have a default value and that are null to the default value. When set to true, the default value is used, otherwise null is used.',
      importance: 'medium',
    }),
  }),
  (part) => ({
    description: `Extracts the specified field from a struct (or map, without a schema) in the record ${part.name.toLowerCase()}.`,
    create: ({ field, 'replace.null.with.default': replaceNull }) => ({
      apply: (record) => {
        const schema = part.schema(record);
        const value = part.value(record) ?? null;
        const fieldSchema = schema?.fields?.find((candidate) => candidate.name === field)?.schema;
        if (value === null) return part.with(record, fieldSchema, null);
        const fields = fieldsOfValue(value, schema, 'field extraction');
        if (schema === undefined) return part.with(record, undefined, Object.hasOwn(fields, field) ? fields[field] : null);
        if (fieldSchema === undefined) throw new DataError(`Unknown field: ${field}`, { code: 'FIELD_UNKNOWN' });
        const extracted = Object.hasOwn(fields, field) ? fields[field] : undefined;
        return part.with(record, fieldSchema, extracted ?? (replaceNull ? (fieldSchema.default ?? null) : null));
      },
    }),
  }),
);
