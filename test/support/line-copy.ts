import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Random } from '@rocketmq-connect/sdk';
import { BIN, type StandaloneProcess, spawnStandalone, startStandalone, waitFor } from './standalone.ts';

/** The message log that lines are copied through. */
export interface LogUnderCopy {
  /** For the command line of the standalone. */
  readonly args: readonly string[];
  /** The bodies of a topic by queue, in order. The standalone has ended. */
  topic(topic: string, dataDir: string): Promise<readonly (readonly string[])[]>;
}

export interface LineCopyOptions {
  readonly log: LogUnderCopy;
  readonly random: Random;
  /** Begins the names of the topics. */
  readonly name?: string;
  /** More configuration of the sinks. */
  readonly sinks?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Scripts of `rocketmq-connect`, one at each start by turns; by default that of this tree. */
  readonly bins?: readonly string[];
}

const TASKS = 2;
const PARTS = [...'abcdefg'];
/** On a busy machine a copy takes long; one that stands still for this time does not go on. */
const STILL_MS = 120_000;
const GOES_ON_MS = 60_000;

/**
 * A real standalone that copies lines, which grow in number, twice: from one file through one queue into one file, which must equal the source byte
 * for byte; and from several files by two tasks, through four queues, by two tasks into two files: exactly once, in order per file and queue.
 */
export class LineCopy {
  readonly #options: LineCopyOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'rmqc-copy-'));
  readonly #dataDir = join(this.#folder, 'data');
  readonly #source = join(this.#folder, 'source.txt');
  readonly #copy = join(this.#folder, 'copy.txt');
  readonly #spread = join(this.#folder, 'spread.txt');
  #created = false;
  #lines = 0;
  #foundAgain = 0;
  #starts = 0;
  #process: StandaloneProcess | null = null;
  #output: () => string = () => '';

  constructor(options: LineCopyOptions) {
    this.#options = options;
  }

  /** Lines in the source so far. */
  get lines(): number {
    return this.#lines;
  }

  /** Waits until another line has come through. */
  async goesOn(): Promise<void> {
    const before = sizeOf(this.#copy);
    this.grow(this.#lines + 1);
    await waitFor(() => sizeOf(this.#copy) > before, `the copy goes on after ${before} bytes`, GOES_ON_MS);
  }

  /** Appends lines up to this many. */
  grow(to: number): void {
    const parts = PARTS.map(() => '');
    let whole = '';
    for (; this.#lines < to; this.#lines++) {
      const line = `${this.#lines} ${'abcdefghij'.repeat(Math.floor(this.#options.random() * 20))}\n`;
      whole += line;
      parts[this.#lines % PARTS.length] += line;
    }
    appendFileSync(this.#source, whole);
    for (const [i, part] of parts.entries()) appendFileSync(join(this.#folder, `part-${PARTS[i]}.txt`), part);
  }

  /** Starts the standalone; the first time it is given the connectors. */
  async start(): Promise<StandaloneProcess> {
    const run = await startStandalone(this.#command());
    this.#process = run;
    this.#output = run.output;
    if (this.#created) return run;
    this.#created = true;
    const { sinks = {} } = this.#options;
    const [ordered, spread] = this.#topics();
    const connectors = {
      out: { 'connector.class': 'FileStreamSource', file: this.#source, topic: ordered },
      'out-spread': {
        'connector.class': 'FileStreamSource',
        file: join(this.#folder, 'part-*.txt'),
        topic: spread,
        'tasks.max': String(TASKS),
      },
      in: { 'connector.class': 'FileStreamSink', file: this.#copy, topics: ordered, ...sinks },
      'in-spread': { 'connector.class': 'FileStreamSink', file: this.#spread, topics: spread, 'tasks.max': String(TASKS), ...sinks },
    };
    for (const [name, config] of Object.entries(connectors)) await run.request('POST', '/connectors', { name, config });
    return run;
  }

  /** Kill -9; also what has only begun to start. */
  async kill(): Promise<void> {
    this.#countFound();
    await this.#process?.kill();
    this.#process = null;
  }

  /** Begins to start it, and kills it then. */
  async killWhileItStarts(afterMs: number): Promise<void> {
    const run = spawnStandalone(this.#command());
    this.#output = run.output;
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    this.#countFound();
    await run.kill();
  }

  /** Waits until everything is copied, stops, and compares topics and files with the source. */
  async finish(): Promise<CopyResult> {
    const run = this.#process ?? (await this.start());
    const size = sizeOf(this.#source);
    const copied = (): readonly [number, number] => [sizeOf(this.#copy), this.#spreadFiles().reduce((sum, file) => sum + sizeOf(file), 0)];
    let last = '';
    for (let movedMs = performance.now(); copied().some((bytes) => bytes < size); ) {
      const now = copied().join(' and ');
      if (now !== last) movedMs = performance.now();
      last = now;
      if (performance.now() - movedMs > STILL_MS) throw new Error(`the copies stand at ${now} of ${size} bytes\n${run.output()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#countFound();
    await run.interrupt();
    this.#process = null;
    assert.ok(readFileSync(this.#copy).equals(readFileSync(this.#source)), 'the sink file equals the source');
    const lines = linesOf(this.#source);
    const [ordered, spread] = this.#topics();
    const { log } = this.#options;
    assertLines((await log.topic(ordered, this.#dataDir)).flat(), lines, 'the topic');
    const queues = await log.topic(spread, this.#dataDir);
    for (const queue of queues) assertRising(queue);
    assert.ok(queues.filter((queue) => queue.length > 0).length > 1, 'several queues are used');
    assertLines(queues.flat().sort(byNumber), lines, 'the spread topic');
    assertLines(this.#spreadFiles().flatMap(linesOf).sort(byNumber), lines, 'the files of the spread sink');
    return { lines: lines.length, foundAgain: this.#foundAgain };
  }

  async remove(): Promise<void> {
    await this.#process?.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #topics(): readonly [string, string] {
    const { name = '' } = this.#options;
    return [`${name}lines`, `${name}spread`];
  }

  #spreadFiles(): string[] {
    const all = Array.from({ length: TASKS }, (_, task) => (task === 0 ? this.#spread : `${this.#spread}.task-${task}`));
    return all.filter((file) => existsSync(file));
  }

  #command() {
    const { log, args = [], bins = [BIN] } = this.#options;
    // Commits every 50 ms put faults before, in and after commits, not only between them.
    const all = ['--no-quickstart', '--offsets-commit-interval-ms', '50', ...log.args, ...args];
    return { bin: bins[this.#starts++ % bins.length] ?? BIN, dataDir: this.#dataDir, cwd: this.#folder, args: all };
  }

  /** Records that were sent and not committed when the one before died: if there were none, nothing was put to the test. */
  #countFound(): void {
    for (const [, count] of this.#output().matchAll(/after an unclean end, (\d+) records/g)) this.#foundAgain += Number(count);
    this.#output = () => '';
  }
}

export interface CopyResult {
  readonly lines: number;
  /** Records found in the log after unclean ends, which were not sent again. */
  readonly foundAgain: number;
}

function sizeOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0;
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1);
}

function numberOf(line: string): number {
  return Number.parseInt(line, 10);
}

function byNumber(a: string, b: string): number {
  return numberOf(a) - numberOf(b);
}

/** The lines of each part are in order. */
function assertRising(queue: readonly string[]): void {
  const last = PARTS.map(() => -1);
  for (const line of queue) {
    const number = numberOf(line);
    const part = number % PARTS.length;
    assert.ok((last[part] ?? 0) < number, `each queue is in order: line ${last[part]} stands before ${number}, of one file`);
    last[part] = number;
  }
}

/** Tells the first difference, not all of them. */
function assertLines(actual: readonly string[], expected: readonly string[], what: string): void {
  for (let i = 0; i < Math.max(actual.length, expected.length); i++) {
    const [is, ought] = [actual[i]?.slice(0, 40), expected[i]?.slice(0, 40)];
    assert.ok(actual[i] === expected[i], `${what} equals the source: its line ${i} of ${actual.length} is ${is}, not ${ought}`);
  }
}
