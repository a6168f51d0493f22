import { type AnyConnector, ConfigError, type Static, type TObject } from '@rocketmq-connect/sdk';
import { configError, type FieldProblem, tryConvertConfig } from './convert.ts';

/**
 * A connector's own configuration, as its plugin code gets it: texts converted by its schema, defaults applied, its rules over
 * several keys kept. `resolved` has no references left. Throws `ConfigError` with every wrong key in `fields`; its text may hold
 * values (see `hideSecrets`).
 */
export function connectorConfig<C extends TObject>(
  definition: Pick<AnyConnector, 'validate'> & { readonly config: C },
  resolved: Readonly<Record<string, string>>,
): Static<C> {
  const { values, problems } = tryConvertConfig(definition.config, resolved);
  const all = problems.length > 0 ? problems : ruleProblems(definition, values);
  if (all.length > 0) throw configError(all);
  return values as Static<C>;
}

/** What the plugin's own rules say about converted values; a rule that throws is a problem of its own. */
export function ruleProblems(definition: Pick<AnyConnector, 'validate'>, values: unknown): readonly FieldProblem[] {
  try {
    return definition.validate?.(values) ?? [];
  } catch (error) {
    if (error instanceof ConfigError && error.fields.length > 0) return error.fields;
    const field = error instanceof ConfigError ? error.field : undefined;
    return [{ field: field ?? 'connector.class', message: (error as Error).message }];
  }
}
