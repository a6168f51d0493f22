import { ConfigError } from '@rocketmq-connect/sdk';

/** Where the values of references come from: `process.env` and the file system of the task host. */
export interface ReferenceSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Synchronous; throws when the file cannot be read. */
  readonly readFile: (path: string) => string;
}

type Config = Readonly<Record<string, string>>;

/** `${env:NAME}`, `${file:/path}` or `${file:/path:key}` in a value, as written. */
export interface Reference {
  /** As written, e.g. `${file:/run/db.properties:password}`. */
  readonly text: string;
  readonly source: 'env' | 'file';
  /** Variable or path. */
  readonly name: string;
  /** Key in a properties file. */
  readonly key?: string;
}

// `$${` stands for `${` itself. Other `${...}` (a template of the plugin's own) is left as it is.
const TOKENS = /\$\$\{|\$\{(env|file):([^}]*)\}/g;

/** The references of a value, in order; none where every `${` is escaped. */
export function referencesIn(value: string): readonly Reference[] {
  const found: Reference[] = [];
  for (const match of value.matchAll(TOKENS)) {
    if (match[1] !== undefined) found.push(parse(match[0], match[1] as 'env' | 'file', match[2] ?? ''));
  }
  return found;
}

/**
 * A copy of a configuration with every reference replaced by its value. Throws `ConfigError` that names all keys with references
 * that cannot be resolved. Values are never part of an error's text.
 */
export function resolveReferences(config: Config, sources: ReferenceSources): Record<string, string> {
  const resolved: Record<string, string> = {};
  const problems: { field: string; message: string }[] = [];
  for (const [field, value] of Object.entries(config)) {
    try {
      resolved[field] = resolveValue(value, sources);
    } catch (error) {
      problems.push({ field, message: (error as Error).message });
    }
  }
  const [first] = problems;
  if (first === undefined) return resolved;
  throw new ConfigError(problems.map(({ field, message }) => `${field}: ${message}`).join('\n'), {
    code: 'REFERENCE_UNRESOLVED',
    field: first.field,
    fields: problems,
    remedy: 'Provide the variable or file on every task runner, or change the reference.',
  });
}

/** One value with its references replaced; throws an `Error` that names the reference, never a value. */
export function resolveValue(value: string, sources: ReferenceSources): string {
  if (!value.includes('${')) return value;
  return value.replace(TOKENS, (text, source: 'env' | 'file' | undefined, rest: string) =>
    source === undefined ? '${' : resolveReference(parse(text, source, rest), sources),
  );
}

/** A text in which nothing is taken for a reference: `resolveValue` gives it back as it was. */
export function escapeReferences(text: string): string {
  return text.replaceAll('${', () => '$${');
}

function parse(text: string, source: 'env' | 'file', rest: string): Reference {
  // The last colon divides path and key; a colon of a Windows drive (`C:\...`) does not.
  const colon = source === 'file' ? rest.lastIndexOf(':') : -1;
  return colon > 1 ? { text, source, name: rest.slice(0, colon), key: rest.slice(colon + 1) } : { text, source, name: rest };
}

/** The value of one reference; throws an `Error` that names it, never a value. */
export function resolveReference(reference: Reference, sources: ReferenceSources): string {
  const { text, name, key } = reference;
  if (name === '' || key === '')
    throw new Error(`the reference ${text} is not complete: write \${env:NAME}, \${file:/path} or \${file:/path:key}`);
  if (reference.source === 'env') {
    const value = sources.env[name];
    if (value === undefined) throw new Error(`the environment variable ${name} is not set; set it for the task runner, or correct ${text}`);
    return value;
  }
  let content: string;
  try {
    content = sources.readFile(name);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new Error(`the file ${name} cannot be read (${code}); put it on the task runner, or correct ${text}`);
  }
  if (key === undefined) return content.replace(/\r?\n$/, '');
  const value = parseProperties(content).get(key);
  if (value === undefined) throw new Error(`the file ${name} has no key ${key}; add it, or correct ${text}`);
  return value;
}

/** Java's properties format: `#` and `!` comments, `=`, `:` or blank as separator, `\` continues a line and escapes. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  const lines = text.split(/\r\n|\r|\n/);
  for (let at = 0; at < lines.length; at++) {
    let line = (lines[at] ?? '').trimStart();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    while (/(^|[^\\])(\\\\)*\\$/.test(line) && at + 1 < lines.length) line = line.slice(0, -1) + (lines[++at] ?? '').trimStart();
    const [, key = '', value = ''] = /^((?:\\.|[^\\=:\s])*)(?:\s*[=:]\s*|\s+|$)(.*)$/s.exec(line) ?? [];
    properties.set(unescaped(key), unescaped(value));
  }
  return properties;
}

function unescaped(text: string): string {
  const controls: Record<string, string> = { t: '\t', n: '\n', r: '\r', f: '\f' };
  return text.replace(/\\(u[0-9a-fA-F]{4}|.|$)/gs, (_, escaped: string) =>
    escaped.length === 5 ? String.fromCharCode(Number.parseInt(escaped.slice(1), 16)) : (controls[escaped] ?? escaped),
  );
}
