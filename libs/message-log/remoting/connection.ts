import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type Clock, RetriableError } from '@rocketmq-connect/sdk';
import { encodeFrameHead, type Frame, FrameDecoder } from './frame.ts';
import { type Credentials, signedFields } from './signature.ts';

export interface ConnectionSettings {
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  readonly tls?: ConnectionOptions;
  readonly credentials?: Credentials;
}

/** A request: code, header fields and a body of one or several parts. */
export interface Request {
  readonly code: number;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  readonly body?: Buffer;
}

interface Pending {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimer: () => void;
}

/**
 * One TCP connection to a name server or broker; many requests in flight. When it breaks, all of them reject with `RetriableError` code
 * CONNECTION_LOST (what was sent may have been done), and it stays closed: the owner opens another.
 */
export class RemotingConnection {
  readonly address: string;
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #pending = new Map<number, Pending>();
  #opaque = 0;
  #closed: Error | null = null;

  private constructor(address: string, socket: Socket, settings: ConnectionSettings) {
    this.address = address;
    this.#socket = socket;
    this.#settings = settings;
    const decoder = new FrameDecoder();
    socket.on('data', (chunk) => {
      try {
        decoder.push(chunk, (frame) => this.#onFrame(frame));
      } catch (error) {
        this.#end(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the peer closed the connection')));
  }

  /** Rejects with `RetriableError` code CONNECTION_REFUSED: nothing was sent. */
  static open(address: string, settings: ConnectionSettings): Promise<RemotingConnection> {
    const [host, port] = splitAddress(address);
    return new Promise((resolve, reject) => {
      const socket = settings.tls === undefined ? connectTcp(port, host) : connectTls({ ...settings.tls, host, port });
      const refuse = (error: unknown): void => {
        cancelTimer();
        socket.destroy();
        reject(
          new RetriableError(`cannot connect to ${address}: ${String((error as Error).message)}`, {
            code: 'CONNECTION_REFUSED',
            cause: error,
          }),
        );
      };
      const cancelTimer = settings.clock.after(settings.connectTimeoutMs, () =>
        refuse(new Error(`no answer in ${settings.connectTimeoutMs} ms`)),
      );
      socket.once('error', refuse);
      socket.once(settings.tls === undefined ? 'connect' : 'secureConnect', () => {
        cancelTimer();
        socket.off('error', refuse);
        socket.setNoDelay(true);
        socket.setKeepAlive(true, 30_000);
        resolve(new RemotingConnection(address, socket, settings));
      });
    });
  }

  get open(): boolean {
    return this.#closed === null;
  }

  /** Resolves with the response, whatever its code. Rejects with `RetriableError` CONNECTION_LOST or REQUEST_TIMEOUT: it may have been done. */
  invoke(request: Request, timeoutMs: number): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) return reject(lost(this.address, this.#closed));
      const opaque = this.#opaque;
      this.#opaque = (opaque + 1) & 0x7fffffff;
      const cancelTimer = this.#settings.clock.after(timeoutMs, () => {
        this.#pending.delete(opaque);
        reject(
          new RetriableError(`${this.address} did not answer request ${request.code} in ${timeoutMs} ms`, { code: 'REQUEST_TIMEOUT' }),
        );
      });
      this.#pending.set(opaque, { resolve, reject, cancelTimer });
      this.#write(request, opaque, false);
    });
  }

  /** Sends without an answer. */
  oneway(request: Request): void {
    if (this.#closed !== null) return;
    const opaque = this.#opaque;
    this.#opaque = (opaque + 1) & 0x7fffffff;
    this.#write(request, opaque, true);
  }

  close(): void {
    this.#end(new Error('closed'));
  }

  #write({ code, fields, body }: Request, opaque: number, oneway: boolean): void {
    const signed = this.#settings.credentials === undefined ? fields : signedFields(fields, body, this.#settings.credentials);
    const head = encodeFrameHead({ code, opaque, oneway }, signed, body?.length ?? 0);
    if (body === undefined || body.length === 0) {
      this.#socket.write(head);
      return;
    }
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(body);
    this.#socket.uncork();
  }

  #onFrame(frame: Frame): void {
    // Brokers also send requests (group changed, check transaction, reset offset): nothing here depends on them.
    if (!frame.response) return;
    const pending = this.#pending.get(frame.opaque);
    if (pending === undefined) return;
    this.#pending.delete(frame.opaque);
    pending.cancelTimer();
    pending.resolve(frame);
  }

  #end(error: Error): void {
    if (this.#closed !== null) return;
    this.#closed = error;
    this.#socket.destroy();
    for (const pending of this.#pending.values()) {
      pending.cancelTimer();
      pending.reject(lost(this.address, error));
    }
    this.#pending.clear();
  }
}

function lost(address: string, cause: Error): RetriableError {
  return new RetriableError(`the connection to ${address} is lost: ${cause.message}`, { code: 'CONNECTION_LOST', cause });
}

/** `host:port`, `[v6]:port`. */
function splitAddress(address: string): [string, number] {
  const colon = address.lastIndexOf(':');
  return [address.slice(0, colon).replace(/^\[|\]$/g, ''), Number(address.slice(colon + 1))];
}
