import { DataError, LogicalName, type Schema } from '@rocketmq-connect/sdk';
import { decimalFromBytes, decimalToBytes, normalizeDecimal } from './decimal.ts';
import { ExactNumber } from './json-parse.ts';
import { exactInteger, rawJson } from './plain-json.ts';
import { textOf } from './string.ts';

/** Whose JSON it is: the two differ in the names of logical types, and in maps whose keys are optional texts. Both are read. */
export type JsonDialect = 'kafka' | 'openmessaging';

export interface PayloadOptions {
  readonly dialect: JsonDialect;
  /** Decimals as JSON numbers instead of base64. */
  readonly numericDecimals: boolean;
  /** A null field with a default has the default. */
  readonly replaceNull: boolean;
}

const DAY_MS = 86_400_000;
const INTEGER_BITS: Readonly<Record<string, number>> = { int8: 8, int16: 16, int32: 32, int64: 64 };

/** A value under its schema as something that `JSON.stringify` writes faithfully. Throws `DataError` that names the place. */
export function payloadToJson(schema: Schema, value: unknown, options: PayloadOptions, at: string): unknown {
  if (value === null || value === undefined) {
    const byDefault = options.replaceNull ? schema.default : undefined;
    if (byDefault !== undefined && byDefault !== null) return payloadToJson(schema, byDefault, options, at);
    if (schema.optional === true) return null;
    throw bad(at, 'null value for field that is required and has no default value');
  }
  switch (schema.name) {
    case LogicalName.decimal: {
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') throw mismatch(schema, value, at);
      const digits = within(at, () => normalizeDecimal(String(value), scaleOf(schema, at)));
      return options.numericDecimals ? rawJson(digits) : decimalToBytes(digits, scaleOf(schema, at)).toString('base64');
    }
    case LogicalName.date:
      return dateMs(schema, value, at) / DAY_MS;
    case LogicalName.time:
    case LogicalName.timestamp:
      return dateMs(schema, value, at);
    default:
      return plainToJson(schema, value, options, at);
  }
}

function plainToJson(schema: Schema, value: unknown, options: PayloadOptions, at: string): unknown {
  switch (schema.type) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return exactInteger(integer(schema, value, at));
    case 'float32':
    case 'float64':
      if (typeof value !== 'number') throw mismatch(schema, value, at);
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      if (typeof value !== 'boolean') throw mismatch(schema, value, at);
      return value;
    case 'string': {
      const text = textOf(value, schema);
      if (text === undefined) throw mismatch(schema, value, at);
      return text;
    }
    case 'bytes':
      if (!(value instanceof Uint8Array)) throw mismatch(schema, value, at);
      return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
    case 'array':
      if (!Array.isArray(value)) throw mismatch(schema, value, at);
      return value.map((item, index) => payloadToJson(child(schema, 'values', at), item, options, `${at}[${index}]`));
    case 'map':
      return mapToJson(schema, value, options, at);
    case 'struct': {
      const fields = objectOf(schema, value, at);
      return structOf(schema, (name, field) => payloadToJson(field, fields(name), options, `${at}.${name}`));
    }
  }
}

function structOf(schema: Schema, convert: (name: string, field: Schema) => unknown): Record<string, unknown> {
  const struct: Record<string, unknown> = {};
  for (const { name, schema: field } of schema.fields ?? []) {
    const value = convert(name, field);
    if (name === '__proto__') Object.defineProperty(struct, name, { value, enumerable: true, writable: true, configurable: true });
    else struct[name] = value;
  }
  return struct;
}

function mapToJson(schema: Schema, value: unknown, options: PayloadOptions, at: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw mismatch(schema, value, at);
  const [keys, values] = [child(schema, 'keys', at), child(schema, 'values', at)];
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const pairs = entries.map(([key, entry]) => [
    payloadToJson(keys, key, options, `${at} key`),
    payloadToJson(values, entry, options, `${at}[${String(key)}]`),
  ]);
  // Kafka Connect writes an object only where every key is a text.
  const isObject = keys.type === 'string' && (keys.optional !== true || options.dialect === 'openmessaging');
  return isObject ? Object.fromEntries(pairs) : pairs;
}

/** The inverse. `json` comes from `parseExact`. */
export function payloadFromJson(schema: Schema, json: unknown, options: PayloadOptions, at: string): unknown {
  if (json === null || json === undefined) {
    if (options.replaceNull && schema.default !== undefined && schema.default !== null) return schema.default;
    if (schema.optional === true) return null;
    throw bad(at, `Invalid null value for required ${schema.type.toUpperCase()} field`);
  }
  switch (schema.name) {
    case LogicalName.decimal: {
      const scale = scaleOf(schema, at);
      if (typeof json === 'string') return within(at, () => decimalFromBytes(base64(schema, json, at), scale));
      const digits = json instanceof ExactNumber ? json.text : json;
      if (typeof digits === 'object' || typeof digits === 'boolean') throw mismatch(schema, json, at);
      return within(at, () => normalizeDecimal(String(digits), scale));
    }
    case LogicalName.date:
      return new Date(Number(integer(schema, json, at)) * DAY_MS);
    case LogicalName.time:
    case LogicalName.timestamp:
      return new Date(Number(integer(schema, json, at)));
    default:
      return plainFromJson(schema, json, options, at);
  }
}

function plainFromJson(schema: Schema, json: unknown, options: PayloadOptions, at: string): unknown {
  switch (schema.type) {
    case 'int8':
    case 'int16':
    case 'int32':
      return Number(integer(schema, json, at));
    case 'int64':
      return integer(schema, json, at);
    case 'float32':
    case 'float64':
      return float(schema, json, at);
    case 'boolean':
      if (typeof json !== 'boolean') throw mismatch(schema, json, at);
      return json;
    case 'string':
      if (typeof json !== 'string') throw mismatch(schema, json, at);
      return json;
    case 'bytes':
      if (typeof json !== 'string') throw mismatch(schema, json, at);
      return base64(schema, json, at);
    case 'array':
      if (!Array.isArray(json)) throw mismatch(schema, json, at);
      return json.map((item, index) => payloadFromJson(child(schema, 'values', at), item, options, `${at}[${index}]`));
    case 'map':
      return mapFromJson(schema, json, options, at);
    case 'struct': {
      if (Array.isArray(json)) throw mismatch(schema, json, at);
      const fields = objectOf(schema, json, at);
      return structOf(schema, (name, field) => payloadFromJson(field, fields(name), options, `${at}.${name}`));
    }
  }
}

function mapFromJson(schema: Schema, json: unknown, options: PayloadOptions, at: string): unknown {
  if (typeof json !== 'object' || json === null || json instanceof ExactNumber) throw mismatch(schema, json, at);
  const [keys, values] = [child(schema, 'keys', at), child(schema, 'values', at)];
  const entries: readonly unknown[] = Array.isArray(json) ? json : Object.entries(json);
  return new Map(
    entries.map((pair) => {
      if (!Array.isArray(pair) || pair.length !== 2) throw bad(at, 'a map that is a list must consist of pairs');
      return [
        payloadFromJson(keys, pair[0], options, `${at} key`),
        payloadFromJson(values, pair[1], options, `${at}[${String(pair[0])}]`),
      ] as const;
    }),
  );
}

/** Parsed JSON without a schema: numbers that JSON wrote exactly become what JavaScript has for them. */
export function withoutSchema(json: unknown): unknown {
  if (json instanceof ExactNumber) return Number(json.text);
  if (typeof json !== 'object' || json === null) return json;
  if (Array.isArray(json)) {
    for (let at = 0; at < json.length; at++) json[at] = withoutSchema(json[at]);
    return json;
  }
  const object = json as Record<string, unknown>;
  for (const key of Object.keys(object)) {
    if (typeof object[key] === 'object') Object.defineProperty(object, key, { value: withoutSchema(object[key]) });
  }
  return object;
}

function integer(schema: Schema, value: unknown, at: string): bigint {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) throw mismatch(schema, value, at);
  const number = BigInt(value as number | bigint);
  if (BigInt.asIntN(INTEGER_BITS[schema.type] ?? 64, number) !== number) throw bad(at, `${number} is out of the range of ${schema.type}`);
  return number;
}

function float(schema: Schema, json: unknown, at: string): number {
  if (typeof json === 'number') return json;
  if (typeof json === 'bigint') return Number(json);
  if (json instanceof ExactNumber) return Number(json.text);
  if (json === 'NaN' || json === 'Infinity' || json === '-Infinity') return Number(json);
  throw mismatch(schema, json, at);
}

function base64(schema: Schema, text: string, at: string): Buffer {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw mismatch(schema, text, at, 'base64');
  return Buffer.from(text, 'base64');
}

function dateMs(schema: Schema, value: unknown, at: string): number {
  const ms = value instanceof Date ? value.getTime() : Number.NaN;
  if (Number.isNaN(ms)) throw mismatch(schema, value, at, 'a Date');
  if (schema.name === LogicalName.date && ms % DAY_MS !== 0) throw bad(at, 'a Date must be at midnight UTC');
  if (schema.name === LogicalName.time && (ms < 0 || ms >= DAY_MS)) throw bad(at, 'a Time must be within the first day of 1970 UTC');
  return ms;
}

function scaleOf(schema: Schema, at: string): number {
  const scale = Number(schema.parameters?.['scale']);
  if (Number.isSafeInteger(scale) && Math.abs(scale) <= SCALE_MAX) return scale;
  throw bad(at, 'the schema of a Decimal must have a parameter "scale"');
}

const SCALE_MAX = 100_000;

function child(schema: Schema, name: 'keys' | 'values', at: string): Schema {
  const found = schema[name];
  if (found === undefined) throw bad(at, `a schema of type ${schema.type} has no "${name}"`);
  return found;
}

/** Reads a struct's fields out of an object or a Map, and never what an object inherits. */
function objectOf(schema: Schema, value: unknown, at: string): (name: string) => unknown {
  if (value instanceof Map) return (name) => value.get(name);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof Date) {
    throw mismatch(schema, value, at);
  }
  return (name) => (Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined);
}

function within<T>(at: string, compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    throw bad(at, (error as Error).message);
  }
}

function mismatch(schema: Schema, value: unknown, at: string, wanted: string = schema.name ?? schema.type): DataError {
  const found = Array.isArray(value) ? 'array' : value instanceof ExactNumber ? 'number' : typeof value;
  return bad(at, `expected ${wanted}, found ${found}`);
}

// Values are not shown: they may be secret.
function bad(at: string, why: string): DataError {
  const place = at.startsWith('.') ? at.slice(1) : at;
  return new DataError(place === '' ? `Conversion error: ${why}` : `Conversion error at ${place}: ${why}`, { code: 'VALUE_INVALID' });
}
