import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { FatalError, type TaskLogger } from '@rocketmq-connect/sdk';
import { errorCode } from './fault.ts';
import { type FileState, tailOf } from './file-state.ts';
import { bootId, type Note } from './journal.ts';

/** The name of the file that was rotated away as the `rotation`th. */
export function rotatedPath(path: string, rotation: number): string {
  return `${path}.${rotation}`;
}

/** Opens the file to append to, creates it where there is none. */
export async function openToAppend(path: string): Promise<FileHandle> {
  return open(path, 'a+');
}

/** How a file is that is taken as it is found, after so many rotations. Numbers of rotated files are never used twice. */
export async function firstState(path: string, handle: FileHandle, nowMs: number, rotations: number): Promise<FileState> {
  const { ino, size } = await handle.stat({ bigint: true });
  const length = Number(size);
  const rotation = Math.max(rotations, await highestRotation(path));
  return { inode: String(ino), length, rotation, firstLength: length, tail: await tailOf(handle, length), sinceMs: nowMs };
}

/**
 * Brings the file back to a committed state: undoes rotations and cuts off bytes that no commit covers, so that the records that
 * come again are not doubled. It touches only what this connector wrote: anything else is a `FILE_CHANGED` error.
 */
export async function restore(path: string, state: FileState, note: Note | undefined, log: TaskLogger): Promise<FileHandle> {
  await undoRotations(path, state, note, log);
  let handle: FileHandle;
  try {
    handle = await open(path, 'r+');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    // Nothing of it was committed, so nothing is missing.
    if (state.length === 0) return openToAppend(path);
    throw changed(path, `${path} is gone; ${state.length} bytes of it were committed`);
  }
  try {
    const { ino, size: bigSize } = await handle.stat({ bigint: true });
    const size = Number(bigSize);
    if (size < state.length) throw changed(path, `${path} has ${size} bytes, fewer than the ${state.length} that were committed`);
    const sameInode = String(ino) === state.inode;
    if (!(await holds(handle, state, sameInode, size))) throw changed(path, `${path} is not the file that was written before`);
    if (!sameInode) log.info(`${path} is another file of the same content: going on in it`, { file: path });
    if (size > state.length) {
      if (!isOurs(note, state.rotation, size)) {
        throw changed(path, `${path} has ${size} bytes: ${size - state.length} beyond the committed length are not by this connector`);
      }
      log.info(`Cut ${size - state.length} bytes off ${path} that were not committed`, { file: path, length: state.length });
      await handle.truncate(state.length);
    }
  } finally {
    await handle.close();
  }
  return openToAppend(path);
}

/** The error about a file that somebody else has touched. */
export function changed(path: string, message: string): FatalError {
  return new FatalError(message, {
    code: 'FILE_CHANGED',
    field: 'file',
    remedy: `Put ${path} back as it was, or set file.changed to append to go on with it as it is, or reset the connector's offsets to begin anew.`,
  });
}

async function undoRotations(path: string, state: FileState, note: Note | undefined, log: TaskLogger): Promise<void> {
  const rotated = rotatedPath(path, state.rotation + 1);
  let handle: FileHandle;
  try {
    handle = await open(rotated, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const { ino, size } = await handle.stat({ bigint: true });
    if (String(ino) !== state.inode || !(await holds(handle, state, true, Number(size)))) return;
  } finally {
    await handle.close();
  }
  if (note === undefined || (note.boot === bootId() && note.rotation <= state.rotation)) {
    throw changed(path, `${path} was renamed to ${rotated}, not by this connector`);
  }
  const current = await sizeOf(path);
  if (current > 0 && !isOurs(note, state.rotation + 1, current)) {
    throw changed(path, `${path} has ${current} bytes that are not by this connector`);
  }
  log.info(`Undoing the rotation of ${path} to ${rotated}, which was not committed`, { file: path });
  // The newest first and the rename last: after a crash in between, the next open finds the same work.
  for (let rotation = await highestRotation(path); rotation > state.rotation + 1; rotation -= 1) {
    if (rotation <= note.rotation) await rm(rotatedPath(path, rotation), { force: true });
  }
  await rename(rotated, path);
}

/** Whether the file begins with what was committed. */
async function holds(handle: FileHandle, state: FileState, sameInode: boolean, size: number): Promise<boolean> {
  if (state.length === 0) return sameInode || size === 0;
  return size >= state.length && (await tailOf(handle, state.length)) === state.tail;
}

/** Whether bytes up to `size` are explained by what was noted before writing. After a power cut notes may be lost: then they are. */
function isOurs(note: Note | undefined, rotation: number, size: number): boolean {
  if (note === undefined) return false;
  return note.boot !== bootId() || note.rotation > rotation || (note.rotation === rotation && size <= note.end);
}

/** The highest number of a rotated file. */
async function highestRotation(path: string): Promise<number> {
  const prefix = `${basename(path)}.`;
  let highest = 0;
  for (const name of await readdir(dirname(path))) {
    const number = name.startsWith(prefix) ? name.slice(prefix.length) : '';
    if (/^[1-9]\d{0,14}$/.test(number)) highest = Math.max(highest, Number(number));
  }
  return highest;
}

async function sizeOf(path: string): Promise<number> {
  try {
    const handle = await open(path, 'r');
    try {
      return (await handle.stat()).size;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
