import { type Implementation, implement } from '@rocketmq-connect/mesh';
import type { ConfigKeyInfo, ConfigValidation, PluginInfo } from '@rocketmq-connect/pipeline/host-protocol';
import { ConnectorType } from '@rocketmq-connect/proto/common';
import { type ConfigKey, type ConfigValue, type Plugin, PluginHostServiceDefinition, PluginKind } from '@rocketmq-connect/proto/plugin';
import type { StoredRunner } from '@rocketmq-connect/proto/storage';
import type { TaskLogger } from '@rocketmq-connect/sdk';
import type { Questions } from './questions.ts';

/** Plugin code asked for others: config-service has none of its own. Every question runs in a host where no unit runs. */
export function pluginHostService(questions: Questions, runner: string, timeoutMs: number): Implementation {
  return implement(PluginHostServiceDefinition, {
    describe: async ({ plugin, version }, { signal }) => {
      const answer = await questions.ask({ ask: 'describe', plugin, version }, { timeoutMs, signal });
      return { plugin: toPlugin(answer.plugin, runner), keys: answer.keys.map(toConfigKey) };
    },
    validate: async ({ plugin, config }, { signal }) => {
      const { validation } = await questions.ask({ ask: 'validate', plugin, config }, { timeoutMs, signal });
      return {
        name: validation.name,
        errorCount: validation.errorCount,
        groups: [...validation.groups],
        values: validation.values.map(toConfigValue),
        type: validation.type === 'source' ? ConnectorType.SOURCE : ConnectorType.SINK,
        version: validation.version,
        secretKeys: [...validation.secretKeys],
        warnings: [...validation.warnings],
      };
    },
    alterOffsets: async ({ config, offsets }, { signal }) => {
      const altered = offsets.map(({ partitionJson, offsetJson }) => ({
        partition: partitionJson,
        offset: offsetJson === '' ? null : offsetJson,
      }));
      await questions.ask({ ask: 'alterOffsets', connectorConfig: config, offsets: altered }, { timeoutMs, signal });
      return {};
    },
  });
}

function toPlugin(info: PluginInfo, runner: string): Plugin {
  const { name, version, description } = info;
  return { name, class: info.class, kind: kinds[info.kind], version, description, aliases: [...info.aliases], runners: [runner] };
}

const kinds: Readonly<Record<PluginInfo['kind'], PluginKind>> = {
  source: PluginKind.SOURCE,
  sink: PluginKind.SINK,
  converter: PluginKind.CONVERTER,
  transform: PluginKind.TRANSFORM,
  predicate: PluginKind.PREDICATE,
};

function toConfigKey({ defaultValue, dependents, ...key }: ConfigKeyInfo): ConfigKey {
  return { ...key, dependents: [...dependents], defaultValue: defaultValue ?? undefined };
}

function toConfigValue({ definition, value, recommendedValues, errors, visible }: ConfigValidation['values'][number]): ConfigValue {
  return {
    name: definition.name,
    value: value ?? undefined,
    recommendedValues: [...recommendedValues],
    errors: [...errors],
    visible,
    definition: toConfigKey(definition),
  };
}

/** What this runner can load, for its registration, and what it cannot: that is logged too, and missed by nobody else. */
export async function loadPluginRefs(questions: Questions, timeoutMs: number, log: TaskLogger): Promise<RunnerPlugins> {
  const { plugins, broken } = await questions.ask({ ask: 'catalogue' }, { timeoutMs });
  for (const { location, error } of broken) log.error(`a plugin cannot be used: ${error}`, { location });
  return {
    plugins: plugins.map(({ name, kind, version, aliases, secretKeys }) => {
      return { name, version, kind: kinds[kind], aliases: [...aliases], secretKeys: [...secretKeys] };
    }),
    brokenPlugins: broken.map(({ location, error }) => ({ location, error: error.slice(0, ERROR_CHARACTERS_MAX) })),
  };
}

export type RunnerPlugins = Pick<StoredRunner, 'plugins' | 'brokenPlugins'>;

// A registration is one value of the store, with all of them.
const ERROR_CHARACTERS_MAX = 1000;
