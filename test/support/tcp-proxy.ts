import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP forwarder that can be cut, closed to newcomers, or fall silent without any connection breaking. */
export class TcpProxy {
  readonly #target: string;
  readonly #renames: Readonly<Record<string, string>>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes of answers after which a connection breaks. */
  cutAfterBytes = Number.POSITIVE_INFINITY;
  /** Connections that broke so. */
  cuts = 0;
  #mode: 'forward' | 'refuse' | 'silent' = 'forward';

  /** `renames`: addresses in what the server says that are replaced by others of the same length, so that clients come through other proxies. */
  static async open(target: string, renames: Readonly<Record<string, string>> = {}): Promise<TcpProxy> {
    for (const [from, to] of Object.entries(renames)) {
      if (from.length !== to.length) throw new RangeError(`${from} and ${to} are not of one length`);
    }
    const proxy = new TcpProxy(target, renames);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(target: string, renames: Readonly<Record<string, string>>) {
    this.#target = target;
    this.#renames = renames;
    this.#server = createServer((near) => this.#join(near));
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Breaks all connections; new ones are welcome. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Breaks all connections and lets none in. */
  refuse(): void {
    this.#mode = 'refuse';
    this.cut();
  }

  /** The connections that are open stay so, but nothing passes any more and nobody is told; new ones work. */
  halfOpen(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  /** The same, for new connections as well. */
  silence(): void {
    this.#mode = 'silent';
    this.halfOpen();
  }

  /** Everything passes again, what waited first. */
  heal(): void {
    this.#mode = 'forward';
    for (const socket of this.#sockets) socket.resume();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  /** An address that lies over the end of a chunk, which is rare, stays. */
  #renamed(chunk: Buffer): Buffer {
    let text = '';
    for (const [from, to] of Object.entries(this.#renames)) {
      if (chunk.includes(from)) text = (text === '' ? chunk.toString('latin1') : text).replaceAll(from, to);
    }
    return text === '' ? chunk : Buffer.from(text, 'latin1');
  }

  #join(near: Socket): void {
    if (this.#mode === 'refuse') return void near.destroy();
    const [host = '', port] = this.#target.split(':');
    const far = connect(Number(port), host);
    let left = this.cutAfterBytes;
    near.on('data', (chunk) => far.write(chunk));
    far.on('data', (chunk) => {
      left -= chunk.length;
      if (left >= 0) return near.write(this.#renamed(chunk));
      this.cuts++;
      return near.destroy();
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      if (this.#mode === 'silent') socket.pause();
    }
  }
}
