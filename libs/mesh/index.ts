import type { ConnectError } from '@rocketmq-connect/sdk';
import type { ServingState } from './serving-state.ts';

/** A message's codec, as ts-proto generates it. */
export interface MessageType<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
  fromJSON(object: unknown): T;
  toJSON(message: T): unknown;
}

export interface MethodDefinition<Req = never, Res = unknown> {
  readonly name: string;
  readonly requestType: { readonly decode: (bytes: Uint8Array) => Req; readonly encode: (message: Req) => { finish(): Uint8Array } };
  readonly requestStream: boolean;
  readonly responseType: { readonly decode: (bytes: Uint8Array) => Res; readonly encode: (message: Res) => { finish(): Uint8Array } };
  readonly responseStream: boolean;
}

/** A service as ts-proto's generic definitions describe it (`ConnectorServiceDefinition`, ...). */
export interface ServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  // biome-ignore lint/suspicious/noExplicitAny: definitions of every message type.
  readonly methods: { readonly [method: string]: MethodDefinition<any, any> };
}

/** A method of any messages, as adapters handle them. */
export type AnyMethod = ServiceDefinition['methods'][string];

// biome-ignore lint/suspicious/noExplicitAny: inference over every message type.
type Req<M extends MethodDefinition<any, any>> = M['requestType'] extends { decode: (bytes: Uint8Array) => infer T } ? T : never;
// biome-ignore lint/suspicious/noExplicitAny: inference over every message type.
type Res<M extends MethodDefinition<any, any>> = M['responseType'] extends { decode: (bytes: Uint8Array) => infer T } ? T : never;

export interface CallContext {
  /** Aborted when the caller cancels, its deadline passes or the connection breaks. */
  readonly signal: AbortSignal;
  /** Who calls, as passed on by the gateway; '' if unknown. */
  readonly identity: string;
}

/** What a service implements: plain functions. Throw `ConnectError` for a status; anything else is INTERNAL. */
export type Handlers<S extends ServiceDefinition> = {
  readonly [M in keyof S['methods']]: S['methods'][M] extends { requestStream: true; responseStream: true }
    ? (requests: AsyncIterable<Req<S['methods'][M]>>, context: CallContext) => AsyncIterable<Res<S['methods'][M]>>
    : S['methods'][M] extends { responseStream: true }
      ? (request: Req<S['methods'][M]>, context: CallContext) => AsyncIterable<Res<S['methods'][M]>>
      : (request: Req<S['methods'][M]>, context: CallContext) => Promise<Res<S['methods'][M]>>;
};

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Default 10 s for unary calls, none for streams. */
  readonly deadlineMs?: number;
  readonly identity?: string;
}

/** A typed client. Failures reject with `ConnectError`; a broken or missing peer with kind `unavailable`. */
export type Client<S extends ServiceDefinition> = {
  readonly [M in keyof S['methods']]: S['methods'][M] extends { requestStream: true; responseStream: true }
    ? (requests: AsyncIterable<Req<S['methods'][M]>>, options?: CallOptions) => AsyncIterable<Res<S['methods'][M]>>
    : S['methods'][M] extends { responseStream: true }
      ? (request: Req<S['methods'][M]>, options?: CallOptions) => AsyncIterable<Res<S['methods'][M]>>
      : (request: Req<S['methods'][M]>, options?: CallOptions) => Promise<Res<S['methods'][M]>>;
};

/** One service with its handlers, ready to be served. Make it with `implement`, which checks the types. */
export interface Implementation {
  readonly definition: ServiceDefinition;
  readonly handlers: Handlers<ServiceDefinition>;
}

export function implement<S extends ServiceDefinition>(definition: S, handlers: Handlers<S>): Implementation {
  return { definition, handlers: handlers as unknown as Handlers<ServiceDefinition> };
}

/** The port to other processes. Adapters: `grpc-js`, `simulated`. */
export interface Rpc {
  /**
   * Serves on `address` (host:port; port 0 picks one). Rejects with a `ConfigError` naming the port when it is taken. Where there is health,
   * it tells `state`; without one it is SERVING.
   */
  serve(address: string, implementations: readonly Implementation[], state?: ServingState): Promise<RpcServer>;
  /**
   * A client that asks `endpoints` at each call and takes one (round robin; the next after a connection failure of an idempotent
   * call). No endpoint → `unavailable`.
   */
  client<S extends ServiceDefinition>(definition: S, endpoints: Endpoints): Client<S>;
  close(): Promise<void>;
}

export interface RpcServer {
  readonly address: string;
  /** Refuses new calls, lets running ones end for `graceMs`, then cuts. */
  stop(graceMs: number): Promise<void>;
}

/** The present addresses of a service, from fixed configuration or from the registrations in the store. */
export type Endpoints = () => readonly string[];

export { ServingState } from './serving-state.ts';
export type { ConnectError };
