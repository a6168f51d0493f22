import type { FetchedMessages, QueueAddress } from '../index.ts';
import { PositionLostError } from '../position-lost.ts';
import { skipMessages, takeMessages } from '../slices.ts';
import type { ControlMemory } from './control.ts';
import { FRAME_HEADER_BYTES, frameIsIntact, readFrameHeader } from './frame.ts';
import { locate, resumeAfter } from './locate.ts';
import { MAX_FRAME_BYTES, SegmentFile } from './segments.ts';

/** How much is read at once. What a consumer holds of it keeps all of it, so it is no larger than needed for few system calls. */
const READ_BYTES = 512 * 1024;

/** Reads one queue forwards. */
export class QueueCursor {
  readonly queue: QueueAddress;
  readonly slot: number;
  readonly #control: ControlMemory;
  readonly #directory: string;
  #offset: number;
  /** Where the frame with `#offset` begins; undefined until it was looked for. */
  #file: SegmentFile | undefined;
  #segment = 0;
  #at = 0;
  /** The rest of a frame that was larger than what was asked for. */
  #rest: FetchedMessages | undefined;

  constructor(control: ControlMemory, slot: number, directory: string, queue: QueueAddress, offset: number) {
    this.#control = control;
    this.slot = slot;
    this.#directory = directory;
    this.queue = queue;
    this.#offset = offset;
  }

  /** Position of the next message that `fetch` returns. */
  get offset(): number {
    return this.#offset;
  }

  lag(): number {
    return Math.max(0, this.#control.tail(this.slot).nextOffset - this.#offset);
  }

  seek(offset: number): void {
    this.close();
    this.#offset = offset;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#rest = undefined;
  }

  /**
   * Appends what is there to `into`: whole frames within `maxBytes`, or, with `atLeastOne`, the part of a larger one that fits, one
   * message at least. Returns the bytes appended. Throws `PositionLostError` where the position cannot be read.
   */
  fetch(maxBytes: number, atLeastOne: boolean, into: FetchedMessages[]): number {
    if (this.#rest !== undefined) return this.#split(this.#rest, maxBytes, atLeastOne, into);
    const tail = this.#control.tail(this.slot);
    if (this.#offset === tail.nextOffset) {
      if (this.#file === undefined && tail.bytes > 0) this.#locate(tail.nextOffset);
      return 0;
    }
    const file = this.#file ?? this.#locate(tail.nextOffset);
    const end = this.#segment === tail.segment ? tail.bytes : file.bytes();
    if (this.#at === end) {
      if (end === 0) throw this.#damaged();
      this.#nextSegment();
      return this.fetch(maxBytes, atLeastOne, into);
    }
    const wanted = Math.min(READ_BYTES, Math.max(maxBytes, 64 * 1024) + FRAME_HEADER_BYTES);
    let chunk = file.read(this.#at, Math.min(wanted, end - this.#at));
    const first = readFrameHeader(chunk, 0, Math.min(MAX_FRAME_BYTES, end - this.#at));
    if (first !== undefined && first.length > chunk.length) {
      if (!atLeastOne && first.length > maxBytes) return 0;
      chunk = file.read(this.#at, first.length);
    }
    return this.#take(chunk, maxBytes, atLeastOne, into);
  }

  #take(chunk: Buffer, maxBytes: number, atLeastOne: boolean, into: FetchedMessages[]): number {
    if (chunk.length < FRAME_HEADER_BYTES) throw this.#damaged();
    let taken = 0;
    let at = 0;
    while (at + FRAME_HEADER_BYTES <= chunk.length) {
      const header = readFrameHeader(chunk, at, MAX_FRAME_BYTES);
      if (header !== undefined && at + header.length > chunk.length && at > 0) break;
      const skipped = header === undefined ? -1 : this.#offset - header.offset;
      if (header === undefined || skipped < 0 || skipped >= header.count || !frameIsIntact(chunk, at, header.length)) {
        if (at > 0) break;
        throw this.#damaged();
      }
      const fetched: FetchedMessages = {
        queue: this.queue,
        offset: header.offset,
        count: header.count,
        bytes: chunk.subarray(at + FRAME_HEADER_BYTES, at + header.length),
        layout: 'batch',
        storedAtMs: header.storedAtMs,
      };
      const part = skipped === 0 ? fetched : skipMessages(fetched, skipped);
      if (taken + part.bytes.length > maxBytes) {
        if (taken > 0 || !atLeastOne) break;
        this.#at += header.length;
        return this.#split(part, maxBytes, atLeastOne, into);
      }
      into.push(part);
      taken += part.bytes.length;
      at += header.length;
      this.#at += header.length;
      this.#offset = part.offset + part.count;
    }
    return taken;
  }

  #split(whole: FetchedMessages, maxBytes: number, atLeastOne: boolean, into: FetchedMessages[]): number {
    const part = takeMessages(whole, maxBytes, atLeastOne);
    this.#rest = part === undefined ? whole : part.count < whole.count ? skipMessages(whole, part.count) : undefined;
    if (part === undefined) return 0;
    into.push(part);
    this.#offset = part.offset + part.count;
    return part.bytes.length;
  }

  #locate(nextOffset: number): SegmentFile {
    const minOffset = this.#control.minOffset(this.slot);
    const { queue } = this;
    if (this.#offset < minOffset) {
      throw new PositionLostError('POSITION_BELOW_MINIMUM', queue, this.#offset, minOffset, `the log begins at ${minOffset} (retention)`);
    }
    if (this.#offset > nextOffset) {
      const detail = `the log ends at ${nextOffset}: was the topic created anew?`;
      throw new PositionLostError('POSITION_ABOVE_MAXIMUM', queue, this.#offset, nextOffset, detail);
    }
    const found = locate(this.#directory, this.#control.tail(this.slot), this.#offset);
    if (found === undefined) throw this.#damaged();
    this.#file = found.file;
    this.#segment = found.segment;
    this.#at = found.at;
    return found.file;
  }

  /** The successor of a closed segment is named after the position that follows. */
  #nextSegment(): void {
    const file = SegmentFile.open(this.#directory, this.#offset);
    this.#file?.close();
    this.#file = file;
    this.#segment = this.#offset;
    this.#at = 0;
    if (file === undefined && this.#offset >= this.#control.minOffset(this.slot)) throw this.#damaged();
  }

  /** Only to be called for what was published: a reader that was overtaken by retention is told so instead. */
  #damaged(): PositionLostError {
    const { path } = this.#file ?? { path: this.#directory };
    const at = this.#at;
    this.close();
    const minOffset = this.#control.minOffset(this.slot);
    if (this.#offset < minOffset) {
      return new PositionLostError(
        'POSITION_BELOW_MINIMUM',
        this.queue,
        this.#offset,
        minOffset,
        `the log begins at ${minOffset} (retention)`,
      );
    }
    const resumeAt = resumeAfter(this.#directory, this.#control.tail(this.slot), this.#offset);
    return new PositionLostError('LOG_DAMAGED', this.queue, this.#offset, resumeAt, `${path} is damaged at or behind byte ${at}`);
  }
}
