import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FatalError } from '@rocketmq-connect/sdk';
import type { ControlMemory, Tail } from './control.ts';
import { listSegments, segmentPath } from './segments.ts';
import { syncDirectory } from './state-file.ts';
import { storageError } from './storage-error.ts';

/**
 * Forces a queue to disk up to what is published now; resolves to what that was. Costs nothing where another thread has done it.
 * After a failure nobody knows what the disk holds (the kernel forgets what it could not write), so the queue then refuses everything
 * until the log is opened anew.
 */
export async function flushQueue(control: ControlMemory, slot: number, directory: string): Promise<Tail> {
  if (control.broken(slot)) throw queueBroken(directory);
  const tail = control.tail(slot);
  const flushed = control.flushed(slot);
  if (flushed >= tail.nextOffset) return tail;
  const topic = control.topic(slot);
  try {
    const closed = flushed > tail.segment ? [] : closedSince(listSegments(directory), flushed, tail.segment);
    // A closed segment that is gone was removed by retention; an active one that is gone is a data directory that is gone.
    await Promise.all([
      sync(segmentPath(directory, tail.segment)),
      ...closed.map((segment) => sync(segmentPath(directory, segment), 'ENOENT')),
    ]);
    // The name of a new file is safe only with its directory, and that of the queue's first file with the topic's.
    if (flushed <= tail.segment) await Promise.all([syncDirectory(directory), syncDirectory(dirname(directory))]);
  } catch (error) {
    if (control.topic(slot) !== topic) return tail;
    if (!isTransient(error)) control.markBroken(slot);
    throw storageError(error, 'forcing to disk', directory);
  }
  if (control.topic(slot) === topic) control.raiseFlushed(slot, tail.nextOffset);
  return tail;
}

export function queueBroken(directory: string): FatalError {
  return new FatalError(`an earlier attempt to force ${directory} to disk failed, so what it holds is unknown`, {
    code: 'STORAGE_FAILED',
    field: 'dataDir',
    remedy: 'Check the disk, then start this process again: it recovers what is readable.',
  });
}

function closedSince(segments: readonly number[], flushed: number, active: number): number[] {
  return segments.filter((segment, index) => segment < active && (segments[index + 1] ?? active) > flushed);
}

async function sync(path: string, ignored?: string): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === ignored) return;
    throw error;
  }
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** The file could not be opened at all: nothing was forgotten. */
function isTransient(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '');
}
