import type { Clients } from '../clients.ts';
import type { GatewayOptions } from '../index.ts';
import { toProblem } from '../problem.ts';
import type { Route } from '../route.ts';
import { object, text } from './schemas.ts';

const HEALTH_DEADLINE_MS = 2_000;

/** What the gateway says of itself and of the mesh behind it. */
export function rootRoutes(
  clients: Clients,
  about: { readonly version: string; readonly clusterId: string; readonly health: GatewayOptions['health'] },
): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/',
      tag: 'Cluster',
      summary: 'The version, and the cluster that this gateway serves',
      status: 200,
      response: object({ version: text, commit: text, kafka_cluster_id: text }),
      handle: async () => ({ status: 200, json: { version: about.version, commit: 'unknown', kafka_cluster_id: about.clusterId } }),
    },
    {
      method: 'GET',
      path: '/health',
      tag: 'Cluster',
      summary: 'Whether requests can be served, and what blocks: asks config-service',
      status: 200,
      response: object({ status: text, message: text }),
      handle: async ({ signal }) => {
        const own = about.health();
        if (own.status !== 200) return own;
        const stages = own.json['stages'];
        try {
          const service = 'rocketmq.connect.v1.ConnectorService';
          const { status } = await clients.configHealth.check({ service }, { signal, deadlineMs: HEALTH_DEADLINE_MS });
          if (status === 'SERVING') {
            return {
              status: 200,
              json: { status: 'healthy', message: own.json['message'], stages },
            };
          }
          return {
            status: 503,
            json: {
              status: 'unhealthy',
              message: `config-service is ${status}: it is stopping, or cannot reach the metadata store`,
              stages,
            },
          };
        } catch (error) {
          return {
            status: 503,
            json: { status: 'unhealthy', message: `config-service does not answer: ${toProblem(error).message}`, stages },
          };
        }
      },
    },
  ];
}
