import { ConfigError, HIDDEN, type Static, type TObject } from '@rocketmq-connect/sdk';
import { fieldsOf } from './definition.ts';
import { convertValue } from './values.ts';

export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

/**
 * The values of a schema's keys out of a configuration of texts: converted, defaults applied, other keys left out. Keys in the
 * configuration begin with `prefix`. Throws `ConfigError` that names every wrong key.
 */
export function convertConfig<C extends TObject>(schema: C, config: Readonly<Record<string, string>>, prefix = ''): Static<C> {
  const { values, problems } = tryConvertConfig(schema, config, prefix);
  if (problems.length > 0) throw configError(problems);
  return values as Static<C>;
}

/** The same, with the problems instead of an error. */
export function tryConvertConfig(
  schema: TObject,
  config: Readonly<Record<string, string>>,
  prefix = '',
): { readonly values: Record<string, unknown>; readonly problems: readonly FieldProblem[] } {
  const values: Record<string, unknown> = {};
  const problems: FieldProblem[] = [];
  for (const [key, field, required] of fieldsOf(schema)) {
    const name = prefix + key;
    const text = config[name];
    if (text === undefined) {
      if (required) problems.push({ field: name, message: missing(name) });
      else if (field.default !== undefined) values[key] = field.default;
      continue;
    }
    const result = convertValue(field, text);
    if (result.ok) values[key] = result.value;
    else problems.push({ field: name, message: invalid(name, field.secret === true ? HIDDEN : text, result.error) });
  }
  return { values, problems };
}

/** One error for all problems; its text is the list of theirs. */
export function configError(problems: readonly FieldProblem[]): ConfigError {
  const [first] = problems;
  return new ConfigError(problems.map(({ message }) => message).join('\n'), {
    fields: problems,
    remedy: 'Correct the configuration of the connector.',
    ...(first === undefined ? {} : { field: first.field }),
  });
}

export function missing(field: string): string {
  return `Missing required configuration "${field}" which has no default value.`;
}

export function invalid(field: string, shown: string | null, reason: string): string {
  return `Invalid value ${shown} for configuration ${field}: ${reason}`;
}
