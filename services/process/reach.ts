import { connect } from 'node:net';
import { splitAddress } from '@rocketmq-connect/mesh/address';
import type { Clock } from '@rocketmq-connect/sdk';

const CONNECT_TIMEOUT_MS = 3_000;
const EVERY_MS = 10_000;

/** Null when a connection to host:port can be opened, else why not. */
export function reach(address: string, timeoutMs = CONNECT_TIMEOUT_MS): Promise<string | null> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: timeoutMs });
    const end = (why: string | null): void => {
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end(`no answer within ${timeoutMs} ms`));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

/** Looks again and again whether one of the addresses can be reached. */
export class ReachWatch {
  readonly #addresses: readonly string[];
  readonly #clock: Clock;
  #stopped = false;
  #cancel: () => void = () => undefined;
  /** Null: one of them can be reached. */
  trouble: string | null = null;

  constructor(addresses: readonly string[], clock: Clock) {
    this.#addresses = addresses;
    this.#clock = clock;
  }

  start(): void {
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #look(): Promise<void> {
    const said: string[] = [];
    let reached = false;
    for (const address of this.#addresses) {
      const why = await reach(address);
      reached = why === null;
      if (reached) break;
      said.push(`${address} ${why}`);
    }
    this.trouble = reached ? null : said.join(', ');
    if (!this.#stopped) this.#cancel = this.#clock.after(EVERY_MS, () => void this.#look());
  }
}
