/**
 * The memory that all threads of the process share about the embedded log: one slot per queue, reserved at once so that it never has to
 * move (untouched pages cost nothing). What a slot publishes (tail and next offset) lies in two halves written in turn; one store of
 * the version word switches between them. So a reader never sees half a change, and a thread that is killed at any instruction leaves the
 * old state or the new one.
 */
export const MAX_QUEUES = 16_384;

const HEADER_BYTES = 128;
const SLOT_BYTES = 128;

// Int32 words of a slot.
const LOCK = 0;
const VERSION = 1;
const TOPIC = 2;
const BROKEN = 3;
// BigInt64 words of a slot.
const MIN_OFFSET = 2;
const FLUSHED = 3;
const HALF = [4, 8] as const;
// Behind them, an Int32 word again.
const ROLLING = 24;

/** What a queue publishes: everything before it is stored, readable and will not change. */
export interface Tail {
  /** Position of the next message. */
  readonly nextOffset: number;
  /** Position of the first message of the segment that is written to: its name. */
  readonly segment: number;
  /** Bytes of that segment. */
  readonly bytes: number;
  /** Store time of the last frame; store times never go back. */
  readonly storedAtMs: number;
}

export class ControlMemory {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(HEADER_BYTES + MAX_QUEUES * SLOT_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#longs = new BigInt64Array(buffer);
  }

  get closed(): boolean {
    return Atomics.load(this.#words, 0) !== 0;
  }

  close(): void {
    Atomics.store(this.#words, 0, 1);
    for (let slot = 0; slot < MAX_QUEUES; slot++) if (this.topic(slot) !== 0) Atomics.notify(this.#words, word(slot, VERSION));
  }

  /** Gives a slot to a queue of a topic. Nobody else may use the slot. */
  occupy(slot: number, topic: number, tail: Tail, minOffset: number, flushed: number): void {
    Atomics.store(this.#words, word(slot, BROKEN), 0);
    Atomics.store(this.#words, word(slot, ROLLING), 0);
    Atomics.store(this.#longs, long(slot, MIN_OFFSET), BigInt(minOffset));
    Atomics.store(this.#longs, long(slot, FLUSHED), BigInt(flushed));
    this.publish(slot, tail);
    Atomics.store(this.#words, word(slot, TOPIC), topic);
  }

  /** Takes a slot from its queue: whoever uses it sees another topic. The caller holds the lock. */
  vacate(slot: number): void {
    Atomics.store(this.#words, word(slot, TOPIC), 0);
    Atomics.notify(this.#words, word(slot, VERSION));
  }

  /** The topic that the slot belongs to; 0 for none. */
  topic(slot: number): number {
    return Atomics.load(this.#words, word(slot, TOPIC));
  }

  /** A force to disk failed: what the disk holds is unknown until the log is opened anew. */
  markBroken(slot: number): void {
    Atomics.store(this.#words, word(slot, BROKEN), 1);
  }

  broken(slot: number): boolean {
    return Atomics.load(this.#words, word(slot, BROKEN)) !== 0;
  }

  tryLock(slot: number, holder: number): boolean {
    return Atomics.compareExchange(this.#words, word(slot, LOCK), 0, holder) === 0;
  }

  unlock(slot: number): void {
    Atomics.store(this.#words, word(slot, LOCK), 0);
    Atomics.notify(this.#words, word(slot, LOCK), 1);
  }

  /** Resolves when the lock may be free, at the latest after `timeoutMs`. No thread ever blocks for a lock. */
  async lockFreed(slot: number, timeoutMs: number): Promise<void> {
    const holder = Atomics.load(this.#words, word(slot, LOCK));
    if (holder === 0) return;
    const waiting = Atomics.waitAsync(this.#words, word(slot, LOCK), holder, timeoutMs);
    if (waiting.async) await keepAlive(waiting.value, timeoutMs);
  }

  /** Frees what a dead holder held. */
  freeLocksOf(holder: number): void {
    for (let slot = 0; slot < MAX_QUEUES; slot++) {
      if (Atomics.compareExchange(this.#words, word(slot, LOCK), holder, 0) === holder) Atomics.notify(this.#words, word(slot, LOCK));
    }
  }

  tail(slot: number): Tail {
    const words = this.#words;
    const longs = this.#longs;
    const versionAt = word(slot, VERSION);
    for (;;) {
      const version = Atomics.load(words, versionAt);
      const half = long(slot, HALF[(version & 1) as 0 | 1]);
      const tail = {
        nextOffset: Number(Atomics.load(longs, half)),
        segment: Number(Atomics.load(longs, half + 1)),
        bytes: Number(Atomics.load(longs, half + 2)),
        storedAtMs: Number(Atomics.load(longs, half + 3)),
      };
      if (Atomics.load(words, versionAt) === version) return tail;
    }
  }

  /** A new segment was begun and nothing of it is published yet: its file may lie on disk, behind the tail. */
  rolling(slot: number): boolean {
    return Atomics.load(this.#words, word(slot, ROLLING)) !== 0;
  }

  setRolling(slot: number, rolling: boolean): void {
    Atomics.store(this.#words, word(slot, ROLLING), rolling ? 1 : 0);
  }

  /** The holder of the lock makes what it wrote visible, and wakes who waits for it. */
  publish(slot: number, tail: Tail): void {
    const next = (Atomics.load(this.#words, word(slot, VERSION)) + 1) | 0;
    const half = long(slot, HALF[(next & 1) as 0 | 1]);
    Atomics.store(this.#longs, half, BigInt(tail.nextOffset));
    Atomics.store(this.#longs, half + 1, BigInt(tail.segment));
    Atomics.store(this.#longs, half + 2, BigInt(tail.bytes));
    Atomics.store(this.#longs, half + 3, BigInt(tail.storedAtMs));
    Atomics.store(this.#words, word(slot, VERSION), next);
    Atomics.notify(this.#words, word(slot, VERSION));
  }

  /** Changes with every publication. Read it before the tail, and `published` misses nothing. */
  version(slot: number): number {
    return Atomics.load(this.#words, word(slot, VERSION));
  }

  /** Resolves when something was published after `version`, at the latest after `timeoutMs`; undefined if that is so already. */
  published(slot: number, version: number, timeoutMs: number): Promise<unknown> | undefined {
    const waiting = Atomics.waitAsync(this.#words, word(slot, VERSION), version, timeoutMs);
    return waiting.async ? waiting.value : undefined;
  }

  minOffset(slot: number): number {
    return Number(Atomics.load(this.#longs, long(slot, MIN_OFFSET)));
  }

  setMinOffset(slot: number, offset: number): void {
    Atomics.store(this.#longs, long(slot, MIN_OFFSET), BigInt(offset));
  }

  /** All messages below it are safe against a power failure. */
  flushed(slot: number): number {
    return Number(Atomics.load(this.#longs, long(slot, FLUSHED)));
  }

  raiseFlushed(slot: number, offset: number): void {
    const at = long(slot, FLUSHED);
    const wanted = BigInt(offset);
    for (let now = Atomics.load(this.#longs, at); now < wanted; ) {
      const seen = Atomics.compareExchange(this.#longs, at, now, wanted);
      if (seen === now) return;
      now = seen;
    }
  }
}

function word(slot: number, index: number): number {
  return ((HEADER_BYTES + slot * SLOT_BYTES) >> 2) + index;
}

function long(slot: number, index: number): number {
  return ((HEADER_BYTES + slot * SLOT_BYTES) >> 3) + index;
}

/** A promise of `Atomics.waitAsync` holds no process open; a send that waits for a lock must. */
async function keepAlive(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  const timer = setTimeout(() => {}, timeoutMs + 1);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}
