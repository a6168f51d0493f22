import { HealthDefinition, HealthCheckResponse_ServingStatus as Status } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { ConnectError } from '@rocketmq-connect/sdk';
import { type Implementation, implement } from './index.ts';
import { ServingState } from './serving-state.ts';

/**
 * grpc.health.v1 for the services of one server and for '' (the server as a whole): as `state` says until `stop`, then NOT_SERVING, which
 * also ends the watches, for they would hold the shutdown.
 */
export function createHealth(services: readonly string[], state: ServingState): { readonly implementation: Implementation; stop(): void } {
  const known = new Set(['', ...services]);
  const own = new ServingState();
  const statusOf = (service: string) =>
    !known.has(service) ? Status.SERVICE_UNKNOWN : own.serving && state.serving ? Status.SERVING : Status.NOT_SERVING;
  const implementation = implement(HealthDefinition, {
    async check({ service }) {
      if (!known.has(service)) throw new ConnectError('notFound', `service '${service}' is not served here`, { code: 'NOT_FOUND' });
      return { status: statusOf(service) };
    },
    async *watch({ service }, { signal }) {
      for (let told: Status | undefined; !signal.aborted; ) {
        const changed = Promise.withResolvers<void>();
        const forget = [state, own].map((each) => each.onChange(changed.resolve));
        signal.addEventListener('abort', () => changed.resolve(), { once: true });
        try {
          const status = statusOf(service);
          if (status !== told) yield { status };
          told = status;
          if (!own.serving) return;
          await changed.promise;
        } finally {
          for (const each of forget) each();
        }
      }
    },
  });
  return { implementation, stop: () => own.set(false) };
}
