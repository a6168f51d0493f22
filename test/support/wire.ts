import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface WireFault {
  readonly direction: 'request' | 'answer';
  /** So many bytes still pass, on whichever connection they come. */
  readonly afterBytes: number;
  /**
   * Cut at this byte; nothing more passes that way, and the connection stays; or what comes is held back and delivered a moment after the client
   * has given the connection up.
   */
  readonly then: 'cut' | 'stall' | 'late';
}

/** Longer than a client needs to come back by another connection. */
const LATE_MS = 300;

/** A TCP forwarder to a server, which can fail within frames. */
export class Wire {
  readonly #target: string;
  readonly #rename: readonly [string, string] | null;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #fault: { readonly what: WireFault; left: number; readonly struck: () => void } | null = null;

  /** `rename`: an address in what the server says that is replaced by another of the same length, so that clients come through another wire. */
  constructor(target: string, rename: readonly [string, string] | null = null) {
    if (rename !== null && rename[0].length !== rename[1].length) throw new RangeError(`${rename.join(' and ')} are not of one length`);
    this.#target = target;
    this.#rename = rename;
    this.#server = createServer((near) => this.#connect(near));
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  /** Resolves when it has happened. */
  strike(what: WireFault): Promise<void> {
    return new Promise((struck) => {
      this.#fault = { what, left: what.afterBytes, struck };
    });
  }

  /** All connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #connect(near: Socket): void {
    const [host = '', port] = this.#target.split(':');
    const far = connect(Number(port), host);
    let late: Buffer[] | null = null;
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    }
    far.on('close', () => near.destroy());
    near.on('close', () => {
      if (late === null) far.destroy();
      else setTimeout((held: readonly Buffer[]) => far.end(Buffer.concat(held)), LATE_MS, late);
    });
    this.#pass('request', near, far, (rest) => {
      late = rest;
    });
    this.#pass('answer', far, near, () => {});
  }

  #pass(direction: WireFault['direction'], from: Socket, to: Socket, onLate: (held: Buffer[]) => void): void {
    let held: Buffer[] | null = null;
    from.on('data', (chunk: Buffer) => {
      if (held !== null) {
        held.push(chunk);
        return;
      }
      const fault = this.#fault;
      if (fault === null || fault.what.direction !== direction) {
        to.write(direction === 'answer' ? this.#renamed(chunk) : chunk);
        return;
      }
      const passes = chunk.subarray(0, fault.left);
      fault.left -= passes.length;
      if (passes.length > 0) to.write(direction === 'answer' ? this.#renamed(passes) : passes);
      if (passes.length === chunk.length) return;
      this.#fault = null;
      if (fault.what.then === 'cut') {
        // What was written still arrives: only the connection ends here.
        to.end();
        from.destroy();
      } else {
        held = [chunk.subarray(passes.length)];
        if (fault.what.then === 'late') onLate(held);
      }
      fault.struck();
    });
  }

  /** Answers of name servers are small: an address does not lie over the end of a chunk. */
  #renamed(chunk: Buffer): Buffer {
    if (this.#rename === null) return chunk;
    const [from, to] = this.#rename;
    return Buffer.from(chunk.toString('latin1').replaceAll(from, to), 'latin1');
  }
}
