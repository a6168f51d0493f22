import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Clock, type ErrorContext, RetriableError } from '@rocketmq-connect/sdk';
import { lost, muteBecause, refused } from './connection-trouble.ts';
import { encodeFrameHead, type Frame, FrameDecoder } from './frame.ts';
import { type Credentials, signedFields } from './signature.ts';

/** Transport security, as plain data. */
export interface TlsSettings {
  /** PEM of the authorities to trust; without it, the system's. */
  readonly ca?: string;
  /** PEM of a client's certificate and key. */
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface ConnectionSettings {
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  readonly tls?: TlsSettings;
  readonly credentials?: Credentials;
}

/** A request: code, header fields and a body. */
export interface Request {
  readonly code: number;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  readonly body?: Buffer;
}

interface Pending {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
  readonly code: number;
  readonly timeoutMs: number;
  /** Monotonic. */
  readonly deadlineMs: number;
}

/**
 * One TCP connection to a name server or broker; many requests in flight. When it breaks, all of them reject with `RetriableError` code
 * CONNECTION_LOST (what was sent may have been done), and it stays closed: the owner opens another.
 */
export class RemotingConnection {
  readonly address: string;
  /** MQVersion of the peer, 0 before its first answer. */
  peerVersion = 0;
  readonly #socket: Socket;
  /** Under TLS, what carries it. */
  readonly #tcp: Socket;
  readonly #settings: ConnectionSettings;
  readonly #pending = new Map<number, Pending>();
  #opaque = 0;
  /** Monotonic. */
  #heardAtMs: number;
  /** One timer for all requests: one each would cost more than the request. */
  #lookAtMs = Number.POSITIVE_INFINITY;
  #cancelLook: () => void = () => {};
  #corked = false;
  #closed: Error | null = null;
  /** While nothing came: what may be why. */
  #mute: ErrorContext | null;

  private constructor(address: string, socket: Socket, tcp: Socket, settings: ConnectionSettings) {
    this.address = address;
    this.#socket = socket;
    this.#tcp = tcp;
    this.#settings = settings;
    this.#heardAtMs = settings.clock.monotonic();
    this.#mute = muteBecause(settings.tls);
    const decoder = new FrameDecoder();
    const onFrame = (frame: Frame): void => this.#onFrame(frame);
    socket.on('data', (chunk) => {
      this.#heardAtMs = settings.clock.monotonic();
      this.#mute = null;
      try {
        decoder.push(chunk, onFrame);
      } catch (error) {
        this.#end(error instanceof Error ? error : new Error(String(error)));
      }
    });
    for (const each of new Set([socket, tcp])) each.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the peer closed the connection')));
  }

  /** Rejects with `RetriableError` code CONNECTION_REFUSED: nothing was sent. */
  static open(address: string, settings: ConnectionSettings): Promise<RemotingConnection> {
    const [host, port] = splitAddress(address);
    return new Promise((resolve, reject) => {
      const tcp = connectTcp(port, host);
      const socket = settings.tls === undefined ? tcp : connectTls({ ...serverName(host), ...settings.tls, host, socket: tcp });
      const refuse = (error: Error): void => {
        cancelTimer();
        socket.destroy();
        tcp.destroy();
        reject(refused(address, error));
      };
      const onClose = (): void => refuse(new Error('the peer closed the connection'));
      const cancelTimer = settings.clock.after(settings.connectTimeoutMs, () =>
        refuse(new Error(`no answer in ${settings.connectTimeoutMs} ms`)),
      );
      // A destroyed socket may still report an error.
      for (const each of new Set([socket, tcp])) each.on('error', refuse);
      socket.once('close', onClose);
      socket.once(settings.tls === undefined ? 'connect' : 'secureConnect', () => {
        cancelTimer();
        for (const each of new Set([socket, tcp])) each.off('error', refuse);
        socket.off('close', onClose);
        socket.setNoDelay(true);
        socket.setKeepAlive(true, KEEP_ALIVE_MS);
        resolve(new RemotingConnection(address, socket, tcp, settings));
      });
    });
  }

  get isOpen(): boolean {
    return this.#closed === null;
  }

  /** Waits for answers. */
  get isBusy(): boolean {
    return this.#pending.size > 0;
  }

  /**
   * Resolves with the response, whatever its code. Rejects with `RetriableError`: CONNECTION_REFUSED when nothing was sent,
   * CONNECTION_LOST or REQUEST_TIMEOUT when it may have been done.
   */
  invoke(request: Request, timeoutMs: number): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) return reject(refused(this.address, this.#closed));
      const opaque = this.#nextOpaque();
      const deadlineMs = this.#settings.clock.monotonic() + timeoutMs;
      this.#pending.set(opaque, { resolve, reject, code: request.code, timeoutMs, deadlineMs });
      if (deadlineMs < this.#lookAtMs) this.#lookAt(deadlineMs);
      this.#write(request, opaque, false);
    });
  }

  /** Sends without an answer. */
  oneway(request: Request): void {
    if (this.#closed === null) this.#write(request, this.#nextOpaque(), true);
  }

  /** Ends after what was written is out. */
  close(): void {
    this.#socket.end();
    this.#end(new Error('closed'), false);
  }

  /** Ends at once. What was written and is still on this machine does not leave it any more. */
  giveUp(why: string): void {
    this.#end(new Error(why));
  }

  #nextOpaque(): number {
    const opaque = this.#opaque;
    this.#opaque = (opaque + 1) & 0x7fffffff;
    return opaque;
  }

  #write({ code, fields, body }: Request, opaque: number, oneway: boolean): void {
    const signed = this.#settings.credentials === undefined ? fields : signedFields(fields, body, this.#settings.credentials);
    const head = encodeFrameHead(code, opaque, oneway, signed, body?.length ?? 0);
    // Requests of one turn, and a head with its body, go out by one system call.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      queueMicrotask(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(head);
    if (body !== undefined && body.length > 0) this.#socket.write(body);
  }

  #onFrame(frame: Frame): void {
    // Brokers also send requests (group changed, check transaction, reset offset): nothing here depends on them.
    if (!frame.response) return;
    const pending = this.#pending.get(frame.opaque);
    if (pending === undefined) return;
    this.#pending.delete(frame.opaque);
    this.peerVersion = frame.version;
    pending.resolve(frame);
  }

  #lookAt(timeMs: number): void {
    this.#cancelLook();
    this.#lookAtMs = timeMs;
    this.#cancelLook = this.#settings.clock.after(Math.max(1, Math.ceil(timeMs - this.#settings.clock.monotonic())), () => this.#expire());
  }

  #expire(): void {
    const now = this.#settings.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    let silence: Error | null = null;
    for (const [opaque, { reject, code, timeoutMs, deadlineMs }] of this.#pending) {
      if (deadlineMs > now) {
        next = Math.min(next, deadlineMs);
        continue;
      }
      this.#pending.delete(opaque);
      const text = `${this.address} did not answer request ${code} in ${timeoutMs} ms`;
      reject(new RetriableError(text, { code: 'REQUEST_TIMEOUT' }));
      // Silent for long, or stuck within a frame: the other side may be gone without a word.
      if (now - this.#heardAtMs > timeoutMs / 2) silence = new Error(text);
    }
    this.#lookAtMs = Number.POSITIVE_INFINITY;
    if (silence !== null) this.#end(silence);
    else if (next < Number.POSITIVE_INFINITY) this.#lookAt(next);
  }

  #end(error: Error, destroy = true): void {
    if (destroy) this.#reset();
    if (this.#closed !== null) return;
    this.#closed = error;
    this.#cancelLook();
    for (const pending of this.#pending.values()) pending.reject(lost(this.address, error, destroy ? this.#mute : null));
    this.#pending.clear();
  }

  /** Without a reset the system would go on by itself to deliver what it has taken over, for minutes where the peer stalls. */
  #reset(): void {
    if (!this.#tcp.destroyed) this.#tcp.resetAndDestroy();
    this.#socket.destroy();
  }
}

const KEEP_ALIVE_MS = 30_000;

/** `host:port`, `[v6]:port`. */
function splitAddress(address: string): [string, number] {
  const colon = address.lastIndexOf(':');
  return [address.slice(0, colon).replace(/^\[|\]$/g, ''), Number(address.slice(colon + 1))];
}

/** TLS names no server by an address. */
function serverName(host: string): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
}
