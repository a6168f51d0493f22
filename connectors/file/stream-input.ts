import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { SourcePartition, SourceRecord, TaskLogger } from '@rocketmq-connect/sdk';
import { errorCode, fileFault } from './fault.ts';
import { Head } from './head.ts';
import { LineBuffer, type LineSettings } from './lines.ts';
import type { LineInput } from './tail.ts';

const chunkBytes = 64 * 1024;

/** The path of the standard input. Opened anew, so that closing it, or not blocking, concerns nobody else. */
export const standardInput = '/dev/stdin';

/**
 * Lines of what cannot be read twice: standard input, pipes, terminals. Their offsets tell nothing to a later start, so each start
 * names them anew: nothing of them may be taken for a repetition.
 */
export class StreamInput implements LineInput {
  readonly path: string;
  readonly partition: SourcePartition;
  readonly lag = undefined;
  readonly #lines: LineBuffer;
  readonly #log: TaskLogger;
  #handle: FileHandle | undefined;
  #ended = false;

  constructor(settings: LineSettings, startedMs: number, log: TaskLogger) {
    this.path = settings.path;
    this.partition = settings.partition;
    this.#lines = new LineBuffer(settings, new Head(String(startedMs)), 0);
    this.#log = log;
  }

  async read(records: SourceRecord[], max: number): Promise<void> {
    const before = records.length;
    try {
      this.#handle ??= await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
      for (;;) {
        this.#lines.take(records, max);
        if (records.length > before) return;
        const { buffer, offset, length } = this.#lines.space(chunkBytes);
        const { bytesRead } = await this.#handle.read(buffer, offset, length, null);
        if (bytesRead === 0) {
          this.#end(records);
          return;
        }
        this.#ended = false;
        this.#lines.filled(bytesRead);
      }
    } catch (error) {
      if (errorCode(error) === 'EAGAIN') return;
      throw errorCode(error) === '' ? error : fileFault(error, this.path, 'read');
    }
  }

  async look(): Promise<void> {
    // A stream does not tell what is still to come.
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }

  /** All writers have gone. Another one may come to a named pipe. */
  #end(records: SourceRecord[]): void {
    this.#lines.takeRest(records);
    if (!this.#ended) this.#log.info(`The input ${this.path} has ended`);
    this.#ended = true;
  }
}
