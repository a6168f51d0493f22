import { ConnectError, HIDDEN, isSecretName } from '@rocketmq-connect/sdk';
import { escapeReferences, type ReferenceSources, referencesIn, resolveReference } from './references.ts';

type Config = Readonly<Record<string, string>>;

const SHORTEST_TO_HIDE = 4;

/**
 * The values that must not be seen, for `hideSecrets`: of every reference, and of secret keys. `original` still has the references,
 * `resolved` has their values.
 */
export function secretValues(
  original: Config,
  resolved: Config,
  sources: ReferenceSources,
  secretKeys: readonly string[] = [],
): readonly string[] {
  const secrets = new Set<string>();
  for (const [key, value] of Object.entries(resolved)) {
    const references = referencesIn(original[key] ?? '');
    if (references.length > 0 || secretKeys.includes(key) || isSecretName(key)) secrets.add(value);
    // A reference may be a part of its value only (a URL with a password), and must not be seen alone either.
    for (const reference of references) secrets.add(resolveReference(reference, sources));
  }
  return longEnough(secrets);
}

/**
 * Replaces secret values in a text, also as they appear inside JSON and URLs. Values under four characters stay: they would tear
 * every text apart, and protect nothing.
 */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  let hidden = text;
  for (const secret of secrets) {
    if (secret.length < SHORTEST_TO_HIDE) continue;
    for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret.toWellFormed())])) {
      hidden = hidden.replaceAll(form, HIDDEN);
    }
  }
  return hidden;
}

/** The same error, of the same kind, with secrets hidden in its message, stack, fields and causes. */
export function hideSecretsInError(error: unknown, secrets: readonly string[], depth = 0): unknown {
  if (secrets.length === 0) return error;
  if (typeof error === 'string') return hideSecrets(error, secrets);
  if (!(error instanceof Error)) return error;
  const clean = (text: string): string => hideSecrets(text, secrets);
  const cause = error.cause === undefined || depth > 8 ? undefined : hideSecretsInError(error.cause, secrets, depth + 1);
  const context = cause === undefined ? {} : { cause };
  const copy =
    error instanceof ConnectError
      ? new ConnectError(error.kind, clean(error.message), {
          ...context,
          code: error.code,
          ...(error.field === undefined ? {} : { field: error.field }),
          ...(error.remedy === undefined ? {} : { remedy: clean(error.remedy) }),
          fields: error.fields.map(({ field, message }) => ({ field, message: clean(message) })),
        })
      : new Error(clean(error.message), context);
  copy.name = error.name;
  if (error.stack !== undefined) copy.stack = clean(error.stack);
  return copy;
}

/**
 * A planned task configuration as it may be stored: where a value holds what a reference was resolved to, it gets the reference
 * back; anything else that looks like a reference is escaped. `original` has the references, `resolved` their values.
 */
export function restoreReferences(planned: Config, original: Config, resolved: Config): Record<string, string> {
  const written = new Map<string, string>();
  for (const [key, text] of Object.entries(original)) {
    const value = resolved[key];
    if (value !== undefined && referencesIn(text).length > 0 && !text.endsWith('$')) written.set(value, text);
  }
  const values = longEnough(written.keys());
  const restored: Record<string, string> = {};
  for (const [key, value] of Object.entries(planned)) {
    const own = original[key];
    restored[key] = own !== undefined && resolved[key] === value ? own : restore(value, values, written);
  }
  return restored;
}

function restore(text: string, values: readonly string[], written: ReadonlyMap<string, string>): string {
  for (const value of values) {
    const pieces = text.split(value);
    // `$` before a reference would escape it.
    if (pieces.length === 1 || pieces.slice(0, -1).some((piece) => piece.endsWith('$'))) continue;
    return pieces.map((piece) => restore(piece, values, written)).join(written.get(value));
  }
  return escapeReferences(text);
}

// The longest first, so that a secret which contains another disappears whole.
function longEnough(values: Iterable<string>): readonly string[] {
  return [...values].filter((value) => value.length >= SHORTEST_TO_HIDE).sort((a, b) => b.length - a.length);
}
