import { type Clock, ConnectError, FatalError, sleep } from '@rocketmq-connect/sdk';
import type { FetchedMessages, QueueAddress } from '../index.ts';
import { PositionLostError } from '../position-lost.ts';
import { skipMessages, takeMessages } from '../slices.ts';
import { storedAtMs, visitStoredPositions } from '../stored-message.ts';
import type { RemotingConnection } from './connection.ts';
import type { Frame } from './frame.ts';
import { type PullResponse, parsePullResponse, pullRequest } from './requests/pull.ts';
import { ResponseCode, responseError } from './response-code.ts';

export interface PullerSettings {
  readonly group: string;
  readonly clock: Clock;
  /** Most pulls in flight for this queue. */
  readonly pullsMax: number;
  /** Fetched and not yet taken, those in flight included, by estimate: no further pulls beyond it. */
  readonly prefetchBytes: number;
  readonly connect: (queue: QueueAddress, brokerId: number) => Promise<RemotingConnection>;
  /** The route does not hold. */
  readonly doubt: (queue: QueueAddress) => void;
  readonly signal: AbortSignal;
  /** There is something to take, or a failure to hear of. */
  readonly onArrival: () => void;
}

/** What a pull may ask for. A broker gives fewer: 32 from memory and 8 from disk are its defaults. */
const COUNT_MAX = 1024;
const PULL_BYTES_MAX = 256 * 1024;
/** Every so many full answers one pull asks for more: what limited them may have passed. */
const PROBE_EVERY = 64;
/** So long a broker may hold a pull at the end of a queue; it looks at most 5 s later, which is when it notices that a topic is gone. */
const SUSPEND_MS = 5_000;
const PULL_TIMEOUT_MS = 15_000;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1_000;
/** Failures that may pass are kept back so long: a broker's restart is no news. */
const SILENT_MS = 60_000;

interface Pull {
  readonly offset: number;
  readonly count: number;
  /** Null while it is under way. */
  answer: { readonly code: number; readonly response: PullResponse } | null;
}

/**
 * Keeps pulls of one queue in flight, each a stride further, and puts their answers in order. The stride is what the broker was seen to give at once: a
 * pull that is answered by less leaves a gap, and those behind it are asked anew.
 */
export class QueuePuller {
  readonly queue: QueueAddress;
  readonly #settings: PullerSettings;
  #connection: RemotingConnection | null = null;
  #brokerId = 0;
  #ready: FetchedMessages[] = [];
  #readyBytes = 0;
  /** Stays until a seek; else it is told once. */
  #failure: { readonly error: ConnectError; readonly stays: boolean } | null = null;
  #failures = 0;
  #failingSinceMs = 0;
  #pausing = false;
  /** Next position to be taken, to be put in order, to be asked for; and the end as far as the broker told. */
  #taken: number;
  #next: number;
  #ask: number;
  #end: number;
  #stride = COUNT_MAX;
  #untilProbe = PROBE_EVERY;
  #pullBytes = PULL_BYTES_MAX;
  /** In the order of their offsets. */
  #pulls: Pull[] = [];
  /** Answers to pulls begun before a seek, a gap or a failure count for nothing. */
  #era = 0;
  /** The position that was answered by nothing but "go on further". */
  #hollow = -1;

  constructor(queue: QueueAddress, position: number, range: { readonly min: number; readonly max: number }, settings: PullerSettings) {
    this.queue = queue;
    this.#settings = settings;
    this.#taken = position;
    this.#next = position;
    this.#ask = position;
    this.#end = range.max;
    if (position < range.min || position > range.max) this.#lose(position, range.min, range.max);
    this.#fill();
  }

  /** The next messages, `maxBytes` at most, or one however large if `atLeastOne`. Throws what keeps them away, if `atLeastOne`. */
  take(maxBytes: number, atLeastOne: boolean): FetchedMessages | undefined {
    const whole = this.#ready[0];
    if (whole === undefined) {
      if (atLeastOne && this.#failure !== null) this.#tell(this.#failure);
      return undefined;
    }
    const part = takeMessages(whole, maxBytes, atLeastOne);
    if (part === undefined) return undefined;
    if (part.count === whole.count) this.#ready.shift();
    else this.#ready[0] = skipMessages(whole, part.count);
    this.#readyBytes -= part.bytes.length;
    this.#taken = part.offset + part.count;
    this.#fill();
    return part;
  }

  seek(position: number): void {
    this.#ready = [];
    this.#readyBytes = 0;
    this.#failure = null;
    this.#taken = position;
    this.#askFrom(position);
    this.#fill();
  }

  lag(): number {
    return Math.max(0, this.#end - this.#taken);
  }

  #tell({ error, stays }: { readonly error: ConnectError; readonly stays: boolean }): never {
    if (!stays) {
      this.#failure = null;
      this.#failingSinceMs = 0;
      this.#failures = 0;
      this.#pause();
    }
    throw error;
  }

  #askFrom(position: number): void {
    this.#era++;
    this.#pulls = [];
    this.#next = position;
    this.#ask = position;
  }

  #fill(): void {
    const { prefetchBytes, pullsMax, signal } = this.#settings;
    while (this.#failure === null && !this.#pausing && !signal.aborted && this.#pulls.length < pullsMax) {
      const waiting = this.#readyBytes + this.#pulls.length * this.#pullBytes;
      if (waiting >= prefetchBytes && (this.#pulls.length > 0 || this.#readyBytes >= prefetchBytes)) return;
      // Beyond the known end only one pull waits at the broker; those further on would be refused. While the stride is not known, one is enough.
      if (this.#pulls.length > 0 && (this.#ask >= this.#end || this.#stride === COUNT_MAX)) return;
      const probes = this.#stride < COUNT_MAX && --this.#untilProbe <= 0;
      if (probes) this.#untilProbe = PROBE_EVERY;
      const pull: Pull = { offset: this.#ask, count: probes ? COUNT_MAX : this.#stride, answer: null };
      this.#ask += this.#stride;
      this.#pulls.push(pull);
      void this.#pull(pull, this.#era);
    }
  }

  async #pull(pull: Pull, era: number): Promise<void> {
    try {
      const connection = this.#connection?.isOpen ? this.#connection : await this.#settings.connect(this.queue, this.#brokerId);
      this.#connection = connection;
      const { topic, broker, queue } = this.queue;
      const request = pullRequest({
        group: this.#settings.group,
        topic,
        broker,
        queue,
        offset: pull.offset,
        maxCount: pull.count,
        maxBytes: PULL_BYTES_MAX,
        suspendMs: pull.offset >= this.#end ? SUSPEND_MS : 0,
      });
      const frame = await connection.invoke(request, PULL_TIMEOUT_MS);
      if (era === this.#era && !this.#settings.signal.aborted) this.#onAnswer(pull, frame, connection);
    } catch (error) {
      if (era === this.#era && !this.#settings.signal.aborted) this.#onFailure(error);
    }
  }

  #onAnswer(pull: Pull, frame: Frame, connection: RemotingConnection): void {
    switch (frame.code) {
      case ResponseCode.success:
      case ResponseCode.pullNotFound:
      case ResponseCode.pullRetryImmediately:
      case ResponseCode.pullOffsetMoved: {
        const response = parsePullResponse(frame);
        this.#failures = 0;
        this.#failingSinceMs = 0;
        if (response.suggestedBroker !== this.#brokerId) {
          this.#brokerId = response.suggestedBroker;
          this.#connection = null;
        }
        this.#end = response.maxOffset;
        pull.answer = { code: frame.code, response };
        this.#order();
        return;
      }
      default:
        throw responseError(`a pull of queue ${this.queue.queue} of ${this.queue.topic}`, connection.address, frame);
    }
  }

  /** Moves the answers that continue what was put in order before to where they are taken. */
  #order(): void {
    const before = this.#ready.length;
    for (let first = this.#pulls[0]; first?.answer; first = this.#pulls[0]) {
      this.#pulls.shift();
      const { code, response } = first.answer;
      if (code === ResponseCode.success) this.#found(first, response.body);
      else this.#notFound(first, code, response);
      if (this.#failure !== null || this.#pausing) break;
      const second = this.#pulls[0];
      if ((second?.offset ?? this.#ask) > this.#next) this.#askFrom(this.#next);
    }
    this.#fill();
    if (this.#ready.length > before || this.#failure !== null) this.#settings.onArrival();
  }

  #found(pull: Pull, body: Buffer): void {
    let start = body.length;
    let count = 0;
    let all = 0;
    visitStoredPositions(body, (at, _end, offset) => {
      all++;
      // A pull that asked for more than the stride overlaps those behind it.
      if (offset < this.#next || this.#failure !== null) return;
      if (offset !== this.#next + count) {
        this.#hole(this.#next + count, offset);
        body = body.subarray(0, at);
        return;
      }
      if (count++ === 0) start = at;
    });
    if (count > 0) {
      const bytes = body.subarray(start);
      this.#ready.push({ queue: this.queue, offset: this.#next, count, bytes, layout: 'stored', storedAtMs: storedAtMs(bytes) });
      this.#readyBytes += bytes.length;
      this.#next += count;
      this.#pullBytes = Math.max(1, (this.#pullBytes * 3 + bytes.length) >> 2);
    }
    // The queue's end says nothing about the stride.
    if (all < pull.count ? pull.offset + all < this.#end : all > this.#stride) this.#stride = Math.max(1, all);
    else if (all > this.#stride) this.#stride = all;
    if (all === 0) this.#retry();
  }

  #notFound(pull: Pull, code: number, { nextOffset, minOffset, maxOffset }: PullResponse): void {
    if (code === ResponseCode.pullOffsetMoved) {
      if (pull.offset === this.#next) this.#lose(pull.offset, minOffset, maxOffset);
      else this.#askFrom(this.#next);
    } else if (nextOffset > this.#next) {
      // Retention is at work, or the broker has a hole there. The next answer tells, if it is the former.
      if (this.#hollow === this.#next) this.#hole(this.#next, nextOffset);
      this.#hollow = this.#next;
      this.#retry();
    } else if (code === ResponseCode.pullRetryImmediately) this.#retry();
    else this.#askFrom(this.#next);
  }

  #lose(position: number, min: number, max: number): void {
    const below = position < min;
    const reason = below ? 'POSITION_BELOW_MINIMUM' : 'POSITION_ABOVE_MAXIMUM';
    const detail = `the broker has the positions ${min} to ${max}`;
    this.#fail(new PositionLostError(reason, this.queue, position, below ? min : max, detail), true);
  }

  #hole(position: number, next: number): void {
    const detail = `the broker goes on at ${next}`;
    this.#fail(new PositionLostError('LOG_DAMAGED', this.queue, position, next, detail), true);
  }

  #onFailure(error: unknown): void {
    const failure =
      error instanceof ConnectError ? error : new FatalError(`a pull failed: ${String(error)}`, { code: 'PULL_FAILED', cause: error });
    this.#settings.doubt(this.queue);
    this.#connection = null;
    this.#brokerId = 0;
    if (failure.kind !== 'retriable') {
      this.#fail(failure, failure.code === 'TOPIC_NOT_FOUND' || failure.code === 'QUEUE_NOT_FOUND');
      return;
    }
    const now = this.#settings.clock.monotonic();
    if (this.#failingSinceMs === 0) this.#failingSinceMs = now;
    if (now - this.#failingSinceMs > SILENT_MS) this.#fail(failure, false);
    else this.#retry();
  }

  #fail(error: ConnectError, stays: boolean): void {
    this.#failure ??= { error, stays };
    this.#askFrom(this.#next);
    this.#settings.onArrival();
  }

  #retry(): void {
    this.#askFrom(this.#next);
    this.#pause();
  }

  #pause(): void {
    if (this.#pausing) return;
    this.#pausing = true;
    const pauseMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#failures++);
    void sleep(this.#settings.clock, pauseMs, this.#settings.signal).then(
      () => {
        this.#pausing = false;
        this.#fill();
      },
      () => {},
    );
  }
}
