import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

/** What a thread noted of itself. */
export interface ResourceNote {
  readonly pid: number;
  readonly threadId: number;
  /** Wall clock. */
  readonly atMs: number;
  /** What keeps its event loop busy: timers, sockets, requests. */
  readonly counts: Readonly<Record<string, number>>;
  /** The last collection that was asked for and done. */
  readonly collection: number;
  /** Its JavaScript heap, and what that holds outside; just after the collection in the note that tells of it first. */
  readonly heapBytes: number;
  readonly externalBytes: number;
}

export const NOTE_MS = 10_000;

/** Where the number of a collection is written that all threads are to do before their next notes, with `--expose-gc`. */
export function collectionsFile(notesFile: string): string {
  return `${notesFile}.collections`;
}

/**
 * Loaded into each thread of a process by `NODE_OPTIONS=--import`: notes every few seconds what the thread is busy with and has in memory, as a line of
 * JSON in the file that ACTIVE_RESOURCES_FILE names.
 */
const file = process.env['ACTIVE_RESOURCES_FILE'];
if (file !== undefined) {
  let collection = 0;
  const collectIfAsked = (): void => {
    const asked = existsSync(collectionsFile(file)) ? Number(readFileSync(collectionsFile(file), 'utf8')) : 0;
    if (asked === collection) return;
    collection = asked;
    // What the first finds to be finalized the second frees.
    for (let i = 0; i < 2; i++) globalThis.gc?.();
  };
  const note = (): void => {
    collectIfAsked();
    const counts: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
    const { heapUsed: heapBytes, external: externalBytes } = process.memoryUsage();
    const noted: ResourceNote = { pid: process.pid, threadId, atMs: Date.now(), counts, collection, heapBytes, externalBytes };
    appendFileSync(file, `${JSON.stringify(noted)}\n`);
  };
  setInterval(note, NOTE_MS).unref();
}
