import type { Client } from '@rocketmq-connect/mesh';
import type { PluginHostServiceDefinition } from '@rocketmq-connect/proto/plugin';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { ConfigServiceDeps } from './index.ts';

/** What every part of config-service works with. */
export interface ConfigContext extends ConfigServiceDeps {
  readonly identity: string;
  readonly pluginHost: Client<PluginHostServiceDefinition>;
}

/** Fails with UNAVAILABLE when there is nobody to ask: plugin code is loaded on runners only. */
export function requireRunner(context: ConfigContext, purpose: string): void {
  if (context.runnerEndpoints().length > 0) return;
  throw new ConnectError('unavailable', `no task runner is registered, so ${purpose}`, {
    code: 'NO_RUNNER',
    remedy: 'start a task runner, or wait until one has registered, and try again',
  });
}
