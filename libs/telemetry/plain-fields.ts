import { ConnectError, HIDDEN, isSecretName } from '@rocketmq-connect/sdk';

const DEPTH_MAX = 6;

/** Fields as JSON can show them: secrets masked, errors with what they tell, nothing endless. */
export function plainFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, isSecret(key, value) ? HIDDEN : plain(value, DEPTH_MAX)]));
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return `<${value.byteLength} bytes>`;
  if (depth === 0) return '…';
  if (value instanceof Error) return plainError(value, depth);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth - 1));
  const entries = value instanceof Map ? [...value].map(([key, item]) => [String(key), item] as const) : Object.entries(value);
  return Object.fromEntries(entries.map(([key, item]) => [key, isSecret(key, item) ? HIDDEN : plain(item, depth - 1)]));
}

/** Errors of the family explain themselves; of others the stack says where. */
function plainError(error: Error, depth: number): Record<string, unknown> {
  const cause = error.cause === undefined ? {} : { cause: plain(error.cause, depth - 1) };
  if (!(error instanceof ConnectError)) return { name: error.name, message: error.message, stack: error.stack, ...cause };
  const { name, kind, code, message, field, remedy, fields } = error;
  return { name, kind, code, message, field, remedy, ...(fields.length === 0 ? {} : { fields }), ...cause };
}

function isSecret(key: string, value: unknown): boolean {
  // An owner's token is a number and no secret.
  if (typeof value === 'number' || typeof value === 'bigint' || value === undefined) return false;
  return isSecretName(key) || /^(proxy-)?authorization$|^(set-)?cookie$/i.test(key);
}
