import type { Client, Endpoints, Rpc } from '@rocketmq-connect/mesh';
import { ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { HealthDefinition } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { ClusterLoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { OffsetServiceDefinition } from '@rocketmq-connect/proto/offset';
import { PluginServiceDefinition } from '@rocketmq-connect/proto/plugin';

/** Plugin code runs for these calls, so they get longer than a plain one. */
export const PLUGIN_DEADLINE_MS = 35_000;

export interface Clients {
  readonly connectors: Client<typeof ConnectorServiceDefinition>;
  readonly offsets: Client<typeof OffsetServiceDefinition>;
  readonly plugins: Client<typeof PluginServiceDefinition>;
  readonly clusterLoggers: Client<typeof ClusterLoggerServiceDefinition>;
  readonly configHealth: Client<typeof HealthDefinition>;
}

export function createClients(rpc: Rpc, configEndpoints: Endpoints): Clients {
  return {
    connectors: rpc.client(ConnectorServiceDefinition, configEndpoints),
    offsets: rpc.client(OffsetServiceDefinition, configEndpoints),
    plugins: rpc.client(PluginServiceDefinition, configEndpoints),
    clusterLoggers: rpc.client(ClusterLoggerServiceDefinition, configEndpoints),
    configHealth: rpc.client(HealthDefinition, configEndpoints),
  };
}
