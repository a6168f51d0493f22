import { type AnyConnector, type AnyStage, type ConfigError, type TObject, Type } from '@rocketmq-connect/sdk';
import { type Catalogue, className, type StageKind } from '../plugins/catalogue.ts';
import { DEFAULT_CONVERTERS } from '../stages/converters.ts';
import type { FieldProblem } from './convert.ts';
import { invalid } from './convert.ts';
import { PipelineKeys } from './keys.ts';
import { topicGroupSections } from './topic-creation.ts';
import { listOf } from './values.ts';

type Config = Readonly<Record<string, string>>;

/** Keys that belong together: those of a schema, below a prefix. */
export interface Section {
  readonly prefix: string;
  readonly schema: TObject;
  /** For all its keys; undefined leaves it to the schema. */
  readonly group?: string;
}

/** What a key may be, beyond its schema. */
export interface Choice {
  readonly recommended: readonly string[];
  readonly byDefault?: string;
}

export interface Sections {
  /** In the order of Kafka Connect's answer: the common keys, those of the stages, the connector's own. */
  readonly sections: readonly Section[];
  readonly choices: ReadonlyMap<string, Choice>;
  /** Stages that do not exist, and predicates that nobody defined. */
  readonly problems: readonly FieldProblem[];
}

/** All keys that a connector's configuration has, once its converters, transforms and predicates are known. */
export function sectionsOf(definition: AnyConnector, config: Config, catalogue: Catalogue): Sections {
  const sections: Section[] = [{ prefix: '', schema: PipelineKeys[definition.kind] }];
  const choices = new Map<string, Choice>();
  const problems: FieldProblem[] = [];

  /** The stage that a key names; its class and version keys get their choices. */
  const stage = (kind: StageKind, field: string, versionField: string, name: string): AnyStage | undefined => {
    choices.set(field, { recommended: classesOf(catalogue, kind) });
    try {
      const newest = catalogue.stage(kind, name);
      choices.set(versionField, { recommended: versionsOf(catalogue, newest), byDefault: newest.version });
    } catch (error) {
      const isUnknown = (error as ConfigError).code === 'PLUGIN_UNKNOWN';
      problems.push({ field, message: invalid(field, name, isUnknown ? `Class ${name} could not be found.` : (error as Error).message) });
      return undefined;
    }
    const version = config[versionField]?.trim();
    try {
      return catalogue.stage(kind, name, version);
    } catch (error) {
      problems.push({ field: versionField, message: invalid(versionField, version ?? null, (error as Error).message) });
      return undefined;
    }
  };

  choices.set('connector.plugin.version', { recommended: versionsOf(catalogue, definition), byDefault: definition.version });
  for (const use of ['key', 'value', 'header'] as const) {
    const field = `${use}.converter`;
    const name = config[field]?.trim();
    const found = stage('converter', field, `${field}.plugin.version`, name ?? DEFAULT_CONVERTERS[use]);
    // As in Kafka Connect, the default's own keys are shown only where the connector chose it.
    if (found !== undefined && (name !== undefined || hasKeysBelow(config, `${field}.`))) {
      sections.push({ prefix: `${field}.`, schema: found.config });
    }
  }

  const predicates = listOf(config['predicates']);
  for (const [key, kind, title, alias] of [
    ...listOf(config['transforms']).map((alias) => ['transforms', 'transform', 'Transforms', alias] as const),
    ...predicates.map((alias) => ['predicates', 'predicate', 'Predicates', alias] as const),
  ]) {
    const prefix = `${key}.${alias}.`;
    const group = `${title}: ${alias}`;
    sections.push({ prefix, group, schema: kind === 'transform' ? transformKeys(alias) : predicateKeys(alias) });
    const name = config[`${prefix}type`]?.trim();
    const found = name === undefined ? undefined : stage(kind, `${prefix}type`, `${prefix}plugin.version`, name);
    if (found !== undefined) sections.push({ prefix, group, schema: found.config });
    if (kind === 'transform') problems.push(...conditionProblems(prefix, config, predicates));
  }

  sections.push(...topicGroupSections(config), { prefix: '', schema: definition.config });
  return { sections, choices, problems };
}

function conditionProblems(prefix: string, config: Config, predicates: readonly string[]): FieldProblem[] {
  const field = `${prefix}predicate`;
  const alias = config[field]?.trim() ?? '';
  if (alias === '') {
    if (config[`${prefix}negate`] === undefined) return [];
    const message = `Configuration ${prefix}negate is set, but there is no ${field} defining a predicate to be negated.`;
    return [{ field: `${prefix}negate`, message }];
  }
  if (predicates.includes(alias)) return [];
  return [{ field, message: invalid(field, alias, `Must be one of the aliases in predicates: ${predicates.join(', ')}`) }];
}

function stageKeys(alias: string, kind: 'transformation' | 'predicate') {
  const title = kind === 'transformation' ? 'Transformation' : 'Predicate';
  return {
    type: Type.String({
      minLength: 1,
      configType: 'CLASS',
      title: `${title} type for ${alias}`,
      description: `Class for the '${alias}' ${kind}.`,
      importance: 'high',
      width: 'long',
    }),
    'plugin.version': Type.Optional(
      Type.String({
        title: `${title} version for ${alias}`,
        description: `Version of the '${alias}' ${kind}. Default: the newest.`,
        importance: 'medium',
        width: 'medium',
      }),
    ),
  };
}

function transformKeys(alias: string): TObject {
  return Type.Object({
    ...stageKeys(alias, 'transformation'),
    predicate: Type.String({
      default: '',
      description: 'The alias of a predicate used to determine whether to apply this transformation.',
      importance: 'medium',
    }),
    negate: Type.Boolean({ default: false, description: 'Whether the configured predicate should be negated.', importance: 'medium' }),
  });
}

function predicateKeys(alias: string): TObject {
  return Type.Object(stageKeys(alias, 'predicate'));
}

function classesOf(catalogue: Catalogue, kind: StageKind): readonly string[] {
  return [...new Set(catalogue.info().flatMap((plugin) => (plugin.kind === kind ? [plugin.class] : [])))];
}

function versionsOf(catalogue: Catalogue, plugin: AnyConnector | AnyStage): readonly string[] {
  return catalogue.info().flatMap((other) => (other.kind === plugin.kind && other.class === className(plugin) ? [other.version] : []));
}

function hasKeysBelow(config: Config, prefix: string): boolean {
  return Object.keys(config).some((key) => key.startsWith(prefix) && key !== `${prefix}plugin.version`);
}
