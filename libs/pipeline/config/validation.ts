import type { LogCapabilities } from '@rocketmq-connect/message-log';
import { type AnyConnector, ConfigError, HIDDEN, isSecretName, type Static, type TObject } from '@rocketmq-connect/sdk';
import type { ConfigKeyInfo, ConfigValidation, PluginInfo } from '../host-protocol.ts';
import { type AnyPlugin, type Catalogue, pluginInfo } from '../plugins/catalogue.ts';
import { configError, type FieldProblem, invalid, missing, tryConvertConfig } from './convert.ts';
import { configKeys, fieldsOf } from './definition.ts';
import { MESH_KEYS, PipelineKeys } from './keys.ts';
import { type ReferenceSources, referencesIn, resolveReference, resolveValue } from './references.ts';
import { pipelineRules, pipelineWarnings } from './rules.ts';
import { hideSecrets } from './secrets.ts';
import { type Section, sectionsOf } from './sections.ts';
import { typoWarnings } from './typos.ts';
import { convertValue, type FieldSchema } from './values.ts';

type Config = Readonly<Record<string, string>>;

/**
 * A connector's own configuration, as its plugin code gets it: texts converted by its schema, defaults applied, its rules over
 * several keys kept. `resolved` has no references left. Throws `ConfigError` with every wrong key in `fields`; its text may hold
 * values (see `hideSecrets`).
 */
export function connectorConfig<C extends TObject>(
  definition: { readonly config: C } & Rules<Static<C>>,
  resolved: Readonly<Record<string, string>>,
): Static<C> {
  const { values, problems } = tryConvertConfig(definition.config, resolved);
  const all = problems.length > 0 ? problems : ruleProblems(definition, values as Static<C>);
  if (all.length > 0) throw configError(all);
  return values as Static<C>;
}

interface Rules<T> {
  readonly validate?: ((config: T) => readonly FieldProblem[]) | undefined;
}

/** What the plugin's own rules say about converted values; a rule that throws is a problem of its own. */
function ruleProblems<T>(definition: Rules<T>, values: T): readonly FieldProblem[] {
  try {
    return definition.validate?.(values) ?? [];
  } catch (error) {
    if (error instanceof ConfigError && error.fields.length > 0) return error.fields;
    const field = error instanceof ConfigError ? error.field : undefined;
    return [{ field: field ?? 'connector.class', message: (error as Error).message }];
  }
}

/** The keys of a plugin of any kind: its own, and for connectors those that every connector has. Throws `ConfigError`. */
export function describePlugin(catalogue: Catalogue, name: string, version?: string): { plugin: PluginInfo; keys: ConfigKeyInfo[] } {
  const plugin: AnyPlugin = catalogue.plugin(name, version);
  const own = configKeys(plugin.config);
  if (plugin.kind !== 'source' && plugin.kind !== 'sink') return { plugin: pluginInfo(plugin), keys: own };
  const names = new Set(own.map((key) => key.name));
  const common = configKeys(PipelineKeys[plugin.kind]).filter((key) => !names.has(key.name));
  const keys = [...own, ...common].map((key) => (key.name === 'connector.plugin.version' ? { ...key, defaultValue: plugin.version } : key));
  return { plugin: pluginInfo(plugin), keys };
}

/**
 * Checks a connector's configuration, references and all, in Kafka Connect's shape and words. Problems are in the answer; throws
 * `ConfigError` only where no such connector exists. With `sources` references are checked by their values as far as they can be
 * resolved here; no resolved value is ever in the answer. `plugin` may be '' to take `connector.class`. What `log` cannot do is refused.
 */
export function validateConnector(
  catalogue: Catalogue,
  plugin: string,
  config: Config,
  sources?: ReferenceSources,
  log: LogCapabilities = EVERYTHING,
): ConfigValidation {
  const definition = catalogue.connector(plugin || classOf(config), config['connector.plugin.version']?.trim());
  const { resolved, unresolved, secrets, warnings } = resolveWherePossible(config, sources);
  const known = Object.fromEntries(Object.entries(resolved).filter(([key]) => !unresolved.has(key)));
  const { sections, choices, problems } = sectionsOf(definition, known, catalogue);

  const values = new Map<string, ConfigValidation['values'][number]>();
  const own: Record<string, unknown> = {};
  for (const section of sections) {
    const keys = configKeys(section.schema, section.prefix, section.group);
    fieldsOf(section.schema).forEach(([key, field, required], index) => {
      const info = keys[index];
      if (info === undefined) return;
      const choice = choices.get(info.name);
      const defined = choice?.byDefault === undefined ? info : { ...info, defaultValue: choice.byDefault };
      const checked = checkValue(defined, field, required, config[info.name], unresolved.has(info.name) ? undefined : resolved[info.name]);
      // A connector's key of the same name as a common one is the connector's.
      values.delete(info.name);
      values.set(info.name, {
        definition: defined,
        value: checked.shown,
        recommendedValues: choice?.recommended ?? [],
        errors: checked.errors,
        visible: true,
      });
      if (section.schema === definition.config && checked.value !== undefined) own[key] = checked.value;
    });
  }

  const isComplete = ownKeys(sections, definition).every((key) => !unresolved.has(key) && values.get(key)?.errors.length === 0);
  const all = [
    ...problems,
    ...referenceProblems(config),
    ...pipelineRules(definition, resolved, log),
    ...(isComplete ? ruleProblems(definition, own) : []),
  ];
  for (const { field, message } of all) addError(values, field, message);
  const secretKeys = new Set([
    ...[...values.values()].flatMap(({ definition: key }) => (key.secret ? [key.name] : [])),
    ...Object.keys(config).filter(isSecretName),
  ]);
  const hidden = [...secrets, ...[...secretKeys].flatMap((key) => resolved[key] ?? [])].sort((a, b) => b.length - a.length);
  const shown = [...values.values()].map((value) => ({ ...value, errors: value.errors.map((error) => hideSecrets(error, hidden)) }));

  return {
    name: config['connector.class'] ?? plugin,
    type: definition.kind,
    version: definition.version,
    errorCount: shown.reduce((count, value) => count + value.errors.length, 0),
    groups: [...new Set(shown.map((value) => value.definition.group).filter((group) => group !== ''))],
    values: shown,
    secretKeys: [...secretKeys],
    warnings: [...warnings, ...pipelineWarnings(definition, resolved, log), ...typoWarnings(config, values.keys())],
  };
}

function referenceProblems(config: Config): readonly FieldProblem[] {
  return MESH_KEYS.filter((key) => referencesIn(config[key] ?? '').length > 0).map((field) => {
    return { field, message: invalid(field, config[field] ?? '', 'It is read where no reference is resolved: write the value itself') };
  });
}

/** Of a log that is not known here. */
const EVERYTHING: LogCapabilities = { assign: true, subscribe: true, createTopic: true, delay: true, processes: true, dottedTopics: true };

function classOf(config: Config): string {
  const name = config['connector.class']?.trim() ?? '';
  if (name !== '') return name;
  const shown = Object.entries(config).map(([key, value]) => `${key}=${isSecretName(key) ? HIDDEN : value}`);
  throw new ConfigError(`Connector config {${shown.join(', ')}} contains no connector type`, {
    field: 'connector.class',
    remedy: 'Add connector.class with the name of a connector plugin.',
  });
}

interface Resolution {
  readonly resolved: Config;
  /** Keys whose references have no value here: their texts cannot be checked. */
  readonly unresolved: ReadonlySet<string>;
  readonly secrets: readonly string[];
  readonly warnings: readonly string[];
}

function resolveWherePossible(config: Config, sources: ReferenceSources | undefined): Resolution {
  const resolved: Record<string, string> = {};
  const unresolved = new Set<string>();
  const secrets = new Set<string>();
  const warnings: string[] = [];
  for (const [key, text] of Object.entries(config)) {
    const references = referencesIn(text);
    try {
      if (references.length > 0 && sources === undefined) throw new Error('not looked up');
      resolved[key] = resolveValue(text, sources ?? { env: {}, readFile: () => '' });
      if (references.length > 0) secrets.add(resolved[key]);
      for (const reference of references) if (sources !== undefined) secrets.add(resolveReference(reference, sources));
    } catch (error) {
      resolved[key] = text;
      unresolved.add(key);
      if (sources !== undefined) warnings.push(`${key}: ${(error as Error).message}`);
    }
  }
  return { resolved, unresolved, secrets: [...secrets], warnings };
}

interface CheckedValue {
  readonly shown: string | null;
  readonly errors: readonly string[];
  readonly value?: unknown;
}

function checkValue(
  key: ConfigKeyInfo,
  field: FieldSchema,
  required: boolean,
  text: string | undefined,
  resolved: string | undefined,
): CheckedValue {
  if (text === undefined) return { shown: key.defaultValue, errors: required ? [missing(key.name)] : [], value: field.default };
  const shown = showable(key, text);
  if (resolved === undefined) return { shown, errors: [] };
  const result = convertValue(field, resolved);
  if (result.ok) return { shown, errors: [], value: result.value };
  const errors = [invalid(key.name, shown, result.error)];
  // Kafka Connect goes on to check the range of the number that is not there; its clients count the errors.
  if (result.error.startsWith('Not a number') && field.minimum !== undefined && key.group === 'Common') {
    errors.push(invalid(key.name, null, 'Value must be non-null'));
  }
  return { shown: null, errors };
}

/** What the user wrote; of a secret only references. */
function showable(key: ConfigKeyInfo, text: string): string {
  if (!key.secret) return referencesIn(text).length > 0 ? text : text.trim();
  const references = referencesIn(text);
  return text !== '' && references.map((reference) => reference.text).join('') === text ? text : HIDDEN;
}

function ownKeys(sections: readonly Section[], definition: AnyConnector): readonly string[] {
  return sections.filter((section) => section.schema === definition.config).flatMap((section) => Object.keys(section.schema.properties));
}

/** Puts an error to its key; one about a key that is not defined goes to the connector's class, so that it is seen. */
function addError(values: Map<string, ConfigValidation['values'][number]>, field: string, message: string): void {
  const name = values.has(field) ? field : 'connector.class';
  const value = values.get(name);
  if (value !== undefined && !value.errors.includes(message)) values.set(name, { ...value, errors: [...value.errors, message] });
}
