import { constants, fstatSync } from 'node:fs';
import { access, type FileHandle, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ConnectError, FatalError, type JsonValue, type SinkState, type SinkTaskContext } from '@rocketmq-connect/sdk';
import { errorCode, fileFault } from './fault.ts';
import { type FileState, isFileState, tailOf } from './file-state.ts';
import { bootId, Journal, journalPath, type Note, syncFolder } from './journal.ts';
import type { EncodedLines } from './line-encoder.ts';
import { changed, firstState, openToAppend, restore, rotatedPath } from './recovery.ts';
import type { FileSinkConfig } from './sink.ts';
import { WriterLock } from './writer-lock.ts';

/** Writes part of a buffer at the end of a file; how many bytes. Replaced where a test fills the disk. */
export type WriteBytes = (handle: FileHandle, bytes: Buffer, offset: number, length: number) => Promise<number>;

/** A regular file that lines are appended to, with the state that makes it exact after any crash. */
export class OutputFile {
  readonly #name: string;
  readonly #path: string;
  readonly #config: FileSinkConfig;
  readonly #context: SinkTaskContext;
  readonly #lock: WriterLock;
  readonly #journal: Journal;
  readonly #write: WriteBytes;
  #handle: FileHandle;
  /** As of the last write; `tail` as of the last flush. */
  #state: FileState;
  #unsynced = false;
  #unsyncedFolder = false;
  /** Also at first, so that the first flush knows the tail. */
  #unflushed = true;

  private constructor(parts: Parts) {
    this.#name = parts.name;
    this.#path = parts.path;
    this.#config = parts.config;
    this.#context = parts.context;
    this.#lock = parts.lock;
    this.#journal = parts.journal;
    this.#write = parts.write;
    this.#handle = parts.handle;
    this.#state = parts.state;
  }

  /** Opens `name` and brings it to `committed`, or, before the first commit, to how it was found at the first open. */
  static async open(
    name: string,
    committed: JsonValue | undefined,
    config: FileSinkConfig,
    context: SinkTaskContext,
    write: WriteBytes = writeBytes,
  ): Promise<OutputFile> {
    let lock: WriterLock | undefined;
    let handle: FileHandle | undefined;
    try {
      const path = await realPath(name);
      lock = await WriterLock.take(path, `connector ${context.connector}, task ${context.task}`);
      const { connector, startTimeMs } = context;
      const note = await Journal.read(path, connector, startTimeMs);
      const known = lastKnown(name, committed, note);
      let state = known;
      if (known !== undefined) {
        handle = await restore(path, known, note, context.log).catch((error: unknown) => accept(error, config, context));
        if (handle !== undefined) state = { ...known, inode: String((await handle.stat({ bigint: true })).ino) };
      }
      if (handle === undefined || state === undefined) {
        handle ??= await openToAppend(path);
        state = await firstState(path, handle, context.now(), known === undefined ? 0 : known.rotation + 1);
      }
      const journal = await Journal.begin(path, {
        connector,
        startTimeMs,
        boot: bootId(),
        base: state,
        rotation: state.rotation,
        end: state.length,
      }).catch((error: unknown) => {
        throw fileFault(error, journalPath(path), 'write');
      });
      return new OutputFile({ name, path, config, context, lock, journal, write, handle, state });
    } catch (error) {
      await handle?.close();
      await lock?.close();
      throw error instanceof ConnectError ? error : fileFault(error, name, 'write');
    }
  }

  /** Appends lines: all of them, or, when it fails, none. */
  async append(lines: EncodedLines): Promise<void> {
    await this.#checkUntouched();
    const before = this.#state;
    try {
      for (let from = 0; from < lines.bytes.length; ) from = await this.#appendSome(lines, from);
      if (this.#config['file.fsync'] === 'put') await this.#sync();
    } catch (error) {
      await this.#goBack(before);
      throw error instanceof ConnectError ? error : fileFault(error, this.#path, 'write');
    }
  }

  async flush(): Promise<SinkState> {
    await this.#checkUntouched();
    await this.#checkInPlace();
    if (this.#unflushed) {
      try {
        if (this.#config['file.fsync'] !== 'never') await this.#sync();
        this.#state = { ...this.#state, tail: await tailOf(this.#handle, this.#state.length) };
      } catch (error) {
        // After a failed sync the system may have dropped the bytes: only opening anew, from the committed state, is safe.
        throw new FatalError(`Cannot force ${this.#path} to the disk: ${error instanceof Error ? error.message : String(error)}`, {
          code: 'FILE_FAULT',
          field: 'file',
          remedy: 'Check the disk, then restart the task.',
          cause: error,
        });
      }
      this.#unflushed = false;
    }
    return { [this.#name]: { ...this.#state } };
  }

  async close(): Promise<void> {
    await this.#journal.close();
    await this.#handle.close();
    await this.#lock.close();
  }

  /** Writes lines from `from` on, as many as fit into the file by `file.rotate.bytes`; where it stopped. */
  async #appendSome({ bytes, ends }: EncodedLines, from: number): Promise<number> {
    const limit = this.#config['file.rotate.bytes'];
    let to = bytes.length;
    if (limit > 0) {
      const room = limit - this.#state.length;
      to = lastEndWithin(ends, from, from + room) ?? from;
      if (to === from && this.#state.length === 0) to = firstEndAfter(ends, from);
    }
    if (to === from || this.#isOld()) {
      await this.#rotate();
      return from;
    }
    const { length, rotation } = this.#state;
    this.#journal.intend(rotation, length + to - from);
    if (length === 0) this.#state = { ...this.#state, sinceMs: this.#context.now() };
    this.#unsynced = true;
    this.#unflushed = true;
    for (let at = from; at < to; ) at += await this.#write(this.#handle, bytes, at, to - at);
    this.#state = { ...this.#state, length: length + to - from };
    return to;
  }

  #isOld(): boolean {
    const age = this.#config['file.rotate.ms'];
    return age > 0 && this.#state.length > 0 && this.#context.now() - this.#state.sinceMs >= age;
  }

  async #rotate(): Promise<void> {
    const rotation = this.#state.rotation + 1;
    const target = rotatedPath(this.#path, rotation);
    if (await exists(target)) {
      throw new FatalError(`Cannot rotate ${this.#path}: ${target} exists already`, {
        code: 'ROTATION_BLOCKED',
        field: 'file',
        remedy: `Move ${target} away, then restart the task.`,
      });
    }
    if (this.#config['file.fsync'] !== 'never') await this.#handle.datasync();
    this.#journal.intend(rotation, 0);
    await rename(this.#path, target);
    this.#unsyncedFolder = true;
    this.#state = { ...this.#state, rotation };
    const next = await openToAppend(this.#path);
    await this.#handle.close();
    this.#handle = next;
    const { ino } = await next.stat({ bigint: true });
    const sinceMs = this.#context.now();
    this.#state = { inode: String(ino), length: 0, rotation, firstLength: 0, tail: '0', sinceMs };
    // Until then the rotated file may be taken back.
    this.#context.requestCommit();
  }

  /** Undoes a failed append, also over rotations. */
  async #goBack(before: FileState): Promise<void> {
    try {
      if (this.#state.rotation > before.rotation) {
        for (let rotation = this.#state.rotation; rotation > before.rotation + 1; rotation -= 1) {
          await rm(rotatedPath(this.#path, rotation), { force: true });
        }
        await rename(rotatedPath(this.#path, before.rotation + 1), this.#path);
        await this.#handle.close();
        this.#handle = await openToAppend(this.#path);
      }
      await this.#handle.truncate(before.length);
      this.#state = before;
    } catch (error) {
      throw new FatalError(`Cannot undo a failed write to ${this.#path}: ${error instanceof Error ? error.message : String(error)}`, {
        code: 'FILE_FAULT',
        field: 'file',
        remedy: 'Check the disk, then restart the task: it begins at the last commit.',
        cause: error,
      });
    }
  }

  async #sync(): Promise<void> {
    if (this.#unsynced) await this.#handle.datasync();
    this.#unsynced = false;
    if (this.#unsyncedFolder) await syncFolder(this.#path);
    this.#unsyncedFolder = false;
  }

  /** Nobody else has written to the file. */
  async #checkUntouched(): Promise<void> {
    const { size } = fstatSync(this.#handle.fd);
    const { length } = this.#state;
    if (size === length) return;
    await this.#adopt(
      changed(this.#path, `${this.#path} has ${size} bytes where this connector left ${length}: somebody else writes to it`),
    );
  }

  /** Nobody has renamed or removed the file. */
  async #checkInPlace(): Promise<void> {
    let inode = 'none';
    try {
      inode = String((await stat(this.#path, { bigint: true })).ino);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw fileFault(error, this.#path, 'write');
    }
    if (inode === this.#state.inode) return;
    await this.#adopt(changed(this.#path, `${this.#path} was removed or replaced while it was written`));
  }

  /** Goes on with what lies at the path now, where the user allows it. */
  async #adopt(error: FatalError): Promise<void> {
    if (this.#config['file.changed'] === 'fail') throw error;
    this.#context.log.warn(`${error.message}: going on with it as it is`, { file: this.#path });
    if (this.#config['file.fsync'] !== 'never') await this.#handle.datasync();
    const next = await openToAppend(this.#path);
    await this.#handle.close();
    this.#handle = next;
    this.#state = await firstState(this.#path, next, this.#context.now(), this.#state.rotation + 1);
    await this.#journal.rebase(this.#state);
    this.#unflushed = true;
  }
}

interface Parts {
  readonly name: string;
  readonly path: string;
  readonly config: FileSinkConfig;
  readonly context: SinkTaskContext;
  readonly lock: WriterLock;
  readonly journal: Journal;
  readonly write: WriteBytes;
  readonly handle: FileHandle;
  readonly state: FileState;
}

async function writeBytes(handle: FileHandle, bytes: Buffer, offset: number, length: number): Promise<number> {
  return (await handle.write(bytes, offset, length)).bytesWritten;
}

/**
 * The state to go back to: the committed one; what was noted where this life of the connector died before its first commit, or after it
 * had taken a changed file as it is (which counts as a rotation).
 */
function lastKnown(name: string, committed: JsonValue | undefined, note: Note | undefined): FileState | undefined {
  if (committed === undefined) return note?.base;
  if (!isFileState(committed)) {
    throw new FatalError(`The committed state of ${name} is not one of this connector: ${JSON.stringify(committed)}`, {
      code: 'STATE_INVALID',
      field: 'file',
      remedy: "Reset the connector's offsets: it then appends to the file as it is, from the first record of its topics.",
    });
  }
  return note !== undefined && note.base.rotation > committed.rotation ? note.base : committed;
}

/** With `file.changed=append` a changed file is taken as it is. */
function accept(error: unknown, config: FileSinkConfig, context: SinkTaskContext): undefined {
  if (config['file.changed'] === 'fail' || !(error instanceof ConnectError) || error.code !== 'FILE_CHANGED') throw error;
  context.log.warn(`${error.message}: going on with it as it is`);
  return undefined;
}

/** The file itself where `path` is a link to it: rotation renames it. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return join(await realpath(dirname(path)), basename(path));
  }
}

function lastEndWithin(ends: readonly number[], from: number, limit: number): number | undefined {
  return ends.findLast((end) => end > from && end <= limit);
}

function firstEndAfter(ends: readonly number[], from: number): number {
  return ends.find((end) => end > from) ?? from;
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}
