import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { registry } from '@rocketmq-connect/mesh/descriptor-files';
import { asObject } from '../json-body.ts';
import { badField } from '../problem.ts';

interface RequestParts {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/**
 * Makes the proto3 JSON of a request from its parts, and checks it: generated `fromJSON` functions take anything, dropping what they do
 * not know and turning the rest into text, which would answer a typing error with success.
 */
export function messageShape(service: string, method: string): { request(parts: RequestParts): unknown } {
  const message = registry.getService(service)?.methods.find((candidate) => candidate.name === method)?.input;
  if (message === undefined) throw new Error(`no descriptor of ${service}/${method}`);
  return {
    request({ params, query, body }) {
      const json: Record<string, unknown> = body === undefined ? {} : { ...checkMessage(message, body, '') };
      for (const name of new Set(query.keys())) {
        const field = requireField(message, name, '');
        const values = query.getAll(name).map((value) => checkScalar(field, fromText(field, value), name));
        json[field.jsonName] = field.fieldKind === 'list' ? values : values.at(-1);
      }
      for (const [name, value] of Object.entries(params)) {
        const field = requireField(message, name, '');
        delete json[field.name];
        json[field.jsonName] = checkScalar(field, fromText(field, value), name);
      }
      return json;
    },
  };
}

function checkMessage(message: DescMessage, value: unknown, at: string): Readonly<Record<string, unknown>> {
  const object = asObject(value, at === '' ? 'the body' : at);
  for (const [key, entry] of Object.entries(object)) {
    const path = at === '' ? key : `${at}.${key}`;
    const field = requireField(message, key, at);
    if (entry === null) continue; // proto3 JSON: the default
    if (field.fieldKind === 'list') checkList(field, entry, path);
    else if (field.fieldKind === 'map') checkMap(field, entry, path);
    else if (field.fieldKind === 'message') checkMessage(field.message, entry, path);
    else checkScalar(field, entry, path);
  }
  return object;
}

function checkList(field: DescField & { fieldKind: 'list' }, value: unknown, path: string): void {
  if (!Array.isArray(value)) throw badField(path, `${path} must be a list`);
  for (const [index, item] of value.entries()) {
    if (field.listKind === 'message') checkMessage(field.message, item, `${path}[${index}]`);
    else checkScalar(field, item, `${path}[${index}]`);
  }
}

function checkMap(field: DescField & { fieldKind: 'map' }, value: unknown, path: string): void {
  for (const [key, item] of Object.entries(asObject(value, path))) {
    if (field.mapKind === 'message') checkMessage(field.message, item, `${path}.${key}`);
    else checkScalar(field, item, `${path}.${key}`);
  }
}

/** Of a scalar or enum field, or an element of a list or map of such. */
function checkScalar(field: DescField, value: unknown, path: string): unknown {
  if (field.enum !== undefined) return checkEnum(field.enum, value, path);
  if (field.scalar === undefined) throw badField(path, `${path} cannot stand here`, 'send it in the body');
  const [expected, fits] = scalarRule(field.scalar);
  if (!fits(value)) throw badField(path, `${path} must be ${expected}`);
  return value;
}

function checkEnum(type: DescEnum, value: unknown, path: string): unknown {
  if (type.values.some(({ name, number }) => name === value || number === value)) return value;
  throw badField(path, `${path} must be one of ${type.values.map(({ name }) => name).join(', ')}`);
}

type Rule = readonly [expected: string, fits: (value: unknown) => boolean];

function scalarRule(type: ScalarType): Rule {
  switch (type) {
    case ScalarType.STRING:
      return ['a string', (value) => typeof value === 'string'];
    case ScalarType.BOOL:
      return ['true or false', (value) => typeof value === 'boolean'];
    case ScalarType.BYTES:
      return ['base64 text', (value) => typeof value === 'string' && /^[\w+/-]*={0,2}$/.test(value)];
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return ['a number', (value) => typeof value === 'number'];
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return ['an integer of 64 bits, as text beyond 2^53', (value) => isInteger(value, -(2n ** 63n), 2n ** 63n - 1n)];
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return ['a positive integer of 64 bits, as text beyond 2^53', (value) => isInteger(value, 0n, 2n ** 64n - 1n)];
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return ['a positive integer of 32 bits', (value) => isInteger(value, 0n, 2n ** 32n - 1n)];
    default:
      return ['an integer of 32 bits', (value) => isInteger(value, -(2n ** 31n), 2n ** 31n - 1n)];
  }
}

function isInteger(value: unknown, least: bigint, greatest: bigint): boolean {
  const text = Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== 'string' || !/^-?\d{1,20}$/.test(text)) return false;
  const integer = BigInt(text);
  return integer >= least && integer <= greatest;
}

/** A path or query parameter as JSON would have it. */
function fromText(field: DescField, text: string): unknown {
  if (field.scalar === ScalarType.BOOL) return text === 'true' || (text === 'false' ? false : text);
  if (field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT) return text === '' ? text : Number(text);
  return text;
}

function requireField(message: DescMessage, key: string, at: string): DescField {
  const field = message.fields.find((candidate) => candidate.jsonName === key || candidate.name === key);
  if (field !== undefined) return field;
  const path = at === '' ? key : `${at}.${key}`;
  throw badField(
    path,
    `Unrecognized field "${path}"`,
    `the fields are ${message.fields.map(({ jsonName }) => jsonName).join(', ') || 'none'}`,
  );
}
