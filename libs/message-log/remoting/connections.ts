import { FatalError, type Random, RetriableError } from '@rocketmq-connect/sdk';
import { type ConnectionSettings, RemotingConnection } from './connection.ts';

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 5_000;

interface Slot {
  connecting: Promise<RemotingConnection> | null;
  connection: RemotingConnection | null;
  failures: number;
  /** Monotonic time before which nobody tries again. */
  notBeforeMs: number;
}

/** One connection per address, opened on demand and again after it broke, with a growing pause between vain attempts. */
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
  async to(address: string): Promise<RemotingConnection> {
    if (this.#closed) throw logClosed();
    const slot = this.#slot(address);
    if (slot.connection?.isOpen) return slot.connection;
    if (this.#settings.clock.monotonic() < slot.notBeforeMs) {
      throw new RetriableError(`${address} did not take the last connection; tried again in a moment`, { code: 'CONNECTION_REFUSED' });
    }
    slot.connecting ??= this.#connect(address, slot);
    return slot.connecting;
  }

  /** Open connections, for heartbeats. */
  open(): readonly RemotingConnection[] {
    return [...this.#slots.values()].flatMap(({ connection }) => (connection?.isOpen ? [connection] : []));
  }

  close(): void {
    this.#closed = true;
    for (const { connection } of this.#slots.values()) connection?.close();
  }

  async #connect(address: string, slot: Slot): Promise<RemotingConnection> {
    try {
      const connection = await RemotingConnection.open(address, this.#settings);
      if (this.#closed) {
        connection.close();
        throw logClosed();
      }
      slot.connection = connection;
      slot.failures = 0;
      return connection;
    } catch (error) {
      const pause = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** slot.failures++);
      slot.notBeforeMs = this.#settings.clock.monotonic() + pause * (0.5 + this.#random() / 2);
      throw error;
    } finally {
      slot.connecting = null;
    }
  }

  #slot(address: string): Slot {
    let slot = this.#slots.get(address);
    if (slot === undefined) {
      slot = { connecting: null, connection: null, failures: 0, notBeforeMs: 0 };
      this.#slots.set(address, slot);
    }
    return slot;
  }
}

export function logClosed(): FatalError {
  return new FatalError('the message log is closed', { code: 'LOG_CLOSED' });
}
