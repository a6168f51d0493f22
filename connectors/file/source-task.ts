import type { SourceBatch, SourcePartition, SourceRecord, SourceTask, SourceTaskContext } from '@rocketmq-connect/sdk';
import { FileChanges } from './changes.ts';
import { fileFault } from './fault.ts';
import type { LineSettings } from './lines.ts';
import { statOf } from './reader.ts';
import type { FileSourceConfig } from './source.ts';
import { StreamInput, standardInput } from './stream-input.ts';
import { type LineInput, Tail } from './tail.ts';

/** A poll without lines ends after this. */
const pollMs = 1_000;
/** Files that are looked at for one answer about lags. */
const looksMax = 64;

/** Reads the lines of some files, each in turn. */
export class FileSourceTask implements SourceTask {
  readonly #config: FileSourceConfig;
  readonly #context: SourceTaskContext;
  readonly #paths: readonly string[];
  readonly #changes = new FileChanges();
  #inputs: { readonly input: LineInput; lookAtMs: number }[] = [];
  #next = 0;
  #nextLook = 0;
  #looking: Promise<void> | undefined;
  #polling: Promise<SourceBatch | null> | undefined;
  #stopped = false;
  #fault: unknown;

  constructor(config: FileSourceConfig, context: SourceTaskContext, paths: readonly string[]) {
    this.#config = config;
    this.#context = context;
    this.#paths = paths;
  }

  async start(): Promise<void> {
    for (const path of this.#paths) this.#inputs.push({ input: await this.#input(path), lookAtMs: 0 });
  }

  poll(signal: AbortSignal): Promise<SourceBatch | null> {
    this.#polling = this.#poll(signal);
    return this.#polling;
  }

  /** Bytes per file. Also while nothing is polled, since a log that takes nothing is when they matter. */
  lags(): readonly { readonly partition: SourcePartition; readonly lag: number }[] {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#inputs.flatMap(({ input: { partition, lag } }) => (lag === undefined ? [] : [{ partition, lag }]));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#changes.close();
    // A poll that is under way may be opening a file.
    await this.#polling?.catch(() => undefined);
    await this.#looking;
    const inputs = this.#inputs;
    this.#inputs = [];
    for (const { input } of inputs) await input.close();
  }

  async #poll(signal: AbortSignal): Promise<SourceBatch | null> {
    const untilMs = performance.now() + pollMs;
    while (!this.#stopped) {
      if (this.#fault !== undefined) {
        const fault = this.#fault;
        this.#fault = undefined;
        throw fault;
      }
      const records: SourceRecord[] = [];
      await this.#collect(records);
      if (records.length > 0) return { records };
      const nowMs = performance.now();
      if (signal.aborted || nowMs >= untilMs) return null;
      await this.#changes.wait(Math.min(this.#config['poll.interval.ms'], untilMs - nowMs), signal);
    }
    return null;
  }

  /** Asks the files in turn, beginning after the one asked last: a busy one does not starve the others, an idle one costs nothing. */
  async #collect(records: SourceRecord[]): Promise<void> {
    const inputs = this.#inputs;
    const max = this.#config['batch.size'];
    const first = this.#next;
    for (let turn = 0; turn < inputs.length && records.length < max; turn += 1) {
      const index = (first + turn) % inputs.length;
      const entry = inputs[index];
      if (entry === undefined) return;
      const changed = this.#changes.take(entry.input.path);
      if (!changed && performance.now() < entry.lookAtMs) continue;
      const before = records.length;
      try {
        await entry.input.read(records, max);
      } catch (error) {
        if (records.length === 0) throw error;
        // Lines that were taken go out first: the error must not take them with it.
        this.#fault = error;
        return;
      }
      entry.lookAtMs = records.length > before ? 0 : performance.now() + this.#config['poll.interval.ms'];
      this.#next = (index + 1) % inputs.length;
    }
  }

  /** Looks at some of the files, the next ones in turn. */
  async #look(): Promise<void> {
    const inputs = this.#inputs;
    for (let turn = 0; turn < Math.min(inputs.length, looksMax); turn++) {
      const entry = inputs[this.#nextLook++ % inputs.length];
      // A file that cannot be looked at fails the poll, which says so; until then it is as far behind as it was.
      await entry?.input.look().catch(() => undefined);
    }
  }

  async #input(path: string): Promise<LineInput> {
    const settings = this.#settings(path);
    let file: Awaited<ReturnType<typeof statOf>>;
    try {
      file = await statOf(path);
    } catch (error) {
      throw fileFault(error, path, 'read');
    }
    if (path === standardInput || file?.isFIFO() === true || file?.isCharacterDevice() === true) {
      return new StreamInput(settings, this.#context.now(), this.#context.log);
    }
    if (file?.isDirectory() === true) throw fileFault(Object.assign(new Error(path), { code: 'EISDIR' }), path, 'read');
    const follow = (opened: string): void => this.#changes.follow(opened);
    return new Tail(settings, this.#config['rotate.wait.ms'], this.#context.offset(settings.partition), this.#context.log, follow);
  }

  #settings(path: string): LineSettings {
    const { topic, 'line.max.bytes': maxBytes, 'line.too.long': tooLong } = this.#config;
    const { log } = this.#context;
    return {
      topic,
      // One object for all records of the file: the pipeline knows it by identity.
      partition: { filename: path === standardInput ? '-' : path },
      maxBytes,
      tooLong,
      path,
      skipped: (position, bytes) => log.warn('Left out a line longer than line.max.bytes', { file: path, position, bytes, maxBytes }),
    };
  }
}
