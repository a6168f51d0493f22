import type { Client, Rpc } from '@rocketmq-connect/mesh';
import { RunnerServiceDefinition } from '@rocketmq-connect/proto/runner';
import { ConnectError } from '@rocketmq-connect/sdk';

/** Where the runner of an id may be: at its own address where that is known, else at any of those that were given. */
export type RunnerEndpoints = (runner: string) => readonly string[];

/** A client of the runner with this id, and of no other. */
export async function runnerClient(
  rpc: Rpc,
  endpointsOf: RunnerEndpoints,
  runner: string,
): Promise<Client<typeof RunnerServiceDefinition>> {
  const candidates = endpointsOf(runner).map((endpoint) => rpc.client(RunnerServiceDefinition, () => [endpoint]));
  const [only, ...others] = candidates;
  if (only === undefined) throw noRunner(runner);
  if (others.length === 0) return only;
  let failure: unknown;
  for (const client of candidates) {
    try {
      await client.describe({ runner });
      return client;
    } catch (error) {
      // One that is away may be the one: then that is what to say.
      if (!(error instanceof ConnectError) || error.kind !== 'notFound') failure = error;
    }
  }
  throw failure ?? noRunner(runner);
}

function noRunner(runner: string): ConnectError {
  return new ConnectError('notFound', `there is no runner ${runner}`, {
    code: 'NOT_FOUND',
    field: 'runner',
    remedy: 'GET /v1/runners lists those that are there',
  });
}
