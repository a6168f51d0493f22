import type { AnyMethod, Client, Endpoints, Implementation, Rpc, ServiceDefinition, ServingState } from '@rocketmq-connect/mesh';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';

type Side = 'client' | 'server';
type Call = (request: unknown, more: unknown) => unknown;

/** The same port to other processes, with calls counted and unary ones timed, on both sides. */
export function measuredRpc(rpc: Rpc, clock: Clock, metrics: Metrics): Rpc {
  const inFlight = { client: 0, server: 0 };
  metrics.from((emit) => {
    emit('rocketmq_connect_rpc_client_requests_in_flight', {}, inFlight.client);
    emit('rocketmq_connect_rpc_server_requests_in_flight', {}, inFlight.server);
  });
  const begin = (side: Side, service: string, method: string): ((error?: unknown) => void) => {
    inFlight[side]++;
    return (error) => {
      inFlight[side]--;
      metrics.add(`rocketmq_connect_rpc_${side}_requests_total`, { service, method, code: error === undefined ? 'ok' : codeOf(error) });
    };
  };
  const measured = (side: Side, definition: ServiceDefinition, method: AnyMethod, call: Call): Call => {
    const { name: service } = definition;
    if (method.responseStream) {
      return (request, more) => streamed(call(request, more) as AsyncIterable<unknown>, () => begin(side, service, method.name));
    }
    return async (request, more) => {
      const sinceMs = clock.monotonic();
      const end = begin(side, service, method.name);
      try {
        const response = await call(request, more);
        end();
        return response;
      } catch (error) {
        end(error);
        throw error;
      } finally {
        const seconds = (clock.monotonic() - sinceMs) / 1000;
        metrics.observe(`rocketmq_connect_rpc_${side}_request_duration_seconds`, { service, method: method.name }, seconds);
      }
    };
  };
  const all = (side: Side, definition: ServiceDefinition, calls: Readonly<Record<string, Call>>): Record<string, Call> =>
    Object.fromEntries(
      Object.entries(definition.methods).flatMap(([name, method]) => {
        const call = calls[name];
        return call === undefined ? [] : [[name, measured(side, definition, method, call.bind(calls))]];
      }),
    );
  return {
    serve: (address: string, implementations: readonly Implementation[], state?: ServingState) =>
      rpc.serve(
        address,
        implementations.map(({ definition, handlers }) => {
          const measuredHandlers = all('server', definition, handlers as unknown as Record<string, Call>);
          return { definition, handlers: measuredHandlers as unknown as Implementation['handlers'] };
        }),
        state,
      ),
    client: <S extends ServiceDefinition>(definition: S, endpoints: Endpoints) =>
      all('client', definition, rpc.client(definition, endpoints) as unknown as Record<string, Call>) as unknown as Client<S>,
    close: () => rpc.close(),
  };
}

/** Open from the call until the last response, or until whoever reads it goes away. */
function streamed(responses: AsyncIterable<unknown>, begin: () => (error?: unknown) => void): AsyncIterable<unknown> {
  const end = begin();
  let over = false;
  const endOnce = (error?: unknown): void => {
    if (!over) end(error);
    over = true;
  };
  return {
    [Symbol.asyncIterator]() {
      const iterator = responses[Symbol.asyncIterator]();
      return {
        next: async () => {
          try {
            const result = await iterator.next();
            if (result.done === true) endOnce();
            return result;
          } catch (error) {
            endOnce(error);
            throw error;
          }
        },
        return: async (value: unknown) => {
          endOnce();
          return (await iterator.return?.(value)) ?? { done: true as const, value };
        },
      };
    },
  };
}

/** The kind of the error, of which there are few. */
function codeOf(error: unknown): string {
  return error instanceof ConnectError ? error.kind : 'internal';
}
