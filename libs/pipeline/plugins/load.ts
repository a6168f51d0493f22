import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, extname, isAbsolute, join, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { AnyPlugin, BrokenPlugin } from './catalogue.ts';
import { offerOwnSdk } from './own-sdk.ts';
import { checkDefinition, looksLikeDefinition } from './shape.ts';

export interface LoadedPlugins {
  readonly found: readonly { readonly plugin: AnyPlugin; readonly location: string }[];
  readonly broken: readonly BrokenPlugin[];
}

/** A module that awaits something for ever keeps nobody else from being loaded. */
const IMPORT_LIMIT_MS = 10_000;

/** Imports every entry: a package, a folder, or a file. One that fails is reported, and the others are loaded. */
export async function loadPlugins(
  entries: readonly string[],
  baseDirectory: string,
  importing: <T>(location: string, load: () => Promise<T>) => Promise<T> = (_location, load) => load(),
): Promise<LoadedPlugins> {
  if (entries.length > 0) offerOwnSdk();
  const loaded = await Promise.all(
    entries.flatMap((entry): Promise<LoadedPlugins>[] => {
      try {
        return filesOf(entry, resolve(baseDirectory)).map((file) => importing(file, () => loadFile(file)));
      } catch (error) {
        return [Promise.resolve({ found: [], broken: [{ location: entry, error: textOf(error) }] })];
      }
    }),
  );
  return { found: loaded.flatMap(({ found }) => found), broken: loaded.flatMap(({ broken }) => broken) };
}

async function loadFile(file: string): Promise<LoadedPlugins> {
  try {
    const { plugins, problems } = await within(IMPORT_LIMIT_MS, importDefinitions(file));
    return {
      found: plugins.map((plugin) => ({ plugin, location: file })),
      broken: problems.map((error) => ({ location: file, error })),
    };
  } catch (error) {
    return { found: [], broken: [{ location: file, error: textOf(error) }] };
  }
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it is not loaded after ${limitMs} ms; what does its module await?`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const MODULE = /\.[cm]?[jt]s$/;
const NOT_A_PLUGIN = /(\.d\.[cm]?ts|\.(test|spec)\.[cm]?[jt]s)$/;

function filesOf(entry: string, base: string): readonly string[] {
  if (entry.trim() === '') throw new Error('the entry is empty; name a package, a folder or a file');
  const path = isAbsolute(entry) ? entry : join(base, entry);
  const meansPath = isAbsolute(entry) || /^\.\.?([\\/]|$)/.test(entry) || MODULE.test(entry);
  if (!existsSync(path)) {
    if (meansPath) throw new Error(`${path} does not exist; give a path relative to ${base}, or an absolute one`);
    return [packageEntry(packageFolder(entry, base))];
  }
  return statSync(path).isDirectory() ? filesOfFolder(path) : [path];
}

/** A folder is one package, or holds plugins: files, and folders that are packages. */
function filesOfFolder(folder: string): readonly string[] {
  if (existsSync(join(folder, 'package.json'))) return [packageEntry(folder)];
  const files = readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((child) => {
      const path = join(folder, child.name);
      if (MODULE.test(child.name)) return NOT_A_PLUGIN.test(child.name) ? [] : [path];
      return existsSync(join(path, 'package.json')) ? [packageEntry(path)] : [];
    });
  if (files.length === 0) throw new Error(`${folder} holds no .ts or .js file and no package`);
  return files;
}

function packageFolder(name: string, base: string): string {
  for (let folder = base; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === dirname(folder))
      throw new Error(`the package ${name} is not installed in ${base} or above it; run npm install ${name} there`);
  }
}

function packageEntry(folder: string): string {
  const file = join(folder, 'package.json');
  const manifest: { exports?: unknown; main?: unknown } = JSON.parse(readFileSync(file, 'utf8'));
  const target = exportTarget(manifest.exports) ?? (typeof manifest.main === 'string' ? manifest.main : 'index.js');
  const path = [target, `${target}.js`, join(target, 'index.js')]
    .map((name) => join(folder, name))
    .find((name) => existsSync(name) && statSync(name).isFile());
  if (path === undefined)
    throw new Error(`${file} leads to ${join(folder, target)}, which does not exist; build the package, or correct its "exports"`);
  return path;
}

/** The file that `import` of the package gets; conditions in the order in which the package has them. */
function exportTarget(exported: unknown): string | undefined {
  if (typeof exported === 'string') return exported;
  if (Array.isArray(exported)) return exported.map(exportTarget).find((target) => target !== undefined);
  if (typeof exported !== 'object' || exported === null) return undefined;
  const conditions: readonly string[] = ['.', 'node', 'import', 'module-sync', 'default'];
  for (const [condition, target] of Object.entries(exported)) {
    const found = conditions.includes(condition) ? exportTarget(target) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

async function importDefinitions(file: string): Promise<{ plugins: AnyPlugin[]; problems: string[] }> {
  const path = realpathSync(file);
  if (/ts$/.test(extname(path)) && path.includes(`${sep}node_modules${sep}`)) {
    throw new Error(`${path} is TypeScript below node_modules, where Node strips no types; packages must ship JavaScript`);
  }
  const exported: Record<string, unknown> = await import(pathToFileURL(path).href);
  const plugins: AnyPlugin[] = [];
  const problems: string[] = [];
  // The same definition is often exported twice, by name and as default; that of a CommonJS module too.
  const seen = new Set<unknown>();
  for (const [name, value] of Object.entries(exported)) {
    if (seen.has(value)) continue;
    seen.add(value);
    if (!looksLikeDefinition(value)) continue;
    const problem = checkDefinition(value);
    if (problem === undefined) plugins.push(value as unknown as AnyPlugin);
    else problems.push(`export ${name}: ${problem}`);
  }
  if (plugins.length === 0 && problems.length === 0) {
    throw new Error(
      'it exports no plugin; export what defineSource, defineSink, defineConverter, defineTransform or definePredicate returns',
    );
  }
  return { plugins, problems };
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  // A module whose types cannot be stripped: the place is in the stack only.
  const [, file, line] = /^(file:\/\/\S+|\/.+|[A-Z]:\\.+):(\d+)\n/.exec(error.stack ?? '') ?? [];
  const place = file === undefined ? '' : ` (${file.startsWith('file:') ? fileURLToPath(file) : file}:${line})`;
  return `${error.name === 'Error' ? '' : `${error.name}: `}${error.message}${place}`;
}
