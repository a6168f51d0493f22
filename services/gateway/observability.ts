import { contentTypes, exposition, formatFor } from '@rocketmq-connect/telemetry/metrics/exposition';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import type { GatewayOptions } from './index.ts';
import { object, text } from './kafka/schemas.ts';
import type { Route } from './route.ts';

/** What this gateway's process says of itself to those that watch it. */
export function observabilityRoutes(metrics: Metrics, health: GatewayOptions['health']): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics',
      tag: 'Cluster',
      summary: "The metrics of this gateway's process, as Prometheus reads them: docs/metrics.md",
      status: 200,
      response: text,
      mediaType: contentTypes.prometheus,
      negotiates: true,
      handle: async ({ accept }) => {
        const format = formatFor(accept);
        return { status: 200, mediaType: contentTypes[format], text: exposition(metrics.collect(), format) };
      },
    },
    {
      method: 'GET',
      path: '/health/live',
      tag: 'Cluster',
      summary: 'Answers while the process lives',
      status: 200,
      response: object({ status: text }),
      handle: async () => ({ status: 200, json: { status: 'alive' } }),
    },
    {
      method: 'GET',
      path: '/health/ready',
      tag: 'Cluster',
      summary: "Whether this gateway's process serves, and which stage blocks it",
      status: 200,
      response: object({ status: text, message: text }),
      handle: async () => health(),
    },
  ];
}
