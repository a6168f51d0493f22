import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Builds the packages that are published, and packs them: `node scripts/build-packages.ts [folder, default dist]`. Node strips no types below
// node_modules, so packages ship JavaScript: the same files, lines and columns, without their types. Authors of connectors get declarations too.

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUT = join(ROOT, process.argv[2] ?? 'dist');
const WITH_TYPES = 'libs/sdk';
/** What a package needs beside its modules: from → to. */
const FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cli: { 'README.md': 'README.md', 'cli/bin': 'bin' },
  proto: { 'proto/gen/descriptors.binpb': 'gen/descriptors.binpb' },
  'services/standalone': { 'examples/quickstart': 'examples/quickstart' },
};

const { version } = manifestOf('.');
rmSync(OUT, { recursive: true, force: true });
const tarballs = join(OUT, 'tarballs');
mkdirSync(tarballs, { recursive: true });
const workspaces = globSync(['libs/*', 'services/*', 'connectors/*', 'proto', 'cli'], { cwd: ROOT }).filter((folder) =>
  existsSync(join(ROOT, folder, 'package.json')),
);
emitDeclarations();
for (const folder of workspaces) build(folder);
execFileSync('npm', ['pack', '--silent', '--pack-destination', tarballs, ...workspaces.map((folder) => outOf(folder))], {
  stdio: 'inherit',
});

function build(folder: string): void {
  const out = outOf(folder);
  for (const file of globSync('**/*.ts', { cwd: join(ROOT, folder), exclude: ['**/node_modules/**', '**/*.test.ts', '**/fixtures/**'] })) {
    const source = readFileSync(join(ROOT, folder, file), 'utf8');
    write(join(out, file.replace(/\.ts$/, '.js')), toJavaScript(stripTypeScriptTypes(source)));
  }
  for (const [from, to] of Object.entries(FILES[folder] ?? {})) cpSync(join(ROOT, from), join(out, to), { recursive: true });
  for (const script of globSync('bin/*.js', { cwd: out })) write(join(out, script), toJavaScript(readFileSync(join(out, script), 'utf8')));
  cpSync(join(ROOT, 'LICENSE'), join(out, 'LICENSE'));
  write(join(out, 'package.json'), `${JSON.stringify(published(folder), null, 2)}\n`);
}

/** Names of modules of the same package; what is reached by a URL likewise. */
function toJavaScript(text: string): string {
  return text
    .replaceAll(/((?:from|import)\s*\(?\s*|new URL\(\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g, '$1$2$3.js$2')
    .replaceAll("new URL('../../examples/", "new URL('./examples/");
}

function published(folder: string): object {
  const manifest = manifestOf(folder);
  const target = (path: string): string | object => {
    const js = path.replace(/\.ts$/, '.js');
    return folder === WITH_TYPES ? { types: path.replace(/\.ts$/, '.d.ts'), default: js } : js;
  };
  const exports = Object.entries(manifest.exports ?? {}).map(([name, path]) => [name, target(path)]);
  const dependencies = Object.entries(manifest.dependencies ?? {}).map(([name, range]) => [
    name,
    name.startsWith('@rocketmq-connect/') ? version : range,
  ]);
  return {
    ...manifest,
    version,
    engines: { node: '>=22.22' },
    ...(manifest.exports === undefined ? {} : { exports: Object.fromEntries(exports) }),
    dependencies: Object.fromEntries(dependencies),
  };
}

function emitDeclarations(): void {
  const compiler = join(ROOT, 'node_modules/typescript-native/bin/tsc');
  const out = outOf(WITH_TYPES);
  const sources = globSync('**/*.ts', { cwd: join(ROOT, WITH_TYPES), exclude: ['**/*.test.ts'] }).map((file) =>
    join(ROOT, WITH_TYPES, file),
  );
  const options = { extends: join(ROOT, 'tsconfig.json'), files: sources, include: [] };
  const compilerOptions = { noEmit: false, declaration: true, emitDeclarationOnly: true, rootDir: join(ROOT, WITH_TYPES), outDir: out };
  const project = join(OUT, 'tsconfig.json');
  write(project, JSON.stringify({ ...options, compilerOptions }));
  execFileSync(process.execPath, [compiler, '-p', project], { stdio: 'inherit' });
  rmSync(project);
  for (const file of globSync('**/*.d.ts', { cwd: out })) write(join(out, file), toJavaScript(readFileSync(join(out, file), 'utf8')));
}

function outOf(folder: string): string {
  return join(OUT, 'packages', basename(folder));
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
