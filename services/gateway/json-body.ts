import { isUtf8 } from 'node:buffer';
import { jsonFault } from './json-fault.ts';
import { badField, type Problem, problem } from './problem.ts';

/** Parses a JSON body; says where it is broken. Integers beyond 2^53 keep their digits (they are written back as they came). */
export function parseJson(bytes: Buffer): unknown {
  // Decoded all the same, broken bytes would become other characters: another path, another password.
  if (!isUtf8(bytes)) throw problem(400, 'the body is not UTF-8', { remedy: 'send one JSON object, in UTF-8' });
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text, exactIntegers);
  } catch {
    const fault = jsonFault(text) ?? 'it is nested too deeply';
    throw problem(400, `the body is not valid JSON: ${fault}`, { remedy: 'send one JSON object, in UTF-8' });
  }
}

// TypeScript does not know the third argument of a reviver yet, nor JSON.rawJSON.
const { rawJSON, isRawJSON } = JSON as unknown as { rawJSON(text: string): unknown; isRawJSON(value: unknown): boolean };
const exactIntegers = ((_key: string, value: unknown, { source }: { source?: string }) =>
  typeof value === 'number' && source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(value)
    ? rawJSON(source)
    : value) as (key: string, value: unknown) => unknown;

/** The body as an object of no other fields than `known`. */
export function objectBody(body: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  const object = asObject(body, 'the body');
  for (const key of Object.keys(object)) {
    if (!known.includes(key)) throw badField(key, `Unrecognized field "${key}"`, `the fields are ${known.join(', ')}`);
  }
  return object;
}

export function asObject(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (value === undefined) {
    throw problem(400, `${field} is missing`, { ...(field === 'the body' ? {} : { field }), remedy: 'send a JSON object' });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw field === 'the body' ? problem(400, 'the body must be a JSON object') : badField(field, `${field} must be a JSON object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

/** A configuration: texts by key. Numbers and booleans are taken as their text, as Kafka Connect does. */
export function configOf(value: unknown, field: string): Record<string, string> {
  const config: Record<string, string> = {};
  for (const [key, entry] of Object.entries(asObject(value, field))) {
    const text = configValue(entry, field === 'the body' ? key : `${field}.${key}`);
    if (text === null) throw nullValue(field === 'the body' ? key : `${field}.${key}`);
    setOwn(config, key, text);
  }
  return config;
}

/** null asks a patch to remove the key. */
export function configValue(value: unknown, field: string): string | null {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (isRawJSON(value)) return JSON.stringify(value);
  throw badField(field, `${field} must be a string`, 'write lists and objects as text, e.g. "a,b"');
}

/** Also for a key like `__proto__`. */
export function setOwn(object: Record<string, string>, key: string, value: string): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

function nullValue(field: string): Problem {
  const message =
    'Connector configuration is invalid and contains the following 1 error(s):\n' +
    'Null value can not be supplied as the configuration value.\n' +
    'You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`';
  return badField(field, message, 'leave the key out, or give it a value');
}
