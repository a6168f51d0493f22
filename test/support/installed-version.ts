import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = new URL('../..', import.meta.url).pathname;

/** Builds the packages of a tree and installs their tarballs below `folder`, as users do; resolves to the folder's `node_modules`. */
export function installPackages(tree: string, folder: string): string {
  execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', 'scripts/build-packages.ts', 'dist/test'], { cwd: tree });
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  const tarballs = globSync(join(tree, 'dist/test/tarballs/*.tgz'));
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent', ...tarballs], { cwd: folder, stdio: 'pipe' });
  rmSync(join(tree, 'dist/test'), { recursive: true });
  return join(folder, 'node_modules');
}

/** Another version of this program, from the history of this repository. */
export interface InstalledVersion {
  /** Short id of its commit. */
  readonly commit: string;
  /** The script of its `rocketmq-connect`. */
  readonly bin: string;
  remove(): void;
}

export function installVersion(revision: string): InstalledVersion {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const commit = git('rev-parse', '--short', `${revision}^{commit}`);
  const folder = mkdtempSync(join(tmpdir(), `rmqc-${commit}-`));
  const tree = join(folder, 'tree');
  const installed = join(folder, 'installed');
  mkdirSync(tree);
  mkdirSync(installed);
  const archive = join(folder, 'tree.tar');
  git('archive', '-o', archive, commit);
  execFileSync('tar', ['-xf', archive, '-C', tree]);
  // The build takes no more than a compiler from there.
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  const modules = installPackages(tree, installed);
  return {
    commit,
    bin: join(modules, 'rocketmq-connect/bin/rocketmq-connect.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
