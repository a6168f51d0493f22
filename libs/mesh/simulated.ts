import type { Clock, ConnectError } from '@rocketmq-connect/sdk';
import { cannotListen, joinAddress, splitAddress } from './address.ts';
import { unavailable } from './error-detail.ts';
import { AttemptFailed, noEndpoint, roundRobin, withFailover } from './failover.ts';
import { createHealth } from './health.ts';
import type { AnyMethod, CallOptions, Client, Endpoints, Implementation, Rpc, RpcServer, ServiceDefinition } from './index.ts';
import { ServingState } from './serving-state.ts';
import { type CallCarrier, lookupIn, SimulatedCall } from './simulated-call.ts';
import type { Fault, Packet, Transit, Wire } from './simulated-wire.ts';
import { Mailbox } from './streams.ts';

export type { Fault, Transit } from './simulated-wire.ts';

/**
 * All nodes of one simulated mesh, in one process on an injected clock. Messages are encoded and decoded, so nothing passes by
 * reference. Packets of one direction of a call stay in order; calls overtake each other by their delays.
 */
export class SimulatedNetwork implements CallCarrier {
  readonly clock: Clock;
  readonly #latencyMs: number;
  readonly #keepAliveMs: number;
  readonly #servers = new Map<string, SimulatedServer>();
  readonly #calls = new Set<SimulatedCall>();
  readonly #partitions = new Map<string, 'cut' | 'silent'>();
  readonly #rules = new Set<(transit: Transit) => Fault | undefined>();
  #nextPort = 20_000;

  /** `keepAliveMs`: after so long without a way through, both sides of a call learn that it is broken. */
  constructor(options: { clock: Clock; latencyMs?: number; keepAliveMs?: number }) {
    this.clock = options.clock;
    this.#latencyMs = options.latencyMs ?? 0;
    this.#keepAliveMs = options.keepAliveMs ?? 25_000;
  }

  /**
   * Parts two nodes until `heal`. `cut`: calls between them break at once. `silent`: nothing is lost, but nothing arrives before the
   * healing, not even the cancel of a caller who gave up: a late request is carried out late.
   */
  partition(a: string, b: string, mode: 'cut' | 'silent' = 'cut'): void {
    this.#partitions.set(pair(a, b), mode);
    for (const call of [...this.#calls].filter((call) => pair(call.from, call.to) === pair(a, b))) {
      if (mode === 'cut') call.break('the connection was cut');
      else this.#holdUntilKeepAlive(call);
    }
  }

  /** Heals the partition of two nodes, or all of them. */
  heal(a?: string, b?: string): void {
    const healed = a === undefined || b === undefined ? [...this.#partitions.keys()] : [pair(a, b)];
    for (const key of healed) {
      this.#partitions.delete(key);
      for (const call of [...this.#calls]) if (pair(call.from, call.to) === key) call.hold(false);
    }
  }

  /** The process of a node is gone: its servers refuse, its calls break on the other side. What is on its way still arrives. */
  crash(node: string): void {
    for (const [address, server] of this.#servers) if (server.node === node) this.#servers.delete(address);
    for (const call of [...this.#calls]) if (call.from === node || call.to === node) call.break(`${node} is gone`);
  }

  /** Asks `rule` about every packet until the returned function is called. */
  inject(rule: (transit: Transit) => Fault | undefined): () => void {
    this.#rules.add(rule);
    return () => this.#rules.delete(rule);
  }

  /** Calls under way; for tests that nothing is left behind. */
  get openCalls(): number {
    return this.#calls.size;
  }

  listen(address: string, node: string, implementations: readonly Implementation[], state: ServingState): SimulatedServer {
    const { host, port } = splitAddress(address);
    const bound = joinAddress(host, port === 0 ? this.#nextPort++ : port);
    if (this.#servers.has(bound)) throw cannotListen(bound, 'in use', 'grpc.port');
    const server = new SimulatedServer(this, bound, node, implementations, state);
    this.#servers.set(bound, server);
    return server;
  }

  unlisten(server: SimulatedServer): void {
    if (this.#servers.get(server.address) === server) this.#servers.delete(server.address);
  }

  breakCallsFrom(node: string): void {
    for (const call of [...this.#calls]) if (call.from === node) call.break('the client was closed');
  }

  callsTo(server: SimulatedServer): readonly SimulatedCall[] {
    return [...this.#calls].filter((call) => call.endpoint === server.address);
  }

  /** Throws `AttemptFailed` where no connection comes about. */
  connect(from: string, endpoint: string, service: string, method: AnyMethod, options: CallOptions): SimulatedCall {
    if (options.signal?.aborted) throw unavailable('CANCELLED', `${service}/${method.name} was cancelled by its caller`);
    const server = this.#servers.get(endpoint);
    const mode = server === undefined ? undefined : this.#partitions.get(pair(from, server.node));
    if (server === undefined || mode === 'cut') {
      throw new AttemptFailed(unavailable('UNAVAILABLE', `no connection to ${endpoint}`), false);
    }
    // A request that was on its way to a stopped server must not land on the next one at its address.
    const lookup = (path: string) => (this.#servers.get(endpoint) === server ? server.lookup(path) : undefined);
    const call = new SimulatedCall(this, { from, to: server.node, endpoint }, service, method, lookup, options);
    this.#calls.add(call);
    if (mode === 'silent') this.#holdUntilKeepAlive(call);
    return call;
  }

  forget(call: SimulatedCall): void {
    this.#calls.delete(call);
  }

  send(call: SimulatedCall, wire: Wire, direction: Transit['direction'], packet: Packet): Fault {
    const [from, to] = direction === 'request' ? [call.from, call.to] : [call.to, call.from];
    let fault: Fault = {};
    for (const rule of this.#rules) fault = { ...fault, ...rule({ from, to, method: call.path, direction, kind: packet.kind }) };
    if (fault.cut === true) call.break('the connection was cut');
    else if (fault.drop === true) {
      wire.kill();
      this.#breakByKeepAlive(call, () => true);
    } else wire.send(packet, this.#latencyMs + (fault.delayMs ?? 0));
    return fault;
  }

  #holdUntilKeepAlive(call: SimulatedCall): void {
    call.hold(true);
    this.#breakByKeepAlive(call, () => this.#partitions.get(pair(call.from, call.to)) === 'silent');
  }

  #breakByKeepAlive(call: SimulatedCall, still: () => boolean): void {
    this.clock.after(this.#keepAliveMs, () => {
      if (this.#calls.has(call) && still()) call.break('the peer does not answer keep-alives');
    });
  }
}

/** One node's `Rpc` on a simulated network. Names of nodes are what partitions and crashes go by. */
export class SimulatedRpc implements Rpc {
  readonly #network: SimulatedNetwork;
  readonly #node: string;
  readonly #servers = new Set<SimulatedServer>();

  constructor(network: SimulatedNetwork, node: string) {
    this.#network = network;
    this.#node = node;
  }

  async serve(address: string, implementations: readonly Implementation[], state = new ServingState()): Promise<RpcServer> {
    const server = this.#network.listen(address, this.#node, implementations, state);
    this.#servers.add(server);
    return server;
  }

  client<S extends ServiceDefinition>(definition: S, endpoints: Endpoints): Client<S> {
    const inTurn = roundRobin(endpoints);
    const client: Record<string, unknown> = {};
    for (const [name, method] of Object.entries(definition.methods)) {
      client[name] = method.responseStream
        ? (request: unknown, options: CallOptions = {}) => this.#stream(definition, method, inTurn(), request, options)
        : (request: unknown, options: CallOptions = {}) => this.#unary(definition, method, inTurn(), request, options);
    }
    return client as Client<S>;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) await server.stop(0);
    this.#network.breakCallsFrom(this.#node);
  }

  async #unary(
    definition: ServiceDefinition,
    method: AnyMethod,
    endpoints: readonly string[],
    request: unknown,
    options: CallOptions,
  ): Promise<unknown> {
    const bytes = method.requestType.encode(request).finish();
    const endMs = this.#network.clock.monotonic() + (options.deadlineMs ?? 10_000);
    return withFailover(definition.fullName, method.name, endpoints, async (endpoint) => {
      const deadlineMs = endMs - this.#network.clock.monotonic();
      const call = this.#network.connect(this.#node, endpoint, definition.fullName, method, { ...options, deadlineMs });
      call.open(bytes);
      try {
        const first = await call.responses.next();
        if (first.done === true) throw unavailable('UNAVAILABLE', `${method.name} ended without an answer`);
        await call.responses.next();
        return first.value;
      } catch (error) {
        throw new AttemptFailed(error as ConnectError, true);
      }
    });
  }

  #stream(
    definition: ServiceDefinition,
    method: AnyMethod,
    endpoints: readonly string[],
    request: unknown,
    options: CallOptions,
  ): AsyncIterable<unknown> {
    const failed = (error: unknown): AsyncIterable<unknown> => {
      const responses = new Mailbox<unknown>();
      responses.fail(error);
      return responses;
    };
    const [endpoint] = endpoints;
    if (endpoint === undefined) return failed(noEndpoint(definition.fullName));
    try {
      const call = this.#network.connect(this.#node, endpoint, definition.fullName, method, options);
      if (method.requestStream) call.openStream(request as AsyncIterable<unknown>);
      else call.open(method.requestType.encode(request).finish());
      return call.responses;
    } catch (failure) {
      return failed(failure instanceof AttemptFailed ? failure.error : failure);
    }
  }
}

/** A server of the simulated network. */
export class SimulatedServer implements RpcServer {
  readonly address: string;
  readonly node: string;
  readonly lookup: ReturnType<typeof lookupIn>;
  readonly #network: SimulatedNetwork;

  constructor(network: SimulatedNetwork, address: string, node: string, implementations: readonly Implementation[], state: ServingState) {
    this.#network = network;
    this.address = address;
    this.node = node;
    const health = createHealth(
      implementations.map(({ definition }) => definition.fullName),
      state,
    );
    this.lookup = lookupIn([...implementations, health.implementation]);
  }

  async stop(graceMs: number): Promise<void> {
    this.#network.unlisten(this);
    const running = this.#network.callsTo(this);
    if (running.length === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#network.clock.after(graceMs, resolve);
      Promise.all(running.map((call) => call.over)).then(() => {
        cancel();
        resolve();
      });
    });
    for (const call of this.#network.callsTo(this)) call.break('the server has stopped');
  }
}

function pair(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}
