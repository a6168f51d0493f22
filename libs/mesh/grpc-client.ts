import {
  Client as Channel,
  type ChannelCredentials,
  connectivityState,
  credentials,
  type CallOptions as GrpcOptions,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Tracer } from '@rocketmq-connect/tracing';
import { unavailable } from './error-detail.ts';
import { AttemptFailed, noEndpoint, roundRobin, withFailover } from './failover.ts';
import { channelOptionsOf, IDENTITY_HEADER, type MeshTls, READ_AHEAD } from './grpc-options.ts';
import { fromStatus, neverSent } from './grpc-status.ts';
import type { AnyMethod, CallOptions, Client, Endpoints, ServiceDefinition } from './index.ts';
import { Mailbox, pump } from './streams.ts';
import { callAttributes, setTrace } from './tracing.ts';

const DEFAULT_DEADLINE_MS = 10_000;

/** Calls of one process: a channel per endpoint, opened at the first call and shared by all clients. */
export class GrpcChannels {
  readonly #tls: MeshTls | undefined;
  readonly #tracer: Tracer;
  readonly #channels = new Map<string, Channel>();

  constructor(tls: MeshTls | undefined, tracer: Tracer) {
    this.#tls = tls;
    this.#tracer = tracer;
  }

  client<S extends ServiceDefinition>(definition: S, endpoints: Endpoints): Client<S> {
    const tracer = this.#tracer;
    const turns = roundRobin(endpoints);
    const inTurn = (): readonly string[] => this.#connectedFirst(turns());
    const client: Record<string, unknown> = {};
    for (const [name, method] of Object.entries(definition.methods)) {
      const path = `/${definition.fullName}/${method.name}`;
      client[name] = method.responseStream
        ? (request: unknown, options: CallOptions = {}) => this.#stream(path, definition, method, inTurn(), request, options)
        : (request: unknown, options: CallOptions = {}) =>
            tracer.span(path.slice(1), { kind: 'client', attributes: callAttributes(definition, method), onlyBelow: true }, () =>
              this.#unary(path, definition, method, inTurn(), request, options),
            );
    }
    return client as Client<S>;
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  async #unary(
    path: string,
    definition: ServiceDefinition,
    method: AnyMethod,
    endpoints: readonly string[],
    request: unknown,
    options: CallOptions,
  ): Promise<unknown> {
    const bytes = encoder(method.requestType)(request);
    const grpcOptions = grpcOptionsOf({ ...options, deadlineMs: options.deadlineMs ?? DEFAULT_DEADLINE_MS });
    return withFailover(definition.fullName, method.name, endpoints, (endpoint) => {
      if (options.signal?.aborted) throw cancelled(path);
      return new Promise((resolve, reject) => {
        const onAbort = (): void => call.cancel();
        const call = this.#channel(endpoint).makeUnaryRequest(
          path,
          (message: Buffer) => message,
          method.responseType.decode,
          bytes,
          metadataOf(options, this.#tracer),
          grpcOptions,
          (error: ServiceError | null, response?: unknown) => {
            options.signal?.removeEventListener('abort', onAbort);
            if (error === null) return resolve(response);
            if (options.signal?.aborted) return reject(cancelled(path));
            const sent = !neverSent(error);
            if (!sent) this.#forget(endpoint);
            reject(new AttemptFailed(fromStatus(path, endpoint, error), sent));
          },
        );
        options.signal?.addEventListener('abort', onAbort, { once: true });
      });
    });
  }

  #stream(
    path: string,
    definition: ServiceDefinition,
    method: AnyMethod,
    endpoints: readonly string[],
    request: unknown,
    options: CallOptions,
  ): AsyncIterable<unknown> {
    const [endpoint] = endpoints;
    const problem = endpoint === undefined ? noEndpoint(definition.fullName) : options.signal?.aborted ? cancelled(path) : undefined;
    if (endpoint === undefined || problem !== undefined) {
      const failed = new Mailbox<unknown>();
      failed.fail(problem);
      return failed;
    }
    const channel = this.#channel(endpoint);
    const encode = encoder(method.requestType);
    const metadata = metadataOf(options, this.#tracer);
    const { decode } = method.responseType;
    const duplex = method.requestStream ? channel.makeBidiStreamRequest(path, encode, decode, metadata, grpcOptionsOf(options)) : undefined;
    const call = duplex ?? channel.makeServerStreamRequest(path, encode, decode, request, metadata, grpcOptionsOf(options));
    const over = new AbortController();
    const giveUp = (error: unknown): void => {
      responses.abort(error);
      finish(error);
      call.cancel();
    };
    const onAbort = (): void => giveUp(cancelled(path));
    const finish = (reason: unknown): void => {
      options.signal?.removeEventListener('abort', onAbort);
      over.abort(reason);
    };
    const responses = new Mailbox<unknown>(
      () => {
        if (responses.size < READ_AHEAD) call.resume();
      },
      () => {
        finish(cancelled(path));
        call.cancel();
      },
    );
    let error: unknown;
    call.on('data', (response) => {
      responses.put(response);
      if (responses.size >= READ_AHEAD) call.pause();
    });
    call.on('error', (failed: ServiceError) => {
      if (neverSent(failed)) this.#forget(endpoint);
      error = fromStatus(path, endpoint, failed);
      finish(error);
    });
    // 'end' comes after the last message was read, 'error' as soon as the status has arrived.
    call.on('end', () => {
      if (error === undefined) responses.end();
      else responses.fail(error);
      finish(cancelled(path));
    });
    options.signal?.addEventListener('abort', onAbort, { once: true });
    if (duplex !== undefined) {
      pump(request as AsyncIterable<unknown>, over.signal, (message) => write(duplex, message)).then(
        () => duplex.end(),
        (reason) => {
          if (!over.signal.aborted) giveUp(reason);
        },
      );
    }
    return responses;
  }

  #channel(endpoint: string): Channel {
    let channel = this.#channels.get(endpoint);
    if (channel === undefined) {
      channel = new Channel(endpoint, this.#credentials(), channelOptionsOf(this.#tls));
      this.#channels.set(endpoint, channel);
    }
    return channel;
  }

  #credentials(): ChannelCredentials {
    return this.#tls === undefined ? credentials.createInsecure() : credentials.createSsl(this.#tls.ca, this.#tls.key, this.#tls.cert);
  }

  /**
   * Those with a connection first, in their turn: a call to a peer whose machine is gone would otherwise wait for its deadline. The others
   * are connected to meanwhile.
   */
  #connectedFirst(endpoints: readonly string[]): readonly string[] {
    if (endpoints.length < 2) return endpoints;
    const ready = new Set(endpoints.filter((endpoint) => this.#isReady(endpoint)));
    return [...ready, ...endpoints.filter((endpoint) => !ready.has(endpoint))];
  }

  #isReady(endpoint: string): boolean {
    return this.#channel(endpoint).getChannel().getConnectivityState(true) === connectivityState.READY;
  }

  /** So that the next call connects anew at once, instead of waiting for the backoff of a peer that may be back, or gone for ever. */
  #forget(endpoint: string): void {
    this.#channels.get(endpoint)?.close();
    this.#channels.delete(endpoint);
  }
}

/** Resolves when the stream takes more. */
export function write(stream: { write(message: unknown): boolean; once(event: 'drain', listener: () => void): unknown }, message: unknown) {
  return stream.write(message) ? Promise.resolve() : new Promise<void>((resolve) => stream.once('drain', resolve));
}

export function encoder(type: AnyMethod['requestType']): (message: unknown) => Buffer {
  return (message) => {
    const bytes = type.encode(message).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function metadataOf({ identity }: CallOptions, tracer: Tracer): Metadata {
  const metadata = new Metadata();
  if (identity !== undefined && identity !== '') metadata.set(IDENTITY_HEADER, encodeURIComponent(identity));
  setTrace(metadata, tracer.active());
  return metadata;
}

function grpcOptionsOf({ deadlineMs }: CallOptions): GrpcOptions {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

function cancelled(path: string) {
  return unavailable('CANCELLED', `${path} was cancelled by its caller`);
}
