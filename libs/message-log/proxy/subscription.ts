import { type Clock, ConnectError, FatalError, sleep } from '@rocketmq-connect/sdk';
import type { FetchedMessages, Subscription } from '../index.ts';
import { skipMessages, takeMessages } from '../slices.ts';
import { Wake } from '../wake.ts';
import { type Held, Hold } from './hold.ts';
import type { Received } from './incoming.ts';
import type { Proxies } from './proxies.ts';
import { Receiver, type Source } from './receiver.ts';
import type { Route, Routes } from './routes.ts';
import { Session } from './session.ts';

export interface SubscriptionSettings {
  readonly group: string;
  readonly topics: readonly string[];
  /** Of this member alone. */
  readonly clientId: string;
  readonly clock: Clock;
  readonly proxies: Proxies;
  readonly routes: Routes;
  readonly invisibleMs: number;
  readonly requestTimeoutMs: number;
  readonly routeRefreshMs: number;
  readonly onClose: (subscription: ProxySubscription) => void;
}

/** Held for this member, read or not. */
const HELD_MAX = 32_768;
/** Received and not read yet. */
const READY_MAX = 4_096;
const READY_BYTES_MAX = 8 * 1024 * 1024;
const HEARTBEAT_MS = 10_000;
const TOPIC_LOOK_MS = 5_000;
/** Failures that pass in this time nobody hears of. */
const SILENT_MS = 10_000;

/** A member of a consumer group: receives by POP, and holds what it received until it is acknowledged. */
export class ProxySubscription implements Subscription {
  readonly #settings: SubscriptionSettings;
  readonly #hold: Hold;
  readonly #wake: Wake;
  readonly #closing = new AbortController();
  readonly #sessions = new Map<string, Session>();
  readonly #receivers = new Map<string, Receiver>();
  /** Received and not read yet. */
  #ready: { readonly fetched: FetchedMessages; readonly held: readonly Held[] }[] = [];
  #readyCount = 0;
  #readyBytes = 0;
  /** Read and not acknowledged yet, in this order. */
  readonly #read: Held[] = [];
  #waiting: (() => void)[] = [];
  #failure: ConnectError | null = null;
  #reading = false;

  constructor(settings: SubscriptionSettings) {
    this.#settings = settings;
    this.#hold = new Hold(settings);
    this.#wake = new Wake(settings.clock);
    for (const topic of settings.topics) void this.#follow(topic);
    void this.#beatOnAndOn();
  }

  async read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
    if (this.#reading) throw new FatalError('a subscription serves one read at a time', { code: 'READER_BUSY' });
    this.#reading = true;
    const { clock } = this.#settings;
    try {
      const untilMs = clock.monotonic() + waitMs;
      for (;;) {
        signal.throwIfAborted();
        this.#checkOpen();
        const fetched = this.#take(maxBytes);
        if (fetched.length > 0) return fetched;
        if (this.#failure !== null) this.#tell(this.#failure);
        const leftMs = untilMs - clock.monotonic();
        if (leftMs <= 0) return [];
        await this.#wake.wait(leftMs, signal);
      }
    } finally {
      this.#reading = false;
    }
  }

  async acknowledge(count: number): Promise<number> {
    this.#checkOpen();
    if (count > this.#read.length) throw new RangeError(`${count} messages are acknowledged of ${this.#read.length} that were read`);
    const done = this.#read.splice(0, count);
    this.#letIn();
    return this.#hold.acknowledge(done);
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(closed());
    this.#wake.now();
    this.#letIn();
    await this.#hold.end();
    await Promise.all([...this.#sessions.values()].map((session) => session.end()));
    this.#settings.onClose(this);
  }

  #take(maxBytes: number): FetchedMessages[] {
    const fetched: FetchedMessages[] = [];
    let left = maxBytes;
    let whole = 0;
    for (const { fetched: messages, held } of this.#ready) {
      const part = left > 0 ? takeMessages(messages, left, fetched.length === 0) : undefined;
      if (part === undefined) break;
      fetched.push(part);
      left -= part.bytes.length;
      this.#readyBytes -= part.bytes.length;
      this.#readyCount -= part.count;
      if (part.count < messages.count) {
        this.#read.push(...held.slice(0, part.count));
        this.#ready[whole] = { fetched: skipMessages(messages, part.count), held: held.slice(part.count) };
        break;
      }
      this.#read.push(...held);
      whole++;
    }
    if (whole > 0) this.#ready = this.#ready.slice(whole);
    if (fetched.length > 0) this.#letIn();
    return fetched;
  }

  #tell(error: ConnectError): never {
    // One that may pass is told once; the next read waits anew.
    if (error.kind === 'retriable') this.#failure = null;
    throw error;
  }

  /** Receives from the brokers of a topic, wherever it goes. One that does not exist yet is looked for. */
  async #follow(topic: string): Promise<void> {
    const { routes, clock, routeRefreshMs } = this.#settings;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let everyMs = routeRefreshMs;
      try {
        this.#receiveFrom(topic, await routes.fresh(topic));
      } catch (error) {
        everyMs = TOPIC_LOOK_MS;
        if (!(error instanceof ConnectError)) throw error;
        if (error.code !== 'TOPIC_NOT_FOUND' && error.kind !== 'retriable' && !signal.aborted) this.#fail(error);
      }
      await sleep(clock, everyMs, signal).catch(() => undefined);
    }
  }

  #receiveFrom(topic: string, { queues }: Route): void {
    const { group, clientId, clock, invisibleMs } = this.#settings;
    const brokers = new Map(
      queues.filter(({ readable }) => readable).map(({ broker, addresses }) => [`${topic} ${broker}`, { broker, addresses }]),
    );
    for (const [name, receiver] of this.#receivers) {
      if (!name.startsWith(`${topic} `) || brokers.has(name)) continue;
      receiver.end();
      this.#receivers.delete(name);
    }
    for (const [name, { broker, addresses }] of brokers) {
      if (this.#receivers.has(name) || this.#closing.signal.aborted) continue;
      const receiver = new Receiver({
        source: { topic, broker, addresses },
        group,
        clientId,
        clock,
        invisibleMs,
        signal: this.#closing.signal,
        session: (of) => this.#session(of),
        room: () => this.#room(),
        onReceived: (source, received) => this.#onReceived(source, received),
        onFailed: (error, silentMs) => {
          if (error.code === 'TOPIC_NOT_FOUND') routeGone(this.#settings.routes, topic);
          else if (error.kind !== 'retriable' || silentMs > SILENT_MS) this.#fail(error);
        },
      });
      this.#receivers.set(name, receiver);
    }
  }

  #onReceived({ topic, addresses }: Source, received: readonly Received[]): void {
    this.#failure = null;
    for (const { fetched, receipts } of received) {
      this.#ready.push({ fetched, held: this.#hold.take(topic, addresses, receipts) });
      this.#readyCount += fetched.count;
      this.#readyBytes += fetched.bytes.length;
    }
    this.#wake.now();
  }

  #fail(error: ConnectError): void {
    this.#failure = error;
    this.#wake.now();
  }

  async #session(addresses: readonly string[]): Promise<Session> {
    const connection = await this.#settings.proxies.any(addresses);
    const known = this.#sessions.get(connection.address);
    if (known !== undefined) return known;
    const session = new Session(connection, this.#settings);
    this.#sessions.set(connection.address, session);
    return session;
  }

  async #beatOnAndOn(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await sleep(this.#settings.clock, HEARTBEAT_MS, signal).catch(() => undefined);
      if (!signal.aborted) await Promise.allSettled([...this.#sessions.values()].map((session) => session.beat()));
    }
  }

  async #room(): Promise<void> {
    while (!this.#hasRoom() && !this.#closing.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  #hasRoom(): boolean {
    return this.#readyCount < READY_MAX && this.#readyBytes < READY_BYTES_MAX && this.#readyCount + this.#read.length < HELD_MAX;
  }

  #letIn(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw closed();
  }
}

function routeGone(routes: Routes, topic: string): void {
  routes.doubt(topic);
}

function closed(): FatalError {
  return new FatalError('the subscription is closed', { code: 'READER_CLOSED' });
}
