import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { QueueId, SinkRecord, SinkState, SinkTask, SinkTaskContext } from '@rocketmq-connect/sdk';
import { errorCode, fileFault } from './fault.ts';
import { type EncodedLines, LineEncoder } from './line-encoder.ts';
import { OutputFile } from './output-file.ts';
import type { FileSinkConfig } from './sink.ts';

/** Where lines go to. */
export interface LineOutput {
  append(lines: EncodedLines): Promise<void>;
  flush(): Promise<SinkState | undefined>;
  close(): Promise<void>;
}

/** Writes what it is given at once, so that a line is visible as soon as it came; `flush` makes it durable. */
export class FileSinkTask implements SinkTask {
  readonly #config: FileSinkConfig;
  readonly #context: SinkTaskContext;
  readonly #encoder: LineEncoder;
  #output: LineOutput | undefined;

  constructor(config: FileSinkConfig, context: SinkTaskContext) {
    this.#config = config;
    this.#context = context;
    this.#encoder = new LineEncoder(config['file.rotate.bytes'] > 0);
  }

  async open(_queues: readonly QueueId[], state: SinkState): Promise<void> {
    this.#output ??= await this.#openOutput(state);
  }

  async put(records: readonly SinkRecord[]): Promise<void> {
    if (records.length > 0) await this.#opened().append(this.#encoder.encode(records));
  }

  async flush(): Promise<SinkState | undefined> {
    return this.#output?.flush();
  }

  async stop(): Promise<void> {
    const output = this.#output;
    this.#output = undefined;
    await output?.close();
  }

  #opened(): LineOutput {
    if (this.#output === undefined) throw new Error('A sink is opened before records are put');
    return this.#output;
  }

  async #openOutput(state: SinkState): Promise<LineOutput> {
    const { file } = this.#config;
    const { task } = this.#context;
    if (file === undefined) return new StandardOutput();
    // One writer per file: what keeps a file exact is its length, which several tasks cannot share.
    const path = resolve(task === 0 ? file : `${file}.task-${task}`);
    if (task > 0) this.#context.log.info(`Writing to ${path}: each task has a file of its own`, { file: path });
    const existing = await stat(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw fileFault(error, path, 'write');
    });
    if (existing?.isDirectory() === true) throw fileFault(Object.assign(new Error(path), { code: 'EISDIR' }), path, 'write');
    if (existing !== undefined && !existing.isFile()) return DeviceOutput.open(path);
    return OutputFile.open(path, state[path], this.#config, this.#context);
  }
}

/** A device or named pipe: it has no length to go back to, so a repeated record is written again. */
class DeviceOutput implements LineOutput {
  readonly #path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  static async open(path: string): Promise<DeviceOutput> {
    try {
      return new DeviceOutput(path, await open(path, constants.O_WRONLY));
    } catch (error) {
      throw fileFault(error, path, 'write');
    }
  }

  async append({ bytes }: EncodedLines): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) at += (await this.#handle.write(bytes, at, bytes.length - at)).bytesWritten;
    } catch (error) {
      throw fileFault(error, this.#path, 'write');
    }
  }

  async flush(): Promise<undefined> {
    return undefined;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

class StandardOutput implements LineOutput {
  append({ bytes }: EncodedLines): Promise<void> {
    // A copy: the stream may keep it, and the encoder uses its buffer again.
    const copy = Buffer.from(bytes);
    return new Promise((done, failed) => {
      process.stdout.write(copy, (error) => (error ? failed(fileFault(error, 'the standard output', 'write')) : done()));
    });
  }

  async flush(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {}
}
