import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { ConnectError } from '@rocketmq-connect/sdk';
import { type Implementation, implement } from './index.ts';

/**
 * grpc.health.v1 for the services of one server and for '' (the server as a whole): SERVING until `stop`, then NOT_SERVING, which also
 * ends the watches, for they would hold the shutdown.
 */
export function createHealth(services: readonly string[]): { readonly implementation: Implementation; stop(): void } {
  const known = new Set(['', ...services]);
  const stopped = Promise.withResolvers<void>();
  let serving = true;
  const statusOf = (service: string) => (!known.has(service) ? Status.SERVICE_UNKNOWN : serving ? Status.SERVING : Status.NOT_SERVING);
  const implementation = implement(HealthDefinition, {
    async check({ service }) {
      if (!known.has(service)) throw new ConnectError('notFound', `service '${service}' is not served here`, { code: 'NOT_FOUND' });
      return { status: statusOf(service) };
    },
    async *watch({ service }, { signal }) {
      yield { status: statusOf(service) };
      const cancelled = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([stopped.promise, cancelled]);
      if (!signal.aborted) yield { status: statusOf(service) };
    },
  });
  return {
    implementation,
    stop() {
      serving = false;
      stopped.resolve();
    },
  };
}
