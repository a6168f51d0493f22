import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, writevSync } from 'node:fs';
import type { MessageBatch } from '../index.ts';
import type { ControlMemory, Tail } from './control.ts';
import { queueBroken } from './disk-flush.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from './frame.ts';
import { segmentPath } from './segments.ts';
import { diskFull, storageError } from './storage-error.ts';

/** Writes buffers to a place in a file; answers how many bytes were written. Replaced where a test plays a full disk. */
export type WriteAt = (fd: number, buffers: readonly Buffer[], position: number) => number;

export const writeAt: WriteAt = writevSync as WriteAt;

/** Appends whole frames to one queue. Callers hold its lock; this one keeps a file open between appends. */
export class QueueWriter {
  readonly #control: ControlMemory;
  readonly #slot: number;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #write: WriteAt;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #fd = -1;
  #segment = -1;

  constructor(control: ControlMemory, slot: number, directory: string, segmentBytes: number, write: WriteAt) {
    this.#control = control;
    this.#slot = slot;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#write = write;
  }

  /**
   * Stores a batch and publishes it; returns the position of its first message. If it throws, nothing is published, and the next append
   * overwrites what may have been written. `crc` is that of the batch's bytes, made before the lock was taken.
   */
  append(batch: MessageBatch, crc: number, nowMs: number): number {
    const control = this.#control;
    const slot = this.#slot;
    if (control.broken(slot)) throw queueBroken(this.#directory);
    const tail = control.tail(slot);
    const length = FRAME_HEADER_BYTES + batch.bytes.length;
    // A roll that failed, or whose thread was killed, is done again even where the batch would fit: recovery takes a segment that is
    // there for the successor, and would cut off what was appended before it instead.
    const rolls = tail.bytes > 0 && (tail.bytes + length > this.#segmentBytes || control.rolling(slot));
    if (rolls) {
      this.#endSegment(tail);
      control.setRolling(slot, true);
    }
    const segment = rolls ? tail.nextOffset : tail.segment;
    const at = rolls ? 0 : tail.bytes;
    const storedAtMs = Math.max(nowMs, tail.storedAtMs);
    writeFrameHeader(
      this.#header,
      { length, count: batch.count, offset: tail.nextOffset, storedAtMs, flushed: control.flushed(slot) },
      crc,
    );
    this.#open(segment);
    let written: number;
    try {
      written = this.#write(this.#fd, [this.#header, batch.bytes], at);
    } catch (error) {
      throw storageError(error, 'writing', segmentPath(this.#directory, segment));
    }
    if (written !== length) {
      throw diskFull(`writing ${segmentPath(this.#directory, segment)} ended after ${written} of ${length} bytes: the disk is full`);
    }
    control.publish(slot, { nextOffset: tail.nextOffset + batch.count, segment, bytes: at + length, storedAtMs });
    if (rolls) control.setRolling(slot, false);
    return tail.nextOffset;
  }

  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
    this.#segment = -1;
  }

  /** A closed segment ends with its last frame, so that readers need no other mark: what a killed thread wrote behind it goes. */
  #endSegment(tail: Tail): void {
    this.#open(tail.segment);
    try {
      if (fstatSync(this.#fd).size > tail.bytes) ftruncateSync(this.#fd, tail.bytes);
    } catch (error) {
      throw storageError(error, 'truncating', segmentPath(this.#directory, tail.segment));
    }
  }

  #open(segment: number): void {
    if (this.#segment === segment) return;
    this.close();
    const path = segmentPath(this.#directory, segment);
    try {
      this.#fd = openOrCreate(path, this.#directory);
    } catch (error) {
      throw storageError(error, 'opening', path);
    }
    this.#segment = segment;
  }
}

function openOrCreate(path: string, directory: string): number {
  const flags = constants.O_RDWR | constants.O_CREAT;
  try {
    return openSync(path, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // The queue's first segment. The topic's directory is not made here: where it is gone, so is the log.
    mkdirSync(directory);
    return openSync(path, flags);
  }
}
