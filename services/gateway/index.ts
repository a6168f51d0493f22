import type { Endpoints, Rpc } from '@rocketmq-connect/mesh';
import { cannotListen, joinAddress } from '@rocketmq-connect/mesh/address';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { Loggers } from '@rocketmq-connect/telemetry/loggers';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { noTracer, type Tracer } from '@rocketmq-connect/tracing';
import { createClients } from './clients.ts';
import { docsRoutes } from './docs.ts';
import { createHttpServer } from './http-server.ts';
import { connectorRoutes } from './kafka/connectors.ts';
import { lifecycleRoutes } from './kafka/lifecycle.ts';
import { loggerRoutes } from './kafka/loggers.ts';
import { offsetRoutes } from './kafka/offsets.ts';
import { pluginRoutes } from './kafka/plugins.ts';
import { rootRoutes } from './kafka/root.ts';
import { topicRoutes } from './kafka/topics.ts';
import { observabilityRoutes } from './observability.ts';
import type { Route } from './route.ts';
import { apiRoutes } from './v1/routes.ts';
import type { RunnerEndpoints } from './v1/runner-client.ts';

export interface GatewayOptions {
  readonly rpc: Rpc;
  readonly configEndpoints: Endpoints;
  readonly schedulerEndpoints: Endpoints;
  readonly runnerEndpoints: RunnerEndpoints;
  readonly log: Logger;
  readonly tracer?: Tracer;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** PEM; with it the gateway speaks HTTPS. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly version: string;
  readonly clusterId: string;
  readonly metrics: Metrics;
  readonly loggers: Loggers;
  /** What this process says of itself at /health. */
  readonly health: () => { readonly status: number; readonly json: Readonly<Record<string, unknown>> };
}

export interface Gateway {
  /** Rejects with a `ConfigError` naming the port when it is taken. */
  start(): Promise<{ readonly url: string }>;
  /** Ends streams, lets running requests end, closes. */
  stop(): Promise<void>;
}

/** REST for people and tools: Kafka Connect's API, every annotated RPC under /v1, and their description. */
export function createGateway(options: GatewayOptions): Gateway {
  const { log, host, tls, metrics, tracer = noTracer } = options;
  const server = createHttpServer({ routes: gatewayRoutes(options), log, metrics, host, tracer, ...(tls === undefined ? {} : { tls }) });
  return {
    async start() {
      try {
        const { port } = await server.listen(options.host, options.port);
        return { url: `${tls === undefined ? 'http' : 'https'}://${joinAddress(options.host, port)}` };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw cannotListen(joinAddress(options.host, options.port), reason, 'rest.port', error);
      }
    },
    stop: () => server.close(),
  };
}

/** Every route, in the order of the documentation. */
export function gatewayRoutes(options: Omit<GatewayOptions, 'log' | 'tracer' | 'host' | 'port' | 'tls'>): readonly Route[] {
  const { rpc, configEndpoints, schedulerEndpoints, runnerEndpoints } = options;
  const clients = createClients(rpc, configEndpoints);
  const routes = [
    ...rootRoutes(clients, options),
    ...loggerRoutes(options.loggers, clients),
    ...observabilityRoutes(options.metrics, options.health),
    ...connectorRoutes(clients),
    ...lifecycleRoutes(clients, rpc, runnerEndpoints),
    ...offsetRoutes(clients),
    ...topicRoutes(clients),
    ...pluginRoutes(clients),
    ...apiRoutes(rpc, { config: configEndpoints, scheduler: schedulerEndpoints, runner: runnerEndpoints }),
  ];
  return [...routes, ...docsRoutes(routes, options.version)];
}
