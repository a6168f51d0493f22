import { isUtf8 } from 'node:buffer';
import { type Converter, DataError, defineConverter, type Schema, type SchemaAndValue, type Static, Type } from '@rocketmq-connect/sdk';
import { parseExact } from './json-parse.ts';
import { type JsonDialect, type PayloadOptions, payloadFromJson, payloadToJson, withoutSchema } from './json-payload.ts';
import { JsonSchemaReader, JsonSchemaWriter } from './json-schema.ts';
import { plainJson } from './plain-json.ts';

/**
 * JSON as Kafka Connect's JsonConverter writes it: with `schemas.enable` in an envelope `{"schema": ..., "payload": ...}`, else
 * the value alone. Reads that of apache/rocketmq-connect too.
 */
export const jsonConverter = defineConverter({
  name: 'JsonConverter',
  version: '1.0.0',
  description: 'JSON, with the schema in an envelope or without.',
  aliases: ['org.apache.kafka.connect.json.JsonConverter'],
  config: jsonConfig(),
  create: createJson('kafka'),
});

/** The same, for topics that sinks of apache/rocketmq-connect read: logical types have the names that it knows. */
export const rocketmqJsonConverter = defineConverter({
  name: 'RocketmqJsonConverter',
  version: '1.0.0',
  description: 'JSON as apache/rocketmq-connect writes it: as JsonConverter, with other names of logical types in schemas.',
  aliases: ['org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter'],
  config: jsonConfig(),
  create: createJson('openmessaging'),
});

function jsonConfig() {
  return Type.Object({
    'schemas.enable': Type.Boolean({
      default: true,
      title: 'Enable Schemas',
      description: 'Include schemas within each of the serialized values and keys.',
      importance: 'high',
      group: 'Schemas',
      width: 'medium',
    }),
    'schemas.cache.size': Type.Integer({
      default: 1000,
      minimum: 0,
      title: 'Schema Cache Size',
      description: 'The maximum number of schemas that can be cached in this converter instance.',
      importance: 'high',
      group: 'Schemas',
      width: 'medium',
    }),
    'schema.content': Type.Optional(
      Type.String({
        title: 'Schema Content',
        description:
          "When set, this is used as the schema for all messages that are read, which are payloads alone then. Applies only where 'schemas.enable' is true.",
        importance: 'high',
        group: 'Schemas',
        width: 'medium',
      }),
    ),
    'decimal.format': Type.String({
      default: 'BASE64',
      pattern: '^([Bb][Aa][Ss][Ee]64|[Nn][Uu][Mm][Ee][Rr][Ii][Cc])$',
      title: 'Decimal Format',
      description:
        "Controls which format this converter will serialize decimals in. This value is case insensitive and can be either 'BASE64' (default) or 'NUMERIC'",
      importance: 'low',
      group: 'Serialization',
      width: 'medium',
    }),
    'replace.null.with.default': Type.Boolean({
      default: true,
      title: 'Replace null with default',
      description:
        'Whether to replace fields that have a default value and that are null to the default value. When set to true, the default value is used, otherwise null is used.',
      importance: 'low',
      group: 'Serialization',
      width: 'medium',
    }),
  });
}

function createJson(dialect: JsonDialect) {
  return (config: Static<ReturnType<typeof jsonConfig>>): ((isKey: boolean) => Converter) => {
    const options: PayloadOptions = {
      dialect,
      numericDecimals: config['decimal.format'].toUpperCase() === 'NUMERIC',
      replaceNull: config['replace.null.with.default'],
    };
    const cacheMax = config['schemas.cache.size'];
    const content = config['schema.content']?.trim() ?? '';
    return () => {
      if (!config['schemas.enable']) return plainConverter(options);
      const fixed = content === '' ? undefined : new JsonSchemaReader(options, 1).read(parse(content, 'schema.content', true));
      return envelopeConverter(options, cacheMax, fixed);
    };
  };
}

function plainConverter(options: PayloadOptions): Converter {
  return {
    fromConnect: (_topic, schema, value) => {
      if (schema === undefined) return value === null || value === undefined ? null : bytesOf(JSON.stringify(plainJson(value)));
      return bytesOf(JSON.stringify(payloadToJson(schema, value, options, '')));
    },
    toConnect: (topic, bytes) => (bytes === null ? { value: null } : { value: parse(textOf(bytes, topic), topic, false) }),
  };
}

function envelopeConverter(options: PayloadOptions, cacheMax: number, fixed: Schema | undefined): Converter {
  const writer = new JsonSchemaWriter(options);
  const reader = new JsonSchemaReader(options, cacheMax);
  const fixedHasDecimals = fixed !== undefined && mentionsDecimals(JSON.stringify(plainJson(fixed)));
  // Messages of one writer begin with the same schema text: then only the payload is parsed.
  let last: { readonly prefix: string; readonly decimals: boolean; readonly schema: Schema | undefined } | undefined;

  const read = (topic: string, text: string): SchemaAndValue => {
    if (fixed !== undefined) return schemaAndValue(fixed, parse(text, topic, fixedHasDecimals), options);
    if (last !== undefined && text.startsWith(last.prefix) && text.endsWith('}')) {
      const payload = tryParse(text.slice(last.prefix.length, -1), last.decimals);
      if (payload !== undefined) return schemaAndValue(last.schema, payload.value, options);
    }
    const decimals = mentionsDecimals(text);
    const envelope = parse(text, topic, decimals);
    if (!isEnvelope(envelope)) {
      throw new DataError(
        'JsonConverter with schemas.enable requires "schema" and "payload" fields and may not contain additional fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.',
        {
          code: 'NOT_AN_ENVELOPE',
          remedy: 'Set value.converter.schemas.enable (or key.converter.schemas.enable) to false for plain JSON.',
        },
      );
    }
    const schema = envelope.schema === null ? undefined : reader.read(envelope.schema);
    const prefix = `{"schema":${JSON.stringify(plainJson(envelope.schema))},"payload":`;
    last = text.startsWith(prefix) ? { prefix, schema, decimals: mentionsDecimals(prefix) } : undefined;
    return schemaAndValue(schema, envelope.payload, options);
  };

  return {
    fromConnect: (_topic, schema, value) => {
      if (schema === undefined) {
        if (value === null || value === undefined) return null;
        return bytesOf(`{"schema":null,"payload":${JSON.stringify(plainJson(value))}}`);
      }
      return bytesOf(`{"schema":${writer.write(schema)},"payload":${JSON.stringify(payloadToJson(schema, value, options, ''))}}`);
    },
    toConnect: (topic, bytes) => (bytes === null ? { value: null } : read(topic, textOf(bytes, topic))),
  };
}

function schemaAndValue(schema: Schema | undefined, payload: unknown, options: PayloadOptions): SchemaAndValue {
  if (schema === undefined) return { value: withoutSchema(payload) };
  return { schema, value: payloadFromJson(schema, payload, options, '') };
}

// A schema without them is the common case, and parses several times as fast.
function mentionsDecimals(text: string): boolean {
  return text.includes('.Decimal"');
}

function isEnvelope(value: unknown): value is { readonly schema: unknown; readonly payload: unknown } {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 2) return false;
  return Object.hasOwn(value, 'schema') && Object.hasOwn(value, 'payload');
}

function textOf(bytes: Buffer, topic: string): string {
  if (!isUtf8(bytes)) throw new DataError(`a message of ${topic} is not JSON: it is not valid UTF-8`, { code: 'NOT_JSON' });
  return bytes.toString('utf8');
}

function parse(text: string, where: string, decimals: boolean): unknown {
  try {
    return parseExact(text, decimals);
  } catch (error) {
    // The parser's text quotes the message, which may be secret.
    throw new DataError(`a message of ${where} is not JSON`, { code: 'NOT_JSON', remedy: 'Use StringConverter for text.', cause: error });
  }
}

function tryParse(text: string, decimals: boolean): { readonly value: unknown } | undefined {
  try {
    return { value: parseExact(text, decimals) };
  } catch {
    // The whole message says more about what is wrong.
    return undefined;
  }
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}
