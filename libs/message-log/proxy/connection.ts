import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  connectivityState,
  credentials,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { type Clock, type ConnectError, FatalError, RetriableError } from '@rocketmq-connect/sdk';
import { denied } from '../denied.ts';
import type { TlsSettings } from '../remoting/connection.ts';
import type { Credentials } from '../remoting/signature.ts';
import { requestMetadata } from './request-metadata.ts';

export interface ConnectionSettings {
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly credentials?: Credentials;
  readonly tls?: TlsSettings;
}

const PAUSE_MS = 500;

/**
 * The connection to one proxy: many calls in flight. It is opened when it is first needed, and anew after it broke. What a call
 * rejects with says whether it may have been done: CONNECTION_REFUSED nothing was sent, CONNECTION_LOST or REQUEST_TIMEOUT it may.
 */
export class ProxyConnection {
  readonly address: string;
  readonly #settings: ConnectionSettings;
  #client: Client | null = null;
  #opening: Promise<Client> | null = null;
  /** Monotonic time before which nobody tries again. */
  #notBeforeMs = 0;
  #heardAtMs = 0;
  #closed = false;

  constructor(address: string, settings: ConnectionSettings) {
    this.address = address;
    this.#settings = settings;
  }

  get isOpen(): boolean {
    return this.#client !== null;
  }

  /** Resolves when calls can be made. */
  async open(): Promise<void> {
    await this.#opened();
  }

  /** Resolves with the answer, whatever its status. */
  async call<Q, A>(method: MethodDefinition<Q, A>, request: Q, clientId: string): Promise<A> {
    const client = await this.#opened();
    const { requestTimeoutMs, clock } = this.#settings;
    const startedMs = clock.monotonic();
    return new Promise<A>((resolve, reject) => {
      const deadline = clock.now() + requestTimeoutMs;
      const metadata = requestMetadata(clientId, clock.now(), this.#settings.credentials);
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline },
        (error, answer) => {
          if (error !== null) return reject(this.#failed(error, client, startedMs));
          this.#heardAtMs = clock.monotonic();
          if (answer === undefined) reject(new RetriableError(`${this.address} gave no answer`, { code: 'CONNECTION_LOST' }));
          else resolve(answer);
        },
      );
    });
  }

  /** Resolves with all answers of one request. Cancelled when the signal is aborted, and then rejects with its reason. */
  async callForMany<Q, A>(
    method: MethodDefinition<Q, A>,
    request: Q,
    clientId: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<A[]> {
    const client = await this.#opened();
    const { clock } = this.#settings;
    const startedMs = clock.monotonic();
    return new Promise<A[]>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const metadata = requestMetadata(clientId, clock.now(), this.#settings.credentials);
      const { path, requestSerialize, responseDeserialize } = method;
      const options = { deadline: clock.now() + timeoutMs };
      const stream: ClientReadableStream<A> = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
      );
      const answers: A[] = [];
      const onAbort = (): void => {
        stream.cancel();
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      stream.on('data', (answer: A) => answers.push(answer));
      stream.on('error', (error: ServiceError) => {
        signal.removeEventListener('abort', onAbort);
        reject(this.#failed(error, client, startedMs));
      });
      stream.on('end', () => {
        signal.removeEventListener('abort', onAbort);
        this.#heardAtMs = clock.monotonic();
        resolve(answers);
      });
    });
  }

  /** A conversation; its errors are events. */
  async converse<Q, A>(method: MethodDefinition<Q, A>, clientId: string): Promise<ClientDuplexStream<Q, A>> {
    const client = await this.#opened();
    const metadata = requestMetadata(clientId, this.#settings.clock.now(), this.#settings.credentials);
    return client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, metadata);
  }

  close(): void {
    this.#closed = true;
    this.#client?.close();
    this.#client = null;
  }

  async #opened(): Promise<Client> {
    if (this.#closed) throw logClosed();
    const client = this.#client;
    if (client !== null && client.getChannel().getConnectivityState(false) === connectivityState.READY) return client;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #open(): Promise<Client> {
    const { clock, connectTimeoutMs } = this.#settings;
    try {
      if (clock.monotonic() < this.#notBeforeMs)
        throw refused(this.address, 'it did not take the last connection; tried again in a moment');
      this.#client ??= new Client(this.address, this.#credentials(), CHANNEL_OPTIONS);
      const client = this.#client;
      await ready(client, this.address, clock.now() + connectTimeoutMs);
      if (this.#closed) throw logClosed();
      return client;
    } catch (error) {
      if (clock.monotonic() >= this.#notBeforeMs) this.#notBeforeMs = clock.monotonic() + PAUSE_MS;
      this.#drop(this.#client);
      throw error;
    }
  }

  #failed(error: ServiceError, client: Client, startedMs: number): ConnectError {
    const text = `${this.address}: ${error.details || error.message}`;
    switch (error.code) {
      case status.DEADLINE_EXCEEDED:
        // Silent for as long as the call took: the other side may be gone without a word.
        if (this.#heardAtMs < startedMs) this.#drop(client);
        return new RetriableError(text, { code: 'REQUEST_TIMEOUT', cause: error });
      case status.UNAUTHENTICATED:
      case status.PERMISSION_DENIED:
        return denied(text, error.details, error);
      case status.UNIMPLEMENTED:
        return new FatalError(text, {
          code: 'REQUEST_NOT_SUPPORTED',
          remedy: 'Is this the gRPC port of a proxy of RocketMQ 5.1 or newer?',
          cause: error,
        });
      default:
        return new RetriableError(text, { code: 'CONNECTION_LOST', cause: error });
    }
  }

  #drop(client: Client | null): void {
    client?.close();
    if (this.#client === client) this.#client = null;
  }

  #credentials(): ChannelCredentials {
    const { tls } = this.#settings;
    if (tls === undefined) return credentials.createInsecure();
    const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
    return credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert), { rejectUnauthorized: tls.rejectUnauthorized ?? true });
  }
}

/** Sizes are the proxy's business. Each address has a connection of its own, not shared with other clients in this process. */
const CHANNEL_OPTIONS = {
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': -1,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
};

/** Rejects at the first vain attempt: whoever asks has other addresses, or a pause of its own. */
function ready(client: Client, address: string, deadline: number): Promise<void> {
  const channel = client.getChannel();
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return resolve();
      if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) {
        return reject(refused(address, 'it takes no connection'));
      }
      channel.watchConnectivityState(state, deadline, (error) => (error === undefined ? look() : reject(refused(address, 'no answer'))));
    };
    look();
  });
}

export function logClosed(): FatalError {
  return new FatalError('the message log is closed', { code: 'LOG_CLOSED' });
}

function refused(address: string, why: string): RetriableError {
  return new RetriableError(`cannot connect to the proxy ${address}: ${why}`, { code: 'CONNECTION_REFUSED' });
}
