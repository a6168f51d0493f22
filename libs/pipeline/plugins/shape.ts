import { type FieldSchema, isConvertible } from '../config/values.ts';

/** Whether an export was meant as a plugin: anything else that a module exports is its own business. */
export function looksLikeDefinition(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, config, task, create } = value as Record<string, unknown>;
  return KINDS.some((known) => known === kind) || (config !== undefined && (typeof task === 'function' || typeof create === 'function'));
}

const KINDS = ['source', 'sink', 'converter', 'transform', 'predicate'] as const;

/** What is wrong with a definition, or undefined. Plugins in JavaScript have no compiler that says so. */
export function checkDefinition(value: Record<string, unknown>): string | undefined {
  const { kind, name, version, aliases, config, task, create } = value;
  if (!KINDS.some((known) => known === kind)) return `"kind" must be one of ${KINDS.join(', ')}; use defineSource and its siblings`;
  if (typeof name !== 'string' || !/^[^\s\p{Cc},]+$/u.test(name))
    return '"name" must be a text without blanks, commas and control characters';
  if (typeof version !== 'string' || version.trim() === '') return '"version" must be a text such as "1.0.0"';
  if (aliases !== undefined && !(Array.isArray(aliases) && aliases.every((alias) => typeof alias === 'string'))) {
    return '"aliases" must be a list of texts';
  }
  if (!isObjectSchema(config)) return '"config" must be a schema made with Type.Object({ ... })';
  const odd = Object.entries(config.properties).find(([, field]) => !isConvertible(field));
  if (odd !== undefined)
    return `"config" has the key "${odd[0]}", of a type that a configuration cannot have: use texts, numbers, booleans, choices and lists of them`;
  const isConnector = kind === 'source' || kind === 'sink';
  if (isConnector && typeof task !== 'function') return '"task" must be a function that creates a task';
  if (!isConnector && typeof create !== 'function') return '"create" must be a function that creates the stage from its configuration';
  for (const hook of ['validate', 'check', 'plan', 'watch', 'alterOffsets']) {
    if (isConnector && value[hook] !== undefined && typeof value[hook] !== 'function') return `"${hook}" must be a function`;
  }
  return undefined;
}

function isObjectSchema(schema: unknown): schema is { readonly properties: Readonly<Record<string, FieldSchema>> } {
  if (typeof schema !== 'object' || schema === null) return false;
  const { type, properties } = schema as Record<string, unknown>;
  return type === 'object' && typeof properties === 'object' && properties !== null;
}
