/** A system that records come from: numbered streams that only grow. It survives whatever happens to the mesh. */
export class OutsideSource {
  readonly #counts: number[];
  readonly #watchers = new Set<() => void>();
  /** There are more streams than at first. */
  hasGrown = false;

  constructor(streams: number) {
    this.#counts = new Array<number>(streams).fill(0);
  }

  get streams(): number {
    return this.#counts.length;
  }

  count(stream: number): number {
    return this.#counts[stream] ?? 0;
  }

  grow(stream: number, by: number): void {
    this.#counts[stream] = this.count(stream) + by;
  }

  /** Hears of new streams, until it is cancelled. */
  watch(onStream: () => void): () => void {
    this.#watchers.add(onStream);
    return () => this.#watchers.delete(onStream);
  }

  addStream(): void {
    this.#counts.push(0);
    this.hasGrown = true;
    for (const onStream of this.#watchers) onStream();
  }

  get total(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }
}

/** What one queue left in the system that records go to. */
export interface OutsideFile {
  readonly lines: string[];
  /** Lines that are durable. */
  flushed: number;
}

/**
 * A system that records go to: one file for each queue that is read, which only the length in a sink's state tells how much of it counts.
 * It survives whatever happens to the mesh. Lives are told apart by the start time of their connector.
 */
export class OutsideSink {
  readonly #files = new Map<string, OutsideFile>();

  file(startTimeMs: number, queue: number): OutsideFile {
    const name = `${startTimeMs}/${queue}`;
    let file = this.#files.get(name);
    if (file === undefined) {
      file = { lines: [], flushed: 0 };
      this.#files.set(name, file);
    }
    return file;
  }
}
