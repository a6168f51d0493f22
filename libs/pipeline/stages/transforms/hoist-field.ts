import { type Schema, Type } from '@rocketmq-connect/sdk';
import { derived, ofKeyAndValue } from './part.ts';

/** Puts the whole key or value into one field of a struct, or of a map where there is no schema. */
export const hoistField = ofKeyAndValue(
  'HoistField',
  Type.Object({
    field: Type.String({
      description: 'Field name for the single field that will be created in the resulting Struct or Map.',
      importance: 'medium',
    }),
  }),
  (part) => ({
    description: `Wraps the record ${part.name.toLowerCase()} in a single field of a struct (or map, without a schema).`,
    create: ({ field }) => {
      const hoisted = derived((schema: Schema): Schema => ({ type: 'struct', fields: [{ name: field, schema }] }));
      return {
        apply: (record) => {
          const schema = part.schema(record);
          const value = part.value(record) ?? null;
          return part.with(record, schema === undefined ? undefined : hoisted(schema), { [field]: value });
        },
      };
    },
  }),
);
