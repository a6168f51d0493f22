import { isUtf8 } from 'node:buffer';
import { type Converter, defineConverter, type Schema, type SchemaAndValue, Schemas, Type } from '@rocketmq-connect/sdk';
import { plainJson } from './plain-json.ts';

/**
 * Header values as text: strings as they are, other values as JSON. Reading infers the schema, and only where the text would be
 * written the same way again, so that `007` and `1.10` stay text.
 */
export const simpleHeaderConverter = defineConverter({
  name: 'SimpleHeaderConverter',
  version: '1.0.0',
  description: 'Header values as text; infers their schemas when it reads them.',
  aliases: ['org.apache.kafka.connect.storage.SimpleHeaderConverter'],
  config: Type.Object({}),
  create: () => () => headerConverter,
});

const headerConverter: Converter = {
  fromConnect: (_name, _schema, value) => {
    if (value === null || value === undefined) return null;
    if (Buffer.isBuffer(value)) return value;
    return Buffer.from(typeof value === 'string' ? value : JSON.stringify(plainJson(value)), 'utf8');
  },
  toConnect: (_name, bytes) => {
    if (bytes === null) return { value: null };
    return isUtf8(bytes) ? headerOfText(bytes.toString('utf8')) : { schema: Schemas.optionalBytes, value: bytes };
  },
};

/** A header's value out of its text, with the schema that it seems to have. */
export function headerOfText(text: string): SchemaAndValue {
  if (text === 'null') return { value: null };
  if (text === 'true' || text === 'false') return { schema: Schemas.boolean, value: text === 'true' };
  if (/^-?\d{1,19}$/.test(text)) return integer(text) ?? { schema: Schemas.string, value: text };
  if (/^-?\d/.test(text) && String(Number(text)) === text) return { schema: Schemas.float64, value: Number(text) };
  if (/^[[{]/.test(text)) return structure(text);
  return { schema: Schemas.string, value: text };
}

const INT64_MAX = 2n ** 63n - 1n;

/** The smallest type that holds it, as in Kafka Connect. */
function integer(text: string): SchemaAndValue | undefined {
  const value = BigInt(text);
  if (value.toString() !== text || value > INT64_MAX || value < -INT64_MAX - 1n) return undefined;
  const size = value < 0n ? -value - 1n : value;
  if (size >= 2n ** 31n) return { schema: Schemas.int64, value };
  const type: Schema['type'] = size < 2n ** 7n ? 'int8' : size < 2n ** 15n ? 'int16' : 'int32';
  return { schema: { type }, value: Number(value) };
}

function structure(text: string): SchemaAndValue {
  try {
    const value: unknown = JSON.parse(text);
    if (JSON.stringify(value) === text) return { value };
  } catch {
    // Text that only begins like JSON is text.
  }
  return { schema: Schemas.string, value: text };
}
