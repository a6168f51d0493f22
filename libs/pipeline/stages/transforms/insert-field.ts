import { type ConnectRecord, type Field, LogicalName, type Schema, type SinkRecord, type SourceRecord, Type } from '@rocketmq-connect/sdk';
import { derived, fieldsOfValue, ofKeyAndValue } from './part.ts';

/** Adds facts about a record, or a fixed text, as fields of its key or value. */
export const insertField = ofKeyAndValue(
  'InsertField',
  Type.Object({
    'topic.field': fieldName('Field name for the topic.'),
    'partition.field': fieldName('Field name for the queue that a record was read from, or is bound to.'),
    'offset.field': fieldName('Field name for the offset in the queue - only applicable to sink connectors.'),
    'timestamp.field': fieldName('Field name for the record timestamp.'),
    'static.field': fieldName('Field name for the static data field.'),
    'static.value': Type.Optional(Type.String({ description: 'Static field value, if a field name is configured.', importance: 'medium' })),
  }),
  (part) => ({
    description: `Inserts fields into the record ${part.name.toLowerCase()} using attributes from the record metadata or a configured static value.`,
    create: (config) => {
      const insertions = insertionsOf(config);
      const extended = derived((schema) => ({ ...schema, fields: [...(schema.fields ?? []), ...insertions.map(({ field }) => field)] }));
      return {
        apply: (record) => {
          const value = part.value(record) ?? null;
          if (value === null || insertions.length === 0) return record;
          const schema = part.schema(record);
          const fields: Record<string, unknown> = { ...fieldsOfValue(value, schema, 'field insertion') };
          for (const { field, read } of insertions) {
            const inserted = read(record, schema !== undefined);
            if (schema !== undefined || inserted !== null) fields[field.name] = inserted;
          }
          return part.with(record, schema === undefined ? undefined : extended(schema), fields);
        },
      };
    },
  }),
);

interface Insertion {
  readonly field: Field;
  readonly read: (record: ConnectRecord, hasSchema: boolean) => unknown;
}

function insertionsOf(config: {
  'topic.field'?: string;
  'partition.field'?: string;
  'offset.field'?: string;
  'timestamp.field'?: string;
  'static.field'?: string;
  'static.value'?: string;
}): readonly Insertion[] {
  const timestamp: Schema = { type: 'int64', name: LogicalName.timestamp, version: 1 };
  const all: readonly (readonly [string | undefined, Schema, Insertion['read']])[] = [
    [config['topic.field'], { type: 'string' }, (record) => record.topic],
    [config['partition.field'], { type: 'int32' }, queueOf],
    [config['offset.field'], { type: 'int64' }, (record) => (isSinkRecord(record) ? BigInt(record.origin.offset) : null)],
    [config['timestamp.field'], timestamp, timestampOf],
    [config['static.value'] === undefined ? undefined : config['static.field'], { type: 'string' }, () => config['static.value']],
  ];
  return all.flatMap(([spec, schema, read]) => (spec === undefined ? [] : [{ field: fieldOf(spec, schema), read }]));
}

/** `name!` is a required field; `name` and `name?` are optional. */
function fieldOf(spec: string, schema: Schema): Field {
  if (spec.endsWith('!')) return { name: spec.slice(0, -1), schema };
  return { name: spec.endsWith('?') ? spec.slice(0, -1) : spec, schema: { ...schema, optional: true } };
}

function timestampOf(record: ConnectRecord, hasSchema: boolean): Date | number | null {
  if (record.timestamp === undefined) return null;
  return hasSchema ? new Date(record.timestamp) : record.timestamp;
}

function queueOf(record: ConnectRecord): number | null {
  return isSinkRecord(record) ? record.origin.queue : ((record as SourceRecord).queue ?? null);
}

function isSinkRecord(record: ConnectRecord): record is SinkRecord {
  return 'origin' in record;
}

function fieldName(description: string) {
  return Type.Optional(
    Type.String({
      minLength: 1,
      description: `${description} Suffix with ! to make this a required field, or ? to keep it optional (the default).`,
      importance: 'medium',
    }),
  );
}
