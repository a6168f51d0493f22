import type { BigIntStats } from 'node:fs';
import type { SourceOffset, SourcePartition, SourceRecord, TaskLogger } from '@rocketmq-connect/sdk';
import { errorCode, fileFault } from './fault.ts';
import { Generation, type Resume } from './generation.ts';
import { checksum, headBytesMax, parseName } from './head.ts';
import type { LineSettings } from './lines.ts';
import { statOf } from './reader.ts';
import { type RotatedFile, rotatedFiles, withContent } from './rotations.ts';

/** What a source task reads from. */
export interface LineInput {
  readonly path: string;
  /** Appends at most `max - records.length` lines; none when there are none now. */
  read(records: SourceRecord[], max: number): Promise<void>;
  readonly partition: SourcePartition;
  /** Bytes not read yet, as last seen; undefined where nobody can know. */
  readonly lag: number | undefined;
  /** Sees how much there is to read, which otherwise shows when what is known is read. */
  look(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Follows what is appended to a path, over rotation (the path gets another file: the old one is read to its end first) and truncation
 * (it begins anew; what a copy of the old content still holds is read first).
 */
export class Tail implements LineInput {
  readonly path: string;
  readonly #settings: LineSettings;
  readonly #rotateWaitMs: number;
  readonly #log: TaskLogger;
  /** Called when another file is opened at the path itself. */
  readonly #opened: (path: string) => void;
  #committed: Resume | undefined;
  #current: Generation | undefined;
  #unopenedLag: number | undefined;
  #missingLogged = false;
  #replacedSinceMs = 0;

  constructor(
    settings: LineSettings,
    rotateWaitMs: number,
    offset: SourceOffset | undefined,
    log: TaskLogger,
    opened: (path: string) => void,
  ) {
    this.path = settings.path;
    this.#rotateWaitMs = rotateWaitMs;
    this.#settings = settings;
    this.#committed = offset === undefined ? undefined : resumeOf(offset);
    this.#log = log;
    this.#opened = opened;
  }

  async read(records: SourceRecord[], max: number): Promise<void> {
    try {
      const before = records.length;
      while (this.#current !== undefined || (await this.#begin())) {
        const current = this.#current;
        if (current === undefined) return;
        current.take(records, max);
        if (records.length > before) return;
        switch (await current.more()) {
          case 'read':
            break;
          case 'truncated':
            await this.#truncated(current);
            break;
          case 'end':
            if (current.complete) current.takeRest(records);
            if (records.length > before || !(await this.#moveOn(current, records)) || records.length > before) return;
        }
      }
    } catch (error) {
      throw errorCode(error) === '' ? error : fileFault(error, this.path, 'read');
    }
  }

  get partition(): SourcePartition {
    return this.#settings.partition;
  }

  get lag(): number | undefined {
    return this.#current === undefined ? this.#unopenedLag : this.#current.lag;
  }

  async look(): Promise<void> {
    if (this.#current !== undefined) return this.#current.look();
    const now = this.path.endsWith('.gz') ? undefined : await statOf(this.path);
    this.#unopenedLag = now === undefined ? undefined : Math.max(0, Number(now.size) - (this.#committed?.position ?? 0));
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.close();
  }

  async #begin(): Promise<boolean> {
    const committed = this.#committed;
    const generation = committed === undefined || committed.position === 0 ? await this.#openPath() : await this.#find(committed);
    if (generation === undefined) return false;
    this.#committed = undefined;
    this.#current = generation;
    return true;
  }

  async #openPath(): Promise<Generation | undefined> {
    try {
      const generation = await Generation.open(this.path, this.#settings);
      this.#missingLogged = false;
      this.#opened(this.path);
      return generation;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      if (!this.#missingLogged) this.#log.info(`${this.path} does not exist yet: waiting for it`, { file: this.path });
      this.#missingLogged = true;
      return undefined;
    }
  }

  /** The file that a committed offset speaks of, wherever rotation put it; else the path from its beginning. */
  async #find(committed: Resume): Promise<Generation | undefined> {
    const now = await statOf(this.path);
    const named = committed.checksum !== '';
    const same = now !== undefined && String(now.ino) === committed.inode;
    if (now !== undefined && (same || !named)) {
      const generation = await this.#resume(this.path, committed, now);
      if (generation !== undefined) return generation;
    }
    if (named) {
      const rotated = await rotatedFiles(this.path);
      const renamed = rotated.find((file) => file.inode === committed.inode);
      const generation = renamed === undefined ? undefined : await this.#resume(renamed.path, committed);
      if (generation !== undefined) return generation;
      // A whole head tells contents apart; a short one only where the inode shows that the path was cut.
      if (same || committed.position >= headBytesMax) {
        if (!same && now !== undefined) {
          const moved = await this.#resume(this.path, committed, now);
          if (moved !== undefined) {
            this.#log.info(`${this.path} is another file of the same content: going on in it`, { position: committed.position });
            return moved;
          }
        }
        const copy = await this.#copyIn(rotated, committed);
        if (copy !== undefined) return copy;
      }
    }
    if (now === undefined) return this.#openPath();
    this.#log.warn(`The content of ${this.path} that was read up to byte ${committed.position} is gone: starting with what is there now`, {
      file: this.path,
      position: committed.position,
      size: Number(now.size),
    });
    return this.#openPath();
  }

  async #resume(path: string, resume: Resume, file?: BigIntStats): Promise<Generation | undefined> {
    const inode = resume.inode === '' ? String(file?.ino ?? 0) : resume.inode;
    let generation: Generation | undefined;
    try {
      generation = await Generation.resume(path, this.#settings, { ...resume, inode });
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
    if (generation === undefined) return undefined;
    if (path === this.path) this.#opened(path);
    else this.#log.info(`Finishing ${path}, which ${this.path} was rotated to`, { position: resume.position });
    return generation;
  }

  async #copyIn(files: readonly RotatedFile[], resume: Resume): Promise<Generation | undefined> {
    const length = Math.min(headBytesMax, resume.position);
    const copy = await withContent(files, length, (head) => checksum(head) === resume.checksum, resume.position);
    return copy === undefined ? undefined : this.#resume(copy.path, resume);
  }

  /** The file was cut. Its unread end may be in a copy (logrotate's copytruncate). */
  async #truncated(current: Generation): Promise<void> {
    const resume = current.resume;
    const copy = resume.position > 0 && current.path === this.path ? await this.#copyIn(await rotatedFiles(this.path), resume) : undefined;
    this.#log.info(`${current.path} was truncated: starting again at its beginning`, {
      position: resume.position,
      ...(copy === undefined ? {} : { copy: copy.path }),
    });
    await this.close();
    this.#current = copy ?? (await this.#openPath());
  }

  /** At the end of a file: whether it is time for the next one. */
  async #moveOn(current: Generation, records: SourceRecord[]): Promise<boolean> {
    const now = await statOf(this.path);
    if (now === undefined || (now.ino === current.file.ino && now.dev === current.file.dev)) {
      this.#replacedSinceMs = 0;
      return false;
    }
    const nowMs = performance.now();
    if (this.#replacedSinceMs === 0) {
      this.#replacedSinceMs = nowMs;
      return false;
    }
    if (nowMs - this.#replacedSinceMs < this.#rotateWaitMs) return false;
    // Lines that came during the wait.
    if ((await current.more()) === 'read') return true;
    current.takeRest(records);
    this.#replacedSinceMs = 0;
    this.#log.info(`${this.path} was rotated: the old file is read to its end`, { position: current.resume.position });
    const next = await this.#nextRotated(current);
    await this.close();
    this.#current = next ?? (await this.#openPath());
    return true;
  }

  /** A file that came after `current` and was rotated away too, before we got to it. */
  async #nextRotated(current: Generation): Promise<Generation | undefined> {
    const rotated = await rotatedFiles(this.path);
    const self = rotated.find((file) => file.inode === String(current.file.ino));
    const changedNs = self?.changedNs ?? current.file.mtimeNs;
    // Compressed ones are left out: compressing changes times, so an old file would look like a new one.
    const later = rotated.filter((file) => file.changedNs > changedNs && file !== self && !file.path.endsWith('.gz')).reverse();
    for (const file of later) {
      if (!(await current.isCopiedIn(file))) return Generation.open(file.path, this.#settings);
    }
    return undefined;
  }
}

function resumeOf(offset: SourceOffset): Resume {
  const position = typeof offset['position'] === 'number' ? offset['position'] : 0;
  const name = parseName(offset['file']);
  return { position, inode: name?.inode ?? '', checksum: name?.checksum ?? '' };
}
