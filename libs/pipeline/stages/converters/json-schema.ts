import { DataError, type Field, LogicalName, type Schema, type SchemaType } from '@rocketmq-connect/sdk';
import { ExactNumber } from './json-parse.ts';
import { type PayloadOptions, payloadFromJson, payloadToJson } from './json-payload.ts';

// Kafka Connect's JSON schemas call two types differently.
const JSON_TYPE: Readonly<Partial<Record<SchemaType, string>>> = { float32: 'float', float64: 'double' };
const TYPES: ReadonlyMap<unknown, SchemaType> = new Map<unknown, SchemaType>([
  ...(['int8', 'int16', 'int32', 'int64', 'boolean', 'string', 'bytes', 'array', 'map', 'struct'] as const).map(
    (type) => [type, type] as const,
  ),
  ['float', 'float32'],
  ['double', 'float64'],
]);

const OPEN_MESSAGING_PACKAGE = 'io.openmessaging.connector.api.data.logical.';
const OPEN_MESSAGING = new Map(
  Object.values(LogicalName).map((name) => [name as string, OPEN_MESSAGING_PACKAGE + name.slice(name.lastIndexOf('.') + 1)]),
);
const KAFKA = new Map([...OPEN_MESSAGING].map(([kafka, openMessaging]) => [openMessaging, kafka]));

/** Schemas as JSON text, each written once. */
export class JsonSchemaWriter {
  readonly #options: PayloadOptions;
  readonly #known = new WeakMap<Schema, string>();

  constructor(options: PayloadOptions) {
    this.#options = options;
  }

  write(schema: Schema): string {
    let text = this.#known.get(schema);
    if (text === undefined) {
      text = JSON.stringify(this.#toJson(schema));
      this.#known.set(schema, text);
    }
    return text;
  }

  // The order of the keys is Kafka Connect's.
  #toJson(schema: Schema): Record<string, unknown> {
    return {
      type: JSON_TYPE[schema.type] ?? schema.type,
      ...(schema.type === 'struct'
        ? { fields: (schema.fields ?? []).map(({ name, schema }) => ({ ...this.#toJson(schema), field: name })) }
        : {}),
      ...(schema.type === 'map' ? { keys: this.#toJson(part(schema, 'keys')) } : {}),
      ...(schema.type === 'map' ? { values: this.#toJson(part(schema, 'values')) } : {}),
      ...(schema.type === 'array' ? { items: this.#toJson(part(schema, 'values')) } : {}),
      optional: schema.optional === true,
      ...(schema.name === undefined ? {} : { name: this.#nameOf(schema.name) }),
      ...(schema.version === undefined ? {} : { version: schema.version }),
      ...(schema.doc === undefined ? {} : { doc: schema.doc }),
      ...(schema.parameters === undefined ? {} : { parameters: schema.parameters }),
      ...(schema.default === undefined ? {} : { default: payloadToJson(schema, schema.default, this.#options, 'default') }),
    };
  }

  #nameOf(name: string): string {
    return this.#options.dialect === 'kafka' ? name : (OPEN_MESSAGING.get(name) ?? name);
  }
}

function part(schema: Schema, name: 'keys' | 'values'): Schema {
  const found = schema[name];
  if (found === undefined) throw new DataError(`a schema of type ${schema.type} has no "${name}"`, { code: 'SCHEMA_INVALID' });
  return found;
}

/** Schemas out of parsed JSON; equal ones are one object as long as the cache holds them. */
export class JsonSchemaReader {
  readonly #options: PayloadOptions;
  readonly #cacheMax: number;
  readonly #known = new Map<string, Schema>();

  constructor(options: PayloadOptions, cacheMax: number) {
    this.#options = options;
    this.#cacheMax = cacheMax;
  }

  /** Throws `DataError` for what is no schema. */
  read(json: unknown): Schema {
    const text = JSON.stringify(json, (_key, value) =>
      typeof value === 'bigint' ? String(value) : value instanceof ExactNumber ? value.text : value,
    );
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const schema = this.#fromJson(json);
    if (this.#known.size < this.#cacheMax) this.#known.set(text, schema);
    return schema;
  }

  #fromJson(json: unknown): Schema {
    if (typeof json !== 'object' || json === null) throw invalid('a schema must be an object');
    const { type: typeName, optional, name, version, doc, parameters, default: byDefault, ...rest } = json as Record<string, unknown>;
    const type = TYPES.get(typeName);
    if (type === undefined) throw invalid(`unknown schema type: ${String(typeName)}`);
    const schema: Schema = {
      type,
      ...(optional === true ? { optional: true } : {}),
      ...(typeof name === 'string' ? { name: KAFKA.get(name) ?? name } : {}),
      ...(typeof version === 'number' ? { version } : {}),
      ...(typeof doc === 'string' ? { doc } : {}),
      ...(isParameters(parameters) ? { parameters } : {}),
      ...(type === 'struct' ? { fields: this.#fieldsFromJson(rest['fields']) } : {}),
      ...(type === 'map' ? { keys: this.#fromJson(rest['keys']), values: this.#fromJson(rest['values']) } : {}),
      ...(type === 'array' ? { values: this.#fromJson(rest['items']) } : {}),
    };
    if (byDefault === undefined || byDefault === null) return schema;
    return { ...schema, default: payloadFromJson(schema, byDefault, this.#options, 'default') };
  }

  #fieldsFromJson(json: unknown): readonly Field[] {
    if (!Array.isArray(json)) throw invalid('a struct schema must have a list "fields"');
    return json.map((field) => {
      const name: unknown = field?.field;
      if (typeof name !== 'string') throw invalid('a field of a struct schema must have a name, "field"');
      return { name, schema: this.#fromJson(field) };
    });
  }
}

function isParameters(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && Object.values(value).every((parameter) => typeof parameter === 'string');
}

function invalid(why: string): DataError {
  return new DataError(`the schema of a message is not one of JsonConverter: ${why}`, { code: 'SCHEMA_INVALID' });
}
