import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectionsFile, NOTE_MS, type ResourceNote } from './active-resources.ts';
import { waitFor } from './standalone.ts';

/** What the threads of some processes noted of themselves (`active-resources.ts`). */
export class ResourceNotes {
  readonly #file: string;
  #collections = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Has every thread of these processes collect its garbage; resolves to what each process has left then. */
  async collect(pids: readonly number[]): Promise<ReadonlyMap<number, Kept>> {
    writeFileSync(collectionsFile(this.#file), String(++this.#collections));
    let now: (readonly ResourceNote[])[] = [];
    const haveCollected = async (): Promise<boolean> => {
      await sleep(1_000);
      now = pids.map((pid) => this.#latest(pid, Date.now()));
      return now.every((notes) => notes.length > 0 && notes.every(({ collection }) => collection === this.#collections));
    };
    await waitFor(haveCollected, `collection ${this.#collections} of all threads`, 6 * NOTE_MS);
    return new Map(now.map((notes, i) => [pids[i] ?? 0, keptOf(notes)]));
  }

  /** What kept the threads of a process busy at a time. */
  activeAt(pid: number, atMs: number): number {
    const counts = this.#latest(pid, atMs).flatMap((note) => Object.values(note.counts));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The last note of each thread that lived at a time. */
  #latest(pid: number, atMs: number): readonly ResourceNote[] {
    const last = new Map<number, ResourceNote>();
    for (const note of this.#read()) {
      if (note.pid === pid && note.atMs <= atMs && note.atMs > atMs - 1.5 * NOTE_MS) last.set(note.threadId, note);
    }
    return [...last.values()];
  }

  #read(): ResourceNote[] {
    if (!existsSync(this.#file)) return [];
    const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as ResourceNote);
  }
}

/** What is left in a process after a collection, of all its threads. */
export interface Kept {
  readonly threads: number;
  readonly heapMb: number;
  readonly externalMb: number;
}

function keptOf(notes: readonly ResourceNote[]): Kept {
  const mb = (bytes: (note: ResourceNote) => number): number => notes.reduce((sum, note) => sum + bytes(note), 0) / 1024 / 1024;
  return { threads: notes.length, heapMb: mb(({ heapBytes }) => heapBytes), externalMb: mb(({ externalBytes }) => externalBytes) };
}
