import type { AnyMethod, CallOptions, Endpoints, Rpc, ServiceDefinition } from '@rocketmq-connect/mesh';
import { ClusterServiceDefinition } from '@rocketmq-connect/proto/cluster';
import { ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { OffsetServiceDefinition } from '@rocketmq-connect/proto/offset';
import { PluginServiceDefinition } from '@rocketmq-connect/proto/plugin';
import { RunnerServiceDefinition } from '@rocketmq-connect/proto/runner';
import { PLUGIN_DEADLINE_MS } from '../clients.ts';
import { problemBody, toProblem } from '../problem.ts';
import type { Answer, RestRequest, Route } from '../route.ts';
import { httpRule } from './http-rule.ts';
import { type RunnerEndpoints, runnerClient } from './runner-client.ts';

/** A route that stands for an RPC, so that its description can be made from the messages. */
export interface RpcRoute extends Route {
  readonly rpc: { readonly service: string; readonly method: string };
}

type Peer = 'config' | 'scheduler' | 'runner';

/** The services for people and tools, and who serves them. Internal ones have no annotations and are not here. */
export const adminServices: readonly { readonly definition: ServiceDefinition; readonly peer: Peer }[] = [
  { definition: ConnectorServiceDefinition, peer: 'config' },
  { definition: OffsetServiceDefinition, peer: 'config' },
  { definition: PluginServiceDefinition, peer: 'config' },
  { definition: ClusterServiceDefinition, peer: 'scheduler' },
  { definition: RunnerServiceDefinition, peer: 'runner' },
];

/** Every annotated RPC as its annotation says, in proto3 JSON; a server stream as lines of JSON. */
export function apiRoutes(rpc: Rpc, endpoints: PeerEndpoints): readonly RpcRoute[] {
  return adminServices.flatMap(({ definition, peer }) => {
    const clientFor = clients(rpc, definition, peer, endpoints);
    return Object.entries(definition.methods).flatMap(([name, method]) => {
      const rule = httpRule(method);
      const call: Call = async (request, options) => (await clientFor(request))[name]?.(request, options);
      return rule === undefined ? [] : [rpcRoute(definition, method, rule, call)];
    });
  });
}

export interface PeerEndpoints {
  readonly config: Endpoints;
  readonly scheduler: Endpoints;
  readonly runner: RunnerEndpoints;
}

type AnyClient = Readonly<Record<string, (request: unknown, options: CallOptions) => unknown>>;

/** Any instance of a service will do, but of runners only the one that the request names. */
function clients(rpc: Rpc, definition: ServiceDefinition, peer: Peer, endpoints: PeerEndpoints): (request: unknown) => Promise<AnyClient> {
  if (peer === 'runner') {
    return async (request) =>
      (await runnerClient(rpc, endpoints.runner, (request as { readonly runner: string }).runner)) as unknown as AnyClient;
  }
  const client = rpc.client(definition, endpoints[peer]) as unknown as AnyClient;
  return async () => client;
}

/** Resolves to the answer, or to the stream of them. */
type Call = (request: unknown, options: CallOptions) => Promise<unknown>;
type Json = { fromJSON(object: unknown): unknown; toJSON(message: unknown): unknown };

function rpcRoute(definition: ServiceDefinition, method: AnyMethod, rule: NonNullable<ReturnType<typeof httpRule>>, call: Call): RpcRoute {
  const requestType = method.requestType as unknown as Json;
  const responseType = method.responseType as unknown as Json;
  return {
    method: rule.method,
    path: rule.path,
    tag: `/v1 ${definition.name}`,
    summary: `${definition.name}.${method.name}`,
    status: 200,
    ...(rule.hasBody ? { body: { type: 'object' } } : {}),
    ...(method.responseStream ? { mediaType: 'application/x-ndjson' } : {}),
    rpc: { service: definition.fullName, method: method.name },
    async handle(request) {
      const message = requestType.fromJSON(await requestJson(definition, method, rule.hasBody, request));
      const { signal, identity } = request;
      if (method.responseStream) return streamed((await call(message, { signal, identity })) as AsyncIterable<unknown>, responseType);
      const response = await call(message, { signal, identity, deadlineMs: PLUGIN_DEADLINE_MS });
      return { status: 200, json: responseType.toJSON(response) };
    },
  };
}

/** Path parameters win over the body; parameters of the query count where there is no body. */
async function requestJson(definition: ServiceDefinition, method: AnyMethod, hasBody: boolean, request: RestRequest): Promise<unknown> {
  const { params, query, body } = request;
  const plain = Object.keys(params).length === 0 && !hasBody && query.size === 0;
  if (plain) return {};
  // Descriptors cost memory, so they are loaded when a request needs to be judged.
  const { messageShape } = await import('./json-shape.ts');
  return messageShape(definition.fullName, method.name).request({ params, query: hasBody ? new URLSearchParams() : query, body });
}

async function streamed(responses: AsyncIterable<unknown>, type: Json): Promise<Answer> {
  const iterator = responses[Symbol.asyncIterator]();
  // A refusal comes before the first message, and still finds the status line unwritten.
  const first = await iterator.next();
  return { status: 200, lines: lines(first, iterator, type) };
}

async function* lines(first: IteratorResult<unknown>, iterator: AsyncIterator<unknown>, type: Json): AsyncIterable<string> {
  try {
    for (let result = first; result.done !== true; result = await iterator.next()) yield `${JSON.stringify(type.toJSON(result.value))}\n`;
  } catch (error) {
    yield `${JSON.stringify({ error: problemBody(toProblem(error)) })}\n`;
  } finally {
    await iterator.return?.();
  }
}
