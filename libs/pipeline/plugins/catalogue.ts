import { type AnyConnector, type AnyStage, ConfigError } from '@rocketmq-connect/sdk';
import { configKeys } from '../config/definition.ts';
import type { PluginInfo } from '../host-protocol.ts';
import { builtInStages } from '../stages/built-in.ts';
import { loadPlugins } from './load.ts';
import { compareVersions } from './version.ts';

export type AnyPlugin = AnyConnector | AnyStage;
export type StageKind = AnyStage['kind'];
export type StageOf<K extends StageKind> = Extract<AnyStage, { kind: K }>;

export interface BrokenPlugin {
  /** The entry of `plugins`, or the file that it led to. */
  readonly location: string;
  readonly error: string;
}

/** The plugins of one process, by every name they go by. */
export interface Catalogue {
  /** By name, alias or class, with or without "Connector"; the newest unless a version is given. Throws `ConfigError`. */
  connector(name: string, version?: string): AnyConnector;
  /** A converter, transform or predicate, found in the same way. Throws `ConfigError`. */
  stage<K extends StageKind>(kind: K, name: string, version?: string): StageOf<K>;
  /** A plugin of any kind. Throws `ConfigError`. */
  plugin(name: string, version?: string): AnyPlugin;
  /** Every version of every plugin, sorted by kind, name and version. */
  info(): PluginInfo[];
  /** What was found and could not be used, with the reason. */
  readonly broken: readonly BrokenPlugin[];
}

export interface CatalogueOptions {
  /** Definitions that the process brings along; the pipeline's own converters, transforms and predicates are always there. */
  readonly builtIn: readonly AnyPlugin[];
  /** Packages, folders, and `.ts` or `.js` files; relative ones are below `baseDirectory`. */
  readonly plugins: readonly string[];
  readonly baseDirectory: string;
  /** Imports a file; given where somebody wants to know what the file leaves running. Default: just so. */
  readonly importing?: <T>(location: string, load: () => Promise<T>) => Promise<T>;
}

/** Loads what is configured. Never throws for a bad plugin: it is in `broken`, and the others work. */
export async function loadCatalogue(options: CatalogueOptions): Promise<Catalogue> {
  const loaded = await loadPlugins(options.plugins, options.baseDirectory, options.importing);
  return createCatalogue(
    [
      ...[...builtInStages, ...options.builtIn].map((plugin) => ({ plugin, location: 'built in' })),
      ...loaded.found.map(({ plugin, location }) => ({ plugin, location })),
    ],
    loaded.broken,
  );
}

/** A catalogue of these definitions. Of two with the same kind, name and version the first stays; the second is broken. */
export function createCatalogue(
  found: readonly { readonly plugin: AnyPlugin; readonly location: string }[],
  alreadyBroken: readonly BrokenPlugin[] = [],
): Catalogue {
  const broken = [...alreadyBroken];
  const taken = new Map<string, { plugin: AnyPlugin; location: string }>();
  for (const { plugin, location } of found) {
    const id = `${plugin.kind} ${plugin.name} ${plugin.version}`;
    const first = taken.get(id);
    if (first === undefined) taken.set(id, { plugin, location });
    else if (first.plugin !== plugin)
      broken.push({ location, error: `${id} was already loaded (${first.location}); give it another name or version` });
  }
  const plugins = [...taken.values()].map(({ plugin }) => plugin);

  const find = (kinds: readonly string[], what: string, name: string, version: string | undefined): AnyPlugin => {
    const candidates = named(
      plugins.filter((plugin) => kinds.includes(plugin.kind)),
      name,
    );
    const [first] = candidates;
    if (first === undefined)
      throw unknownPlugin(
        what,
        name,
        plugins.filter((plugin) => kinds.includes(plugin.kind)),
      );
    const rival = candidates.find((plugin) => plugin.name !== first.name || plugin.kind !== first.kind);
    if (rival !== undefined) throw ambiguous(name, candidates);
    const newestFirst = candidates.toSorted((a, b) => compareVersions(b.version, a.version));
    const chosen = version === undefined || version === '' ? newestFirst[0] : newestFirst.find((plugin) => plugin.version === version);
    if (chosen === undefined) throw unknownVersion(first, version ?? '', newestFirst);
    return chosen;
  };

  return {
    broken,
    connector: (name, version) => find(['source', 'sink'], 'Connector', name, version) as AnyConnector,
    stage: <K extends StageKind>(kind: K, name: string, version?: string) =>
      find([kind], StageClass[kind], name, version) as unknown as StageOf<K>,
    plugin: (name, version) => find(['source', 'sink', 'converter', 'transform', 'predicate'], 'Plugin', name, version),
    info: () => plugins.map(pluginInfo).toSorted(byKindNameVersion),
  };
}

/** What the catalogue shows of a plugin. */
export function pluginInfo(plugin: AnyPlugin): PluginInfo {
  return {
    name: plugin.name,
    class: className(plugin),
    kind: plugin.kind,
    version: plugin.version,
    description: plugin.description ?? '',
    aliases: plugin.aliases ?? [],
    secretKeys: configKeys(plugin.config).flatMap((key) => (key.secret ? [key.name] : [])),
  };
}

/** The class that Kafka Connect users write, or the name. */
export function className(plugin: AnyPlugin): string {
  return plugin.aliases?.find((alias) => alias.includes('.')) ?? plugin.name;
}

// Kafka Connect's names of the kinds, as its error texts have them.
const StageClass: Readonly<Record<StageKind, string>> = { converter: 'Converter', transform: 'Transformation', predicate: 'Predicate' };
const SUFFIX: Readonly<Record<AnyPlugin['kind'], string>> = {
  source: 'Connector',
  sink: 'Connector',
  converter: 'Converter',
  transform: 'Transformation',
  predicate: 'Predicate',
};

/** An exact name beats an alias, and both beat what is derived: from the name first, then from the aliases. */
function named(plugins: readonly AnyPlugin[], name: string): readonly AnyPlugin[] {
  const matches: ((plugin: AnyPlugin) => boolean)[] = [
    (plugin) => plugin.name === name,
    (plugin) => plugin.aliases?.includes(name) ?? false,
    (plugin) => derivedNames(plugin, [plugin.name]).has(name),
    (plugin) => derivedNames(plugin, plugin.aliases ?? []).has(name),
  ];
  for (const match of matches) {
    const found = plugins.filter(match);
    if (found.length > 0) return found;
  }
  return [];
}

// Kafka Connect finds org.apache.kafka.connect.file.FileStreamSourceConnector as FileStreamSourceConnector and FileStreamSource too.
function derivedNames(plugin: AnyPlugin, from: readonly string[]): ReadonlySet<string> {
  const names = new Set<string>();
  const suffix = SUFFIX[plugin.kind];
  for (const name of from) {
    const simple = name.slice(name.lastIndexOf('.') + 1);
    const bare = simple.endsWith(suffix) ? simple.slice(0, -suffix.length) : simple;
    names
      .add(simple)
      .add(bare)
      .add(bare + suffix);
  }
  return names;
}

function unknownPlugin(what: string, name: string, plugins: readonly AnyPlugin[]): ConfigError {
  const known = plugins.toSorted(byKindNameVersion).map((plugin) => `${className(plugin)} (${plugin.kind}, version ${plugin.version})`);
  return new ConfigError(
    `Failed to find any class that implements ${what} and which name matches ${name}, available ${what.toLowerCase()}s are: ${known.join(', ')}`,
    { code: 'PLUGIN_UNKNOWN', remedy: 'Correct the name, or add the plugin to `plugins` in the configuration of the task runners.' },
  );
}

function unknownVersion(plugin: AnyPlugin, version: string, available: readonly AnyPlugin[]): ConfigError {
  return new ConfigError(
    `Plugin ${className(plugin)} not found that matches the version range [${version},${version}], available versions: [${available.map((other) => other.version).join(', ')}]`,
    { code: 'PLUGIN_VERSION_UNKNOWN', remedy: 'Use an available version, or leave the version out for the newest.' },
  );
}

function ambiguous(name: string, candidates: readonly AnyPlugin[]): ConfigError {
  const names = [...new Set(candidates.map(className))].join(', ');
  return new ConfigError(`More than one plugin matches ${name}: ${names}. Please use the full name instead.`, { code: 'PLUGIN_AMBIGUOUS' });
}

function byKindNameVersion(a: Pick<AnyPlugin, 'kind' | 'name' | 'version'>, b: Pick<AnyPlugin, 'kind' | 'name' | 'version'>): number {
  return compareText(a.kind, b.kind) || compareText(a.name, b.name) || compareVersions(a.version, b.version);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
