import { ConnectError } from '@rocketmq-connect/sdk';
import { type ConnectionSettings, logClosed, ProxyConnection } from './connection.ts';

/** One connection per address. Where there are several addresses, the next one is taken while one does not answer. */
export class Proxies {
  readonly #settings: ConnectionSettings;
  readonly #connections = new Map<string, ProxyConnection>();
  #closed = false;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  /** The first of these that can be talked to. Rejects with what the first one said. */
  async any(addresses: readonly string[]): Promise<ProxyConnection> {
    let failure: unknown;
    for (const address of addresses) {
      const connection = this.#to(address);
      try {
        await connection.open();
        return connection;
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure ?? new ConnectError('unavailable', 'there is no proxy', { code: 'CONNECTION_REFUSED' });
  }

  /** Connections that calls can be made on. */
  get open(): number {
    return [...this.#connections.values()].filter(({ isOpen }) => isOpen).length;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections.values()) connection.close();
  }

  #to(address: string): ProxyConnection {
    if (this.#closed) throw logClosed();
    const connection = this.#connections.get(address) ?? new ProxyConnection(address, this.#settings);
    this.#connections.set(address, connection);
    return connection;
  }
}
