import { existsSync } from 'node:fs';
import { glob, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { rotationBases } from './rotations.ts';

/** Whether `file` stands for several: it has glob characters, and no file has just this name. */
export function isGlob(file: string): boolean {
  return /[*?[\]{}]/.test(file) && !existsSync(file);
}

/**
 * The files that a glob matches now, sorted, without directories, and without rotated files (`app.log.1`) of another match
 * (`app.log`): these are read as its past.
 */
export async function matchingFiles(pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for await (const name of glob(pattern)) {
    const path = resolve(name);
    // Vanished between listing and asking, or unreadable: not now.
    const file = await stat(path).catch(() => undefined);
    if (file?.isFile() === true) found.add(path);
  }
  const isRotated = (path: string): boolean => rotationBases(basename(path)).some((base) => found.has(join(dirname(path), base)));
  return [...found].filter((path) => !isRotated(path)).sort();
}

/** Deals `files` to at most `tasks` tasks. */
export function dealFiles(files: readonly string[], tasks: number): string[][] {
  const shares: string[][] = Array.from({ length: Math.max(1, Math.min(tasks, files.length)) }, () => []);
  for (const [index, file] of files.entries()) shares[index % shares.length]?.push(file);
  return shares;
}
