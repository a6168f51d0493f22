import { constants, readFileSync, writeSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type FileState, isFileState } from './file-state.ts';

const blockBytes = 1024;

/** What a sink noted about its file before it wrote to it. */
export interface Note {
  readonly connector: string;
  /** Of the connector: notes of before a reset, or of another connector of this name, say nothing. */
  readonly startTimeMs: number;
  /** Of the machine's last start: notes are not forced to the disk, so those of before a power cut may be too old. */
  readonly boot: string;
  /** How the file was when it was opened or taken as it is. A crash before the first commit goes back to it. */
  readonly base: FileState;
  /** Nothing was written beyond this length of the file with this rotation number. */
  readonly rotation: number;
  readonly end: number;
}

/**
 * A small hidden file beside the one that is written. It answers two questions after a crash that the committed state cannot: where
 * to cut when nothing was committed yet, and whether bytes beyond the committed length are ours.
 */
export class Journal {
  readonly #handle: FileHandle;
  #note: Note;

  private constructor(handle: FileHandle, note: Note) {
    this.#handle = handle;
    this.#note = note;
  }

  /** The last note about `path` in this life of the connector; undefined where there is none, or none that can be read. */
  static async read(path: string, connector: string, startTimeMs: number): Promise<Note | undefined> {
    try {
      const note: unknown = JSON.parse(await readFile(journalPath(path), 'utf8'));
      return isNote(note) && note.connector === connector && note.startTimeMs === startTimeMs ? note : undefined;
    } catch {
      return undefined;
    }
  }

  /** Writes the first note, and sees to it that it survives a power cut. */
  static async begin(path: string, note: Note): Promise<Journal> {
    const handle = await open(journalPath(path), constants.O_RDWR | constants.O_CREAT, 0o644);
    const journal = new Journal(handle, note);
    try {
      journal.#write();
      await handle.datasync();
      await syncFolder(path);
      return journal;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Notes how far the next write may reach. Before the write. */
  intend(rotation: number, end: number): void {
    this.#note = { ...this.#note, rotation, end };
    this.#write();
  }

  /** Notes that the file was taken as it is. */
  async rebase(base: FileState): Promise<void> {
    this.#note = { ...this.#note, base, rotation: base.rotation, end: base.length };
    this.#write();
    await this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #write(): void {
    // One block of fixed size in one call: a process that dies leaves the old or the new one. Not by a promise: it comes before every write of
    // lines, and the way through the thread pool would take longer than they.
    writeSync(this.#handle.fd, `${JSON.stringify(this.#note).padEnd(blockBytes - 1)}\n`, 0);
  }
}

/** Where the notes about `path` are. */
export function journalPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.rmqc`);
}

/** Makes names in the folder of `path` durable. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Names this start of the machine; '' where the system does not tell. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

function isNote(value: unknown): value is Note {
  if (typeof value !== 'object' || value === null) return false;
  const note = value as Partial<Record<keyof Note, unknown>>;
  return (
    typeof note.connector === 'string' &&
    typeof note.boot === 'string' &&
    typeof note.startTimeMs === 'number' &&
    Number.isSafeInteger(note.rotation) &&
    Number.isSafeInteger(note.end) &&
    isFileState(note.base)
  );
}
