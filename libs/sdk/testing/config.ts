import type { Static, TObject } from 'typebox';
import { Check, Convert, Default, Errors } from 'typebox/value';
import { ConfigError } from '../errors.ts';

interface Configured<C extends TObject> {
  readonly config: C;
  readonly validate?: (config: Static<C>) => readonly { readonly field: string; readonly message: string }[];
}

/**
 * A connector's configuration out of the texts that users write: defaults applied, texts converted, rules checked; keys of others
 * (`name`, `topics`, …) are left out. Throws `ConfigError` with the fields at fault.
 */
export function typedConfig<C extends TObject>(definition: Configured<C>, texts: Readonly<Record<string, string>>): Static<C> {
  const own = Object.fromEntries(Object.entries(texts).filter(([key]) => key in definition.config.properties));
  const values: unknown = Convert(definition.config, Default(definition.config, own));
  if (!Check(definition.config, values)) throw refusal(Errors(definition.config, values).map(problemOf));
  const problems = definition.validate?.(values as Static<C>) ?? [];
  if (problems.length > 0) throw refusal(problems);
  return values as Static<C>;
}

function refusal(fields: readonly { readonly field: string; readonly message: string }[]): ConfigError {
  const [first] = fields;
  return new ConfigError(fields.map(({ field, message }) => `${field}: ${message}`).join('\n'), {
    fields,
    ...(first === undefined ? {} : { field: first.field }),
  });
}

function problemOf(error: { readonly instancePath: string; readonly params: object; readonly message: string }): {
  readonly field: string;
  readonly message: string;
} {
  const missing: unknown = 'requiredProperties' in error.params ? error.params.requiredProperties : undefined;
  const field = Array.isArray(missing) ? missing.join(', ') : error.instancePath.slice(1);
  return { field, message: error.message };
}
