import { decodeStored } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import { type Plugin, PluginKind, type PluginServiceDefinition, type PluginServiceListResponse } from '@rocketmq-connect/proto/plugin';
import { type PluginRef, StoredRunner } from '@rocketmq-connect/proto/storage';
import { type ConfigContext, requireRunner } from './context.ts';
import { literalSecrets } from './secrets.ts';

const validateDeadlineMs = 30_000;

/** The catalogue of plugins over all runners; their code is asked on one that has it. */
export function pluginHandlers(context: ConfigContext): Handlers<PluginServiceDefinition> {
  return {
    list: async ({ allKinds }) => catalogue(context, allKinds),
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

/** One entry per plugin and version, with the runners that have it; and what some runner could not load. */
async function catalogue(context: ConfigContext, allKinds: boolean): Promise<PluginServiceListResponse> {
  const { kvs } = await context.store.range(context.keys.runners);
  const plugins = new Map<string, Plugin>();
  const broken = new Map<string, PluginServiceListResponse['broken'][number]>();
  for (const kv of kvs) {
    const runner = decodeStored(StoredRunner, kv);
    for (const ref of runner.plugins) {
      if (!allKinds && ref.kind !== PluginKind.SOURCE && ref.kind !== PluginKind.SINK) continue;
      const id = JSON.stringify([ref.kind, ref.name, ref.version]);
      const known = plugins.get(id);
      if (known !== undefined) known.runners.push(runner.id);
      else plugins.set(id, toPlugin(ref, runner.id));
    }
    for (const one of runner.brokenPlugins) broken.set(JSON.stringify([one.location, one.error]), one);
  }
  const sorted = [...plugins.values()].sort((a, b) => (a.name === b.name ? (a.version < b.version ? -1 : 1) : a.name < b.name ? -1 : 1));
  return { plugins: sorted, broken: [...broken.values()] };
}

function toPlugin({ name, kind, version, aliases }: PluginRef, runner: string): Plugin {
  return { name, class: aliases.find((alias) => alias.includes('.')) ?? name, kind, version, description: '', aliases, runners: [runner] };
}
