import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

const tailBytesMax = 1024;

/** What a commit keeps of a sink's file, in one transaction with the positions. */
export interface FileState {
  readonly inode: string;
  /** Bytes committed. Everything beyond was never committed. */
  readonly length: number;
  /** How many files were rotated away before this one. */
  readonly rotation: number;
  /** The length at the first open: what was there before the connector. `length` never goes below it. */
  readonly firstLength: number;
  /** Checksum of the last bytes (at most 1024) before `length`: an inode may be given to another file. */
  readonly tail: string;
  /** When the first record of this file came, in ms since the epoch. */
  readonly sinceMs: number;
}

/** Whether a value that comes from outside is such a state. */
export function isFileState(value: unknown): value is FileState {
  if (typeof value !== 'object' || value === null) return false;
  const state = value as Partial<Record<keyof FileState, unknown>>;
  return (
    typeof state.inode === 'string' &&
    typeof state.tail === 'string' &&
    isLength(state.length) &&
    isLength(state.rotation) &&
    isLength(state.firstLength) &&
    state.firstLength <= state.length &&
    typeof state.sinceMs === 'number'
  );
}

/** The checksum of what stands before `length`. */
export async function tailOf(handle: FileHandle, length: number): Promise<string> {
  const count = Math.min(length, tailBytesMax);
  const bytes = Buffer.alloc(count);
  const { bytesRead } = await handle.read(bytes, 0, count, length - count);
  return crc32(bytes.subarray(0, bytesRead)).toString(16);
}

function isLength(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
