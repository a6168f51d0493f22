import { decodeStored } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import { ConnectorType } from '@rocketmq-connect/proto/common';
import { type Plugin, PluginKind, type PluginServiceDefinition } from '@rocketmq-connect/proto/plugin';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { type ConfigContext, requireRunner } from './context.ts';
import { literalSecrets } from './secrets.ts';

const validateDeadlineMs = 30_000;

/** The catalogue of plugins over all runners; their code is asked on one that has it. */
export function pluginHandlers(context: ConfigContext): Handlers<PluginServiceDefinition> {
  return {
    list: async ({ allKinds }) => ({ plugins: await catalogue(context, allKinds), broken: [] }),
    describe: async ({ plugin, version }) => {
      requireRunner(context, `the plugin ${plugin} cannot be described`);
      return context.pluginHost.describe({ plugin, version });
    },
    validate: async ({ plugin, config }) => {
      requireRunner(context, 'the configuration cannot be validated: plugin code is loaded on runners only');
      const { name, errorCount, groups, values, secretKeys, warnings } = await context.pluginHost.validate(
        { plugin, config },
        { deadlineMs: validateDeadlineMs },
      );
      const literal = literalSecrets(config, secretKeys).map((key) => `${key} holds a secret that is written out`);
      return { name, errorCount, groups, values, warnings: [...warnings, ...literal] };
    },
  };
}

/** One entry per plugin and version, with the runners that have it. */
async function catalogue(context: ConfigContext, allKinds: boolean): Promise<Plugin[]> {
  const { kvs } = await context.store.range(context.keys.runners);
  const plugins = new Map<string, Plugin>();
  for (const kv of kvs) {
    const runner = decodeStored(StoredRunner, kv);
    for (const { name, version, type, aliases } of runner.plugins) {
      if (type === ConnectorType.UNSPECIFIED && !allKinds) continue;
      const id = JSON.stringify([name, version]);
      const known = plugins.get(id);
      if (known !== undefined) known.runners.push(runner.id);
      else plugins.set(id, toPlugin(name, version, type, aliases, runner.id));
    }
  }
  return [...plugins.values()].sort((a, b) => (a.name === b.name ? (a.version < b.version ? -1 : 1) : a.name < b.name ? -1 : 1));
}

function toPlugin(name: string, version: string, type: ConnectorType, aliases: string[], runner: string): Plugin {
  const kinds = { [ConnectorType.SOURCE]: PluginKind.SOURCE, [ConnectorType.SINK]: PluginKind.SINK };
  const kind = type === ConnectorType.UNSPECIFIED ? PluginKind.UNSPECIFIED : kinds[type];
  return { name, class: aliases.find((alias) => alias.includes('.')) ?? name, kind, version, description: '', aliases, runners: [runner] };
}
