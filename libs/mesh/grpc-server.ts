import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Tracer } from '@rocketmq-connect/tracing';
import { cannotListen, joinAddress, splitAddress } from './address.ts';
import { unavailable } from './error-detail.ts';
import { encoder, write } from './grpc-client.ts';
import { IDENTITY_HEADER, type MeshTls, READ_AHEAD, serverOptions } from './grpc-options.ts';
import { toStatus } from './grpc-status.ts';
import { createHealth } from './health.ts';
import type { AnyMethod, CallContext, Implementation, RpcServer, ServiceDefinition, ServingState } from './index.ts';
import { createReflection } from './reflection.ts';
import { Mailbox, pump } from './streams.ts';
import { callAttributes, isTraced, traceOf } from './tracing.ts';

/** Serves all implementations, health and reflection on one port. */
export async function serveGrpc(
  address: string,
  implementations: readonly Implementation[],
  state: ServingState,
  tls: MeshTls | undefined,
  tracer: Tracer,
): Promise<RpcServer> {
  const { host } = splitAddress(address);
  const names = implementations.map(({ definition }) => definition.fullName);
  const health = createHealth(names, state);
  const served = [...implementations, health.implementation];
  const server = new Server(serverOptions);
  const calls = new RunningCalls();
  for (const implementation of [...served, ...createReflection(served.map(({ definition }) => definition.fullName))]) {
    addService(server, calls, implementation, tracer);
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, serverCredentials(tls), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(cannotListen(address, error.message, 'grpc.port', error));
    });
  });
  return {
    address: joinAddress(host, port),
    async stop(graceMs) {
      health.stop();
      const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      if (await within(graceMs, drained)) return;
      // `forceShutdown` leaves sessions alone that `tryShutdown` began to close, so every call is ended here.
      calls.cut(unavailable('UNAVAILABLE', `the server at ${joinAddress(host, port)} has stopped`));
      await within(CUT_MS, drained);
      server.forceShutdown();
    },
  };
}

function serverCredentials(tls: MeshTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(tls.ca, [{ cert_chain: tls.cert, private_key: tls.key }], true);
}

/** Time for the last statuses to leave. */
const CUT_MS = 500;

function within(ms: number, promise: Promise<void>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    promise.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

function addService(server: Server, calls: RunningCalls, { definition, handlers }: Implementation, tracer: Tracer): void {
  const methods: Record<string, Parameters<Server['addService']>[0][string]> = {};
  const functions: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition.methods)) {
    methods[name] = {
      path: `/${definition.fullName}/${method.name}`,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      requestSerialize: encoder(method.requestType),
      requestDeserialize: method.requestType.decode,
      responseSerialize: encoder(method.responseType),
      responseDeserialize: method.responseType.decode,
    };
    const handler = handlers[name] as unknown as Handler | undefined;
    if (handler !== undefined) functions[name] = adapt(method, traced(definition, method, handler.bind(handlers), tracer), calls);
  }
  server.addService(methods, functions);
}

type Handler = (input: unknown, context: CallContext) => unknown;

/** Streams have no spans: they live as long as their peers. */
function traced(definition: ServiceDefinition, method: AnyMethod, handler: Handler, tracer: Tracer): TracedHandler {
  if (!isTraced(definition, method)) return handler;
  const attributes = callAttributes(definition, method);
  return (request, context, metadata) => {
    const options = { kind: 'server' as const, attributes, parent: traceOf(metadata) };
    return tracer.span(`${definition.fullName}/${method.name}`, options, async () => handler(request, context));
  };
}

type TracedHandler = (input: unknown, context: CallContext, metadata: Metadata) => unknown;

function adapt(method: AnyMethod, handler: TracedHandler, calls: RunningCalls): UntypedServiceImplementation[string] {
  if (!method.responseStream) {
    const unary: handleUnaryCall<unknown, unknown> = (call, callback) => {
      calls
        .run(call, async (context) => handler(call.request, context, call.metadata))
        .then(
          (response) => callback(null, response),
          (error) => callback(toStatus(error)),
        );
    };
    return unary;
  }
  if (!method.requestStream) {
    const serverStream: handleServerStreamingCall<unknown, unknown> = (call) => {
      respond(call, calls, (context) => handler(call.request, context, call.metadata));
    };
    return serverStream;
  }
  const bidi: handleBidiStreamingCall<unknown, unknown> = (call) => {
    respond(call, calls, (context) => handler(requestsOf(call, context.signal), context, call.metadata));
  };
  return bidi;
}

function respond(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  calls: RunningCalls,
  answer: (context: CallContext) => unknown,
): void {
  calls
    .run(call, async (context) => pump(answer(context) as AsyncIterable<unknown>, context.signal, (response) => write(call, response)))
    .then(
      () => call.end(),
      (error) => call.emit('error', toStatus(error)),
    );
}

function requestsOf(call: ServerDuplexStream<unknown, unknown>, signal: AbortSignal): AsyncIterable<unknown> {
  const requests: Mailbox<unknown> = new Mailbox(() => {
    if (requests.size < READ_AHEAD) call.resume();
  });
  call.on('data', (request) => {
    requests.put(request);
    if (requests.size >= READ_AHEAD) call.pause();
  });
  call.on('end', () => requests.end());
  signal.addEventListener('abort', () => requests.fail(signal.reason), { once: true });
  return requests;
}

interface CancellableCall {
  readonly metadata: Metadata;
  getPath(): string;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Handlers at work; each ends with its answer, with its caller's leaving, or at the latest when the server is cut. */
class RunningCalls {
  readonly #cuts = new Set<(reason: unknown) => void>();

  cut(reason: unknown): void {
    for (const cut of this.#cuts) cut(reason);
  }

  run<T>(call: CancellableCall, work: (context: CallContext) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    return new Promise((resolve, reject) => {
      const end = (reason: unknown): void => {
        controller.abort(reason);
        reject(reason);
      };
      this.#cuts.add(end);
      call.on('cancelled', () => end(unavailable('CANCELLED', `${call.getPath()} was cancelled, or its deadline has passed`)));
      work({ signal: controller.signal, identity: identityOf(call.metadata) })
        .then(resolve, reject)
        .finally(() => this.#cuts.delete(end));
    });
  }
}

function identityOf(metadata: Metadata): string {
  const [value] = metadata.get(IDENTITY_HEADER);
  try {
    return typeof value === 'string' ? decodeURIComponent(value) : '';
  } catch {
    return ''; // A header that no client of ours has written names nobody.
  }
}
