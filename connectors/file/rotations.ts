import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { peek, statOf } from './reader.ts';

/** A file beside the one that is followed, named as rotation names it: `app.log.1`, `app.log-20260131.gz`, `app-2026-01-31.log`. */
export interface RotatedFile {
  readonly path: string;
  readonly inode: string;
  readonly size: bigint;
  readonly changedNs: bigint;
}

const suffix = /^(.+?)(?:\.\d+|[.-]\d{4}-?\d{2}-?\d{2}[\dT:._-]*)(?:\.gz)?$/;
const infix = /^(.+?)[.-]\d{4}-?\d{2}-?\d{2}[\dT:_-]*(\.[^.]+)(?:\.gz)?$/;

/** The names that a file of this name may be a rotation of. */
export function rotationBases(name: string): string[] {
  const bases: string[] = [];
  const bySuffix = suffix.exec(name);
  if (bySuffix?.[1] !== undefined) bases.push(bySuffix[1]);
  const byInfix = infix.exec(name);
  if (byInfix?.[1] !== undefined) bases.push(byInfix[1] + (byInfix[2] ?? ''));
  return bases;
}

/** The rotated files of `path`, the one changed last first. */
export async function rotatedFiles(path: string): Promise<RotatedFile[]> {
  const folder = dirname(path);
  const base = basename(path);
  const found: RotatedFile[] = [];
  let names: string[];
  try {
    names = await readdir(folder);
  } catch {
    // A folder that may be entered but not listed: its rotated files cannot be found.
    return [];
  }
  for (const name of names) {
    if (!name.startsWith(base.slice(0, 1)) || !rotationBases(name).includes(base)) continue;
    const file = await statOf(join(folder, name));
    if (file?.isFile() !== true) continue;
    found.push({ path: join(folder, name), inode: String(file.ino), size: file.size, changedNs: file.mtimeNs });
  }
  return found.sort((a, b) => (a.changedNs > b.changedNs ? -1 : a.changedNs < b.changedNs ? 1 : 0));
}

/** The first of `files` whose content begins as `wanted` says, and that reaches `position`. */
export async function withContent(
  files: readonly RotatedFile[],
  headLength: number,
  wanted: (head: Buffer) => boolean,
  position: number,
): Promise<RotatedFile | undefined> {
  for (const file of files) {
    if (!file.path.endsWith('.gz') && file.size < BigInt(position)) continue;
    const head = await peek(file.path, headLength);
    if (head?.length === headLength && wanted(head)) return file;
  }
  return undefined;
}
