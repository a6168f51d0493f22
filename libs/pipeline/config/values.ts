import { compilePattern } from './pattern.ts';

/** The parts of a JSON schema (as TypeBox writes it) that a configuration field may use, with our annotations (`ConfigMetadata`). */
export interface FieldSchema {
  readonly type?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly FieldSchema[];
  readonly items?: FieldSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly pattern?: string;
  /** `regex`: the text must be a regular expression. */
  readonly format?: string;
  readonly default?: unknown;
  readonly title?: string;
  readonly description?: string;
  readonly importance?: 'high' | 'medium' | 'low';
  readonly group?: string;
  readonly order?: number;
  readonly width?: 'short' | 'medium' | 'long';
  readonly secret?: boolean;
  readonly topic?: boolean;
  /** Kafka Connect's name of the type, where the schema does not tell. */
  readonly configType?: ConfigType;
}

export type ConfigType = 'STRING' | 'INT' | 'LONG' | 'DOUBLE' | 'BOOLEAN' | 'LIST' | 'PASSWORD' | 'CLASS';

export type Converted = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string };

/** A configuration text as the value that the schema asks for; errors in Kafka Connect's words. */
export function convertValue(schema: FieldSchema, text: string): Converted {
  // Kafka Connect trims every value; a secret may begin or end with a blank.
  const trimmed = schema.secret === true ? text : text.trim();
  const choices = choicesOf(schema);
  if (choices !== undefined) {
    const chosen = choices.find((choice) => String(choice) === trimmed);
    return chosen === undefined ? failed(`String must be one of: ${choices.join(', ')}`) : converted(chosen);
  }
  if (schema.anyOf !== undefined) return firstThatFits(schema.anyOf, trimmed);
  switch (schema.type) {
    case 'string':
      return convertString(schema, trimmed);
    case 'boolean':
      if (/^(true|false)$/i.test(trimmed)) return converted(trimmed.toLowerCase() === 'true');
      return failed('Expected value to be either true or false');
    case 'integer':
    case 'number':
      return convertNumber(schema, trimmed);
    case 'array':
      return convertList(schema, trimmed);
    default:
      return failed('The plugin declares this key with a type that a configuration cannot have');
  }
}

/** Whether `convertValue` can do anything with a field of this schema. */
export function isConvertible(schema: FieldSchema): boolean {
  if (choicesOf(schema) !== undefined) return true;
  if (schema.anyOf !== undefined) return schema.anyOf.every(isConvertible);
  if (schema.type === 'array') return schema.items !== undefined && schema.items.type !== 'array' && isConvertible(schema.items);
  return ['string', 'boolean', 'integer', 'number'].some((type) => type === schema.type);
}

/** The literals of an enumeration or a union of literals, or undefined. */
export function choicesOf(schema: FieldSchema): readonly unknown[] | undefined {
  if (schema.const !== undefined) return [schema.const];
  if (schema.enum !== undefined) return schema.enum;
  if (schema.anyOf === undefined || !schema.anyOf.every((branch) => branch.const !== undefined)) return undefined;
  return schema.anyOf.map((branch) => branch.const);
}

/** Kafka Connect's name of the type. */
export function configType(schema: FieldSchema): ConfigType {
  if (schema.configType !== undefined) return schema.configType;
  if (schema.secret === true) return 'PASSWORD';
  if (schema.type === 'integer') return (schema.maximum ?? 0) > 0x7fffffff ? 'LONG' : 'INT';
  if (schema.type === 'number') return 'DOUBLE';
  if (schema.type === 'boolean') return 'BOOLEAN';
  return schema.type === 'array' ? 'LIST' : 'STRING';
}

/** A default as users would write it; null where there is none. */
export function defaultText(schema: FieldSchema): string | null {
  if (schema.default === undefined || schema.default === null) return null;
  return Array.isArray(schema.default) ? schema.default.join(',') : String(schema.default);
}

/** The entries of a comma list; blanks around them do not count, empty text is no entry. */
export function listOf(text: string | undefined): readonly string[] {
  if (text === undefined || text.trim() === '') return [];
  return text.split(',').map((entry) => entry.trim());
}

function convertString(schema: FieldSchema, text: string): Converted {
  const length = [...text].length;
  if (schema.minLength === 1 && length === 0) return failed('String may not be empty');
  if (length < (schema.minLength ?? 0)) return failed(`String must have at least ${schema.minLength} characters`);
  if (length > (schema.maxLength ?? Infinity)) return failed(`String must have at most ${schema.maxLength} characters`);
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(text)) return failed(`String must match ${schema.pattern}`);
  if (schema.format === 'regex' && text !== '') {
    try {
      compilePattern(text);
    } catch (error) {
      return failed((error as Error).message);
    }
  }
  return converted(text);
}

function convertNumber(schema: FieldSchema, text: string): Converted {
  const isNumber = schema.type === 'integer' ? /^[+-]?\d+$/.test(text) : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  const value = Number(text);
  if (!isNumber || (schema.type === 'integer' ? !Number.isSafeInteger(value) : !Number.isFinite(value))) {
    return failed(`Not a number of type ${configType(schema)}`);
  }
  if (value < (schema.minimum ?? -Infinity)) return failed(`Value must be at least ${schema.minimum}`);
  if (value > (schema.maximum ?? Infinity)) return failed(`Value must be no more than ${schema.maximum}`);
  if (value <= (schema.exclusiveMinimum ?? -Infinity)) return failed(`Value must be more than ${schema.exclusiveMinimum}`);
  if (value >= (schema.exclusiveMaximum ?? Infinity)) return failed(`Value must be less than ${schema.exclusiveMaximum}`);
  return converted(value);
}

function convertList(schema: FieldSchema, text: string): Converted {
  const entries = listOf(text);
  if (entries.includes('')) return failed('List must not have an empty entry');
  if (entries.length < (schema.minItems ?? 0)) return failed(`List must have at least ${schema.minItems} entries`);
  if (entries.length > (schema.maxItems ?? Infinity)) return failed(`List must have at most ${schema.maxItems} entries`);
  if (schema.uniqueItems === true && new Set(entries).size < entries.length) return failed('List must not have an entry twice');
  const values: unknown[] = [];
  for (const entry of entries) {
    const item = convertValue(schema.items ?? { type: 'string' }, entry);
    if (!item.ok) return item;
    values.push(item.value);
  }
  return converted(values);
}

function firstThatFits(branches: readonly FieldSchema[], text: string): Converted {
  const results = branches.map((branch) => convertValue(branch, text));
  const fitting = results.find((result) => result.ok);
  return fitting ?? failed(results.flatMap((result) => (result.ok ? [] : [result.error])).join(', or: '));
}

function converted(value: unknown): Converted {
  return { ok: true, value };
}

function failed(error: string): Converted {
  return { ok: false, error };
}
