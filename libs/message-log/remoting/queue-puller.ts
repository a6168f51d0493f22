import { type Clock, ConnectError, FatalError, RetriableError, sleep } from '@rocketmq-connect/sdk';
import type { FetchedMessages, QueueAddress } from '../index.ts';
import { PositionLostError } from '../position-lost.ts';
import { skipMessages, takeMessages } from '../slices.ts';
import { storedAtMs, visitStoredPositions } from '../stored-message.ts';
import type { ReadConnection } from './brokers.ts';
import type { Frame } from './frame.ts';
import type { PullAllowance } from './pull-allowance.ts';
import { type PullResponse, parsePullResponse, pullRequest } from './requests/pull.ts';
import { ResponseCode, responseError } from './response-code.ts';

export interface PullerSettings {
  readonly group: string;
  readonly clock: Clock;
  /** Most pulls in flight for this queue. */
  readonly pullsMax: number;
  /** Fetched and not yet taken, those in flight included, by estimate: no further pulls beyond it. */
  readonly prefetchBytes: number;
  /** Shared by the queues of a reader. */
  readonly allowance: PullAllowance;
  readonly requestTimeoutMs: number;
  readonly connect: (queue: QueueAddress, brokerId: number) => Promise<ReadConnection>;
  /** The route does not hold. */
  readonly doubt: (queue: QueueAddress) => void;
  readonly signal: AbortSignal;
  /** There is something to take, or a failure to hear of. */
  readonly onArrival: () => void;
}

const MASTER_ID = 0;
/** What a pull may ask for. A broker gives fewer: 32 from memory and 8 from disk are its defaults. */
const COUNT_MAX = 1024;
const PULL_BYTES_MAX = 256 * 1024;
/** Every so many full answers one pull asks for more: what limited them may have passed. */
const PROBE_EVERY = 64;
/** So long a broker may hold a pull at the end of a queue; it looks at most 5 s later, which is when it notices that a topic is gone. */
const SUSPEND_MS = 5_000;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1_000;
/** Failures that may pass are kept back so long: a broker's restart is no news. */
const SILENT_MS = 60_000;
/** So long a slave that lacked something is not gone to, though the master suggests it. */
const SLAVE_SHUNNED_MS = 10_000;

interface Pull {
  readonly offset: number;
  readonly count: number;
  /** Null while it is under way. */
  answer: Answer | null;
}

interface Answer {
  readonly code: number;
  readonly response: PullResponse;
  readonly fromMaster: boolean;
}

/**
 * Keeps pulls of one queue in flight, each a stride further, and puts their answers in order. The stride is what the broker was seen to give at once: a
 * pull that is answered by less leaves a gap, and those behind it are asked anew.
 */
export class QueuePuller {
  readonly queue: QueueAddress;
  readonly #settings: PullerSettings;
  #connection: ReadConnection | null = null;
  #brokerId = MASTER_ID;
  /** Monotonic. */
  #slaveShunnedUntilMs = 0;
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
  #pullBytes: number;
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
    this.#pullBytes = Math.min(PULL_BYTES_MAX, settings.allowance.bytesMax);
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

  /** The allowance has room again. */
  proceed(): void {
    this.#fill();
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
    const { prefetchBytes, pullsMax, allowance, signal } = this.#settings;
    while (this.#failure === null && !this.#pausing && !signal.aborted && this.#pulls.length < pullsMax) {
      const waiting = this.#readyBytes + this.#pulls.length * this.#pullBytes;
      if (waiting >= prefetchBytes && (this.#pulls.length > 0 || this.#readyBytes >= prefetchBytes)) return;
      // Beyond the known end only one pull waits at the broker; those further on would be refused. While the stride is not known, one is enough.
      if (this.#pulls.length > 0 && (this.#ask >= this.#end || this.#stride === COUNT_MAX)) return;
      // A pull that waits at the end of the queue gets no answer worth mention.
      const bytes = this.#ask >= this.#end ? 0 : this.#pullBytes;
      if (!allowance.take(bytes)) return;
      const probes = this.#stride < COUNT_MAX && --this.#untilProbe <= 0;
      if (probes) this.#untilProbe = PROBE_EVERY;
      const pull: Pull = { offset: this.#ask, count: probes ? COUNT_MAX : this.#stride, answer: null };
      this.#ask += this.#stride;
      this.#pulls.push(pull);
      void this.#pull(pull, this.#era).finally(() => allowance.give(bytes));
    }
  }

  async #pull(pull: Pull, era: number): Promise<void> {
    try {
      const open = this.#connection?.connection.isOpen ? this.#connection : await this.#settings.connect(this.queue, this.#brokerId);
      this.#connection = open;
      const { topic, broker, queue } = this.queue;
      const { group, allowance, requestTimeoutMs } = this.#settings;
      const suspendMs = pull.offset >= this.#end ? SUSPEND_MS : 0;
      const request = pullRequest({
        group,
        topic,
        broker,
        queue,
        offset: pull.offset,
        maxCount: pull.count,
        maxBytes: Math.min(PULL_BYTES_MAX, allowance.bytesMax),
        suspendMs,
      });
      // A broker looks after suspended pulls every 5 s only.
      const frame = await open.connection.invoke(request, suspendMs > 0 ? 2 * suspendMs + requestTimeoutMs : requestTimeoutMs);
      if (era === this.#era && !this.#settings.signal.aborted) this.#onAnswer(pull, frame, open);
    } catch (error) {
      if (era === this.#era && !this.#settings.signal.aborted) this.#onFailure(error);
    }
  }

  #onAnswer(pull: Pull, frame: Frame, { connection, isMaster }: ReadConnection): void {
    switch (frame.code) {
      case ResponseCode.success:
      case ResponseCode.pullNotFound:
      case ResponseCode.pullRetryImmediately:
      case ResponseCode.pullOffsetMoved: {
        const response = parsePullResponse(frame);
        if (isMaster || frame.code === ResponseCode.success) {
          this.#failures = 0;
          this.#failingSinceMs = 0;
        }
        if (response.suggestedBroker !== this.#brokerId) this.#goTo(response.suggestedBroker);
        if (isMaster || response.maxOffset > this.#end) this.#end = response.maxOffset;
        pull.answer = { code: frame.code, response, fromMaster: isMaster };
        this.#order();
        return;
      }
      default:
        // It hears of new topics and groups only after a while.
        if (!isMaster) return this.#slaveLacks();
        throw responseError(`a pull of queue ${this.queue.queue} of ${this.queue.topic}`, connection.address, frame);
    }
  }

  #goTo(brokerId: number): void {
    if (brokerId !== MASTER_ID && this.#settings.clock.monotonic() < this.#slaveShunnedUntilMs) return;
    this.#brokerId = brokerId;
    this.#connection = null;
  }

  /** Moves the answers that continue what was put in order before to where they are taken. */
  #order(): void {
    const before = this.#ready.length;
    for (let first = this.#pulls[0]; first?.answer; first = this.#pulls[0]) {
      this.#pulls.shift();
      if (first.answer.code === ResponseCode.success) this.#found(first, first.answer);
      else this.#notFound(first, first.answer);
      if (this.#failure !== null || this.#pausing) break;
      const second = this.#pulls[0];
      if ((second?.offset ?? this.#ask) > this.#next) this.#askFrom(this.#next);
    }
    this.#fill();
    if (this.#ready.length > before || this.#failure !== null) this.#settings.onArrival();
  }

  #found(pull: Pull, { response, fromMaster }: Answer): void {
    let { body } = response;
    let start = body.length;
    let count = 0;
    let all = 0;
    let hole = -1;
    visitStoredPositions(body, (at, _end, offset) => {
      all++;
      // A pull that asked for more than the stride overlaps those behind it.
      if (offset < this.#next || hole !== -1) return;
      if (offset !== this.#next + count) {
        hole = offset;
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
    if (hole !== -1) return fromMaster ? this.#hole(this.#next, hole) : this.#slaveLacks();
    // The queue's end says nothing about the stride.
    if (all < pull.count ? pull.offset + all < this.#end : all > this.#stride) this.#stride = Math.max(1, all);
    else if (all > this.#stride) this.#stride = all;
    if (all === 0) this.#retry();
  }

  #notFound(pull: Pull, answer: Answer): void {
    const { code, response, fromMaster } = answer;
    const isMoved = code === ResponseCode.pullOffsetMoved;
    if (isMoved && pull.offset !== this.#next) this.#askFrom(this.#next);
    else if (!fromMaster && this.#isLacking(answer)) this.#slaveLacks();
    else if (isMoved) this.#lose(pull.offset, response.minOffset, response.maxOffset);
    else if (response.nextOffset > this.#next) {
      // Retention is at work, or the broker has a hole there. The next answer tells, if it is the former.
      if (this.#hollow === this.#next) this.#hole(this.#next, response.nextOffset);
      this.#hollow = this.#next;
      this.#retry();
    } else if (code === ResponseCode.pullRetryImmediately) this.#retry();
    else this.#askFrom(this.#next);
  }

  /** Whether a slave says that it has not what the master may have, or gives nothing at all. */
  #isLacking({ code, response }: Answer): boolean {
    if (code === ResponseCode.pullNotFound) return this.#next < this.#end;
    return code === ResponseCode.pullOffsetMoved || response.nextOffset > this.#next || response.suggestedBroker === MASTER_ID;
  }

  /** Back to the master, which alone knows; while it is away, again and again. */
  #slaveLacks(): void {
    this.#slaveShunnedUntilMs = this.#settings.clock.monotonic() + SLAVE_SHUNNED_MS;
    const { topic, broker, queue } = this.queue;
    const what = `a slave of ${broker} does not give position ${this.#next} of queue ${queue} of ${topic}, and the master is away`;
    this.#onFailure(
      new RetriableError(what, { code: 'BROKER_UNAVAILABLE', remedy: 'Start the master; slaves need slaveReadEnable=true.' }),
    );
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
    this.#brokerId = MASTER_ID;
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
