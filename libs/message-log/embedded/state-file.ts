import { readFileSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { storageError } from './storage-error.ts';

export type StateFile<Content> = { readonly found: 'whole'; readonly content: Content } | { readonly found: 'absent' | 'corrupt' };

/** Reads what `saveState` wrote. A flipped bit makes it `corrupt`. */
export function loadState<Content>(path: string): StateFile<Content> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { found: 'absent' };
    throw storageError(error, 'reading', path);
  }
  const lineEnd = text.indexOf('\n');
  if (lineEnd === -1 || text.slice(0, lineEnd) !== checksum(text.slice(lineEnd + 1))) return { found: 'corrupt' };
  return { found: 'whole', content: JSON.parse(text.slice(lineEnd + 1)) as Content };
}

/** Replaces a small file as a whole: after a crash or power failure it holds the old content or the new one. */
export async function saveState(path: string, content: unknown): Promise<void> {
  const json = `${JSON.stringify(content, null, 1)}\n`;
  const fresh = `${path}.new`;
  try {
    await writeFile(fresh, `${checksum(json)}\n${json}`, { flush: true });
    await rename(fresh, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw storageError(error, 'writing', path);
  }
}

/** Makes names in a directory durable. Where directories cannot be opened (Windows), the file system does it by itself. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function checksum(json: string): string {
  return `crc32 ${crc32(json).toString(16).padStart(8, '0')}`;
}
