import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { type Endpoints, type Implementation, implement, type Rpc } from '@rocketmq-connect/mesh';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { CommitServiceDefinition, TaskSetServiceDefinition } from '@rocketmq-connect/proto/commit';
import { ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { ClusterLoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { OffsetServiceDefinition } from '@rocketmq-connect/proto/offset';
import { PluginHostServiceDefinition, PluginServiceDefinition } from '@rocketmq-connect/proto/plugin';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { Tracer } from '@rocketmq-connect/tracing';
import { activeTopicHandlers } from './active-topics.ts';
import { AlterWatch } from './alteration.ts';
import { commitHandlers } from './commits.ts';
import { connectorHandlers } from './connectors.ts';
import type { ConfigContext } from './context.ts';
import { departuresOver } from './departures.ts';
import { lifecycleHandlers } from './lifecycle.ts';
import { loggerLevelHandlers } from './logger-levels.ts';
import { offsetHandlers } from './offsets.ts';
import { pluginHandlers } from './plugins.ts';
import { statusHandlers } from './status.ts';
import { Sweeper } from './sweeper.ts';
import { publishTaskSet } from './task-sets.ts';
import { watchConnectors } from './watch.ts';

export interface ConfigServiceDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly rpc: Rpc;
  readonly tracer: Tracer;
  /** The present task runners: plugin code is loaded only there. */
  readonly runnerEndpoints: Endpoints;
  /** Accept secrets that are written out in a configuration, with a warning; otherwise they are refused. */
  readonly allowLiteralSecrets: boolean;
  /** Who a change is attributed to when the caller did not say. */
  readonly identity?: string;
}

export interface ConfigService {
  readonly implementations: readonly Implementation[];
  start(): Promise<void>;
  /** Before it stops, and while others still find it: resolves when nobody who is about to stop needs it any more. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Validates and stores connectors, publishes task sets, owns offsets. Stateless: any number of replicas may run. */
export function createConfigService(deps: ConfigServiceDeps): ConfigService {
  const context: ConfigContext = {
    ...deps,
    identity: deps.identity ?? '',
    pluginHost: deps.rpc.client(PluginHostServiceDefinition, deps.runnerEndpoints),
  };
  const alters = new AlterWatch(deps.clock);
  const sweeper = new Sweeper(context, alters);
  const stopping = new AbortController();
  return {
    implementations: [
      implement(ConnectorServiceDefinition, {
        ...connectorHandlers(context, sweeper),
        ...lifecycleHandlers(context),
        ...statusHandlers(context),
        ...activeTopicHandlers(context),
        watch: (_, call) => watchConnectors(context, AbortSignal.any([call.signal, stopping.signal])),
      }),
      implement(OffsetServiceDefinition, offsetHandlers(context, alters)),
      implement(PluginServiceDefinition, pluginHandlers(context)),
      implement(TaskSetServiceDefinition, { publish: (request) => publishTaskSet(context, request) }),
      implement(ClusterLoggerServiceDefinition, loggerLevelHandlers(context)),
      implement(CommitServiceDefinition, commitHandlers(context, stopping.signal)),
    ],
    start: async () => sweeper.start(),
    drain: () => departuresOver(context),
    stop: async () => {
      stopping.abort(new Error('config-service stops'));
      await sweeper.stop();
    },
  };
}
