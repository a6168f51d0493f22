import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { waitFor } from './standalone.ts';

/** Files of numbered lines `{file}:{number}`, for a source by a glob; and what became of the lines in the files of a sink. */
export class NumberedFiles {
  readonly glob: string;
  readonly #folder: string;
  readonly #name: string;
  readonly #counts: number[];
  #timer: NodeJS.Timeout | undefined;

  constructor(folder: string, name: string, files: number) {
    this.glob = join(folder, `${name}-*.txt`);
    this.#folder = folder;
    this.#name = name;
    this.#counts = Array.from({ length: files }, () => 0);
    this.grow(1);
  }

  /** So many files more, of one line each. */
  add(files: number): void {
    for (let i = 0; i < files; i++) this.#counts.push(0);
    this.grow(1);
  }

  /** So many lines more in each file. */
  grow(lines: number): void {
    for (const [file, count] of this.#counts.entries()) {
      let text = '';
      for (let number = count; number < count + lines; number++) text += `${file}:${number}\n`;
      appendFileSync(join(this.#folder, `${this.#name}-${file}.txt`), text);
      this.#counts[file] = count + lines;
    }
  }

  /** A few lines every few milliseconds until `rest`. */
  keepGrowing(): void {
    this.#timer ??= setInterval(() => this.grow(3), 20);
  }

  rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Waits until every line is in the sink's files at least once; resolves to what else is wrong with them: nothing, mostly. */
  async arrived(copy: string, limitMs = 60_000): Promise<Faults> {
    this.rest();
    let faults = this.faults(copy);
    const isThere = (): boolean => {
      faults = this.faults(copy);
      return faults.missing === 0;
    };
    await waitFor(isThere, `every line is in ${copy}`, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}: of ${this.total}, ${JSON.stringify(faults)}`);
    });
    return faults;
  }

  /** Lines that are in the sink's files more than once, and how often. */
  doubles(copy: string): Map<string, number> {
    const counts = new Map<string, number>();
    for (const line of linesOf(copy)) counts.set(line, (counts.get(line) ?? 0) + 1);
    return new Map([...counts].filter(([, count]) => count > 1));
  }

  get total(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** `disordered`: lines whose first occurrence comes after that of a later line of their file. */
  faults(copy: string): Faults {
    const seen = this.#counts.map(() => new Set<number>());
    const last = this.#counts.map(() => -1);
    const faults = { missing: 0, doubled: 0, disordered: 0 };
    for (const line of linesOf(copy)) {
      const [file = -1, number = -1] = line.split(':').map(Number);
      const numbers = seen[file];
      if (numbers === undefined) throw new Error(`${copy} has a line that nobody wrote: ${line}`);
      if (numbers.has(number)) faults.doubled++;
      else if (number < (last[file] ?? -1)) faults.disordered++;
      else last[file] = number;
      numbers.add(number);
    }
    for (const [file, count] of this.#counts.entries()) faults.missing += count - (seen[file]?.size ?? 0);
    return faults;
  }
}

export interface Faults {
  readonly missing: number;
  readonly doubled: number;
  readonly disordered: number;
}

/** Of the files that a sink of several tasks writes. */
function linesOf(copy: string): string[] {
  return copiesOf(copy).flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(0, -1));
}

function copiesOf(copy: string): string[] {
  if (!existsSync(dirname(copy))) return [];
  const name = basename(copy);
  return readdirSync(dirname(copy))
    .filter((each) => each === name || each.startsWith(`${name}.task-`))
    .map((each) => join(dirname(copy), each));
}
