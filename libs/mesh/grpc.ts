import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { noTracer, type Tracer } from '@rocketmq-connect/tracing';
import { GrpcChannels } from './grpc-client.ts';
import type { MeshTls } from './grpc-options.ts';
import { serveGrpc } from './grpc-server.ts';
import {
  type Client,
  type Endpoints,
  type Implementation,
  type Rpc,
  type RpcServer,
  type ServiceDefinition,
  ServingState,
} from './index.ts';

export type { MeshTls } from './grpc-options.ts';

/** `Rpc` over gRPC (grpc-js), with health and reflection on every server; with `tls`, encrypted and both sides certified. */
export class GrpcRpc implements Rpc {
  readonly #tls: MeshTls | undefined;
  readonly #tracer: Tracer;
  readonly #channels: GrpcChannels;
  readonly #servers = new Set<RpcServer>();

  constructor(tls?: MeshTls, tracer: Tracer = noTracer) {
    this.#tls = tls;
    this.#tracer = tracer;
    this.#channels = new GrpcChannels(tls, tracer);
    // What it would print beside our logs comes as an error of the call or of `serve` anyway.
    if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);
  }

  async serve(address: string, implementations: readonly Implementation[], state = new ServingState()): Promise<RpcServer> {
    const server = await serveGrpc(address, implementations, state, this.#tls, this.#tracer);
    this.#servers.add(server);
    return {
      address: server.address,
      stop: async (graceMs) => {
        this.#servers.delete(server);
        await server.stop(graceMs);
      },
    };
  }

  client<S extends ServiceDefinition>(definition: S, endpoints: Endpoints): Client<S> {
    return this.#channels.client(definition, endpoints);
  }

  async close(): Promise<void> {
    this.#channels.close();
    await Promise.all([...this.#servers].map((server) => server.stop(0)));
    this.#servers.clear();
  }
}
