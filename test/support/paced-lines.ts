import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { NumberedFiles } from './numbered-files.ts';

const EVERY_MS = 20;

/** Numbered lines at a constant rate, and how long each takes to come out of a sink. */
export class PacedLines {
  readonly lines: NumberedFiles;
  readonly #copies: readonly string[];
  readonly #files: number;
  readonly #perFileAndMs: number;
  /** After which time each file had how many lines. */
  readonly #written: { readonly count: number; readonly atMs: number }[] = [];
  readonly #read = new Map<string, number>();
  readonly #latenciesMs: number[] = [];
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `copies`: the files that the sink's tasks write. */
  constructor(folder: string, name: string, files: number, linesPerSecond: number, copies: readonly string[]) {
    this.lines = new NumberedFiles(folder, name, files);
    this.#copies = copies;
    this.#files = files;
    this.#perFileAndMs = linesPerSecond / files / 1_000;
  }

  start(): void {
    this.#startedMs = performance.now();
    this.#written.push({ count: 1, atMs: this.#startedMs });
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
  }

  /** Writes no more. */
  rest(): void {
    clearInterval(this.#timer);
  }

  /** Resolves to milliseconds from write to arrival, in ascending order, when every line has arrived. */
  async stop(): Promise<readonly number[]> {
    this.rest();
    const [copy = ''] = this.#copies;
    const watching = setInterval(() => this.#readArrived(), EVERY_MS);
    await this.lines.arrived(copy);
    clearInterval(watching);
    this.#readArrived();
    return this.#latenciesMs.sort((a, b) => a - b);
  }

  get perSecond(): number {
    return (this.#count * this.#files * 1_000) / (performance.now() - this.#startedMs);
  }

  get #count(): number {
    return this.#written.at(-1)?.count ?? 0;
  }

  #tick(): void {
    const atMs = performance.now();
    const due = Math.floor((atMs - this.#startedMs) * this.#perFileAndMs) + 1 - this.#count;
    if (due > 0) {
      this.lines.grow(due);
      this.#written.push({ count: this.#count + due, atMs });
    }
    this.#readArrived();
  }

  #readArrived(): void {
    const nowMs = performance.now();
    for (const copy of this.#copies) {
      const from = this.#read.get(copy) ?? 0;
      if (!existsSync(copy) || statSync(copy).size === from) continue;
      const text = readFrom(copy, from);
      this.#read.set(copy, from + text.length);
      for (const line of text.split('\n').slice(0, -1)) {
        this.#latenciesMs.push(nowMs - this.#writtenAtMs(Number(line.split(':')[1])));
      }
    }
  }

  #writtenAtMs(number: number): number {
    let [low, high] = [0, this.#written.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#written[middle]?.count ?? 0) > number) high = middle;
      else low = middle + 1;
    }
    return this.#written[low]?.atMs ?? 0;
  }
}

/** Whole lines; ASCII. */
function readFrom(path: string, from: number): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    const text = bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, from));
    return text.slice(0, text.lastIndexOf('\n') + 1);
  } finally {
    closeSync(file);
  }
}
