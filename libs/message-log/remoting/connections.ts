import { ConnectError, FatalError, type Random, RetriableError } from '@rocketmq-connect/sdk';
import { type ConnectionSettings, RemotingConnection } from './connection.ts';
import { adviceIn } from './connection-trouble.ts';

const BACKOFF_FIRST_MS = 50;
/** A vain attempt costs little, and data flows again so soon after the broker is back. */
const BACKOFF_MAX_MS = 1_000;
/** A lane that nobody asked for in this time is closed when another opens: who sent by it may be gone for good. */
const LANE_UNUSED_MS = 300_000;

interface Slot {
  readonly lane: string;
  connecting: Promise<RemotingConnection> | null;
  connection: RemotingConnection | null;
  failures: number;
  /** Of the last attempt. */
  failure: unknown;
  /** Monotonic time before which nobody tries again. */
  notBeforeMs: number;
  /** Monotonic: when it was last asked for. */
  askedAtMs: number;
}

/** One connection per address and lane, opened on demand and again after it broke, with a growing pause between vain attempts. */
export class Connections {
  readonly #settings: ConnectionSettings;
  readonly #random: Random;
  readonly #slots = new Map<string, Slot>();
  #closed = false;

  constructor(settings: ConnectionSettings, random: Random) {
    this.#settings = settings;
    this.#random = random;
  }

  /** Rejects with `RetriableError` CONNECTION_REFUSED; at once while the pause after a vain attempt lasts. */
  async to(address: string, lane = ''): Promise<RemotingConnection> {
    if (this.#closed) throw logClosed();
    const slot = this.#slot(address, lane);
    if (lane !== '') slot.askedAtMs = this.#settings.clock.monotonic();
    if (slot.connection?.isOpen) return slot.connection;
    if (this.#settings.clock.monotonic() < slot.notBeforeMs) {
      throw again(address, slot.failure);
    }
    slot.connecting ??= this.#connect(address, slot);
    return slot.connecting;
  }

  /** Open connections, for heartbeats. */
  open(): readonly RemotingConnection[] {
    return [...this.#slots.values()].flatMap(({ connection }) => (connection?.isOpen ? [connection] : []));
  }

  /** Nobody uses this lane any more. */
  closeLane(lane: string): void {
    for (const [key, slot] of this.#slots) {
      if (slot.lane !== lane) continue;
      slot.connection?.close();
      this.#slots.delete(key);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { connection } of this.#slots.values()) connection?.close();
  }

  async #connect(address: string, slot: Slot): Promise<RemotingConnection> {
    try {
      const connection = await RemotingConnection.open(address, this.#settings);
      if (this.#closed || this.#slots.get(keyOf(address, slot.lane)) !== slot) {
        connection.close();
        throw logClosed();
      }
      slot.connection = connection;
      slot.failures = 0;
      return connection;
    } catch (error) {
      slot.failure = error;
      const pause = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** slot.failures++);
      slot.notBeforeMs = this.#settings.clock.monotonic() + pause * (0.5 + this.#random() / 2);
      throw error;
    } finally {
      slot.connecting = null;
    }
  }

  /** A reader keeps its connection, and asks for it again only when it is closed: while a pull is in flight it is used. */
  #closeUnused(): void {
    const oldestMs = this.#settings.clock.monotonic() - LANE_UNUSED_MS;
    for (const [key, { lane, connecting, connection, askedAtMs }] of this.#slots) {
      if (lane === '' || askedAtMs > oldestMs || connecting !== null || connection?.isBusy) continue;
      connection?.close();
      this.#slots.delete(key);
    }
  }

  #slot(address: string, lane: string): Slot {
    const key = keyOf(address, lane);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      if (lane !== '') this.#closeUnused();
      slot = { lane, connecting: null, connection: null, failures: 0, failure: undefined, notBeforeMs: 0, askedAtMs: 0 };
      this.#slots.set(key, slot);
    }
    return slot;
  }
}

/** What was wrong a moment ago is probably wrong still. */
function again(address: string, failure: unknown): RetriableError {
  if (!(failure instanceof ConnectError))
    return new RetriableError(`${address} is tried again in a moment`, { code: 'CONNECTION_REFUSED' });
  return new RetriableError(failure.message, { ...adviceIn(failure), code: 'CONNECTION_REFUSED', cause: failure });
}

function keyOf(address: string, lane: string): string {
  return `${address} ${lane}`;
}

export function logClosed(): FatalError {
  return new FatalError('the message log is closed', { code: 'LOG_CLOSED' });
}
