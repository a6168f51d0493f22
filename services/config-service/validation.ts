import { decodeStored } from '@rocketmq-connect/cluster';
import { ConnectorType } from '@rocketmq-connect/proto/common';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { ConfigError } from '@rocketmq-connect/sdk';
import { type Config, connectorClass } from './config-input.ts';
import { type ConfigContext, requireRunner } from './context.ts';
import { invalidConfig } from './invalid-config.ts';
import { literalSecrets, MASK } from './secrets.ts';

/** What validating a configuration told, as far as the spec keeps it. */
export interface ValidatedConfig {
  readonly type: ConnectorType;
  readonly plugin: string;
  readonly pluginVersion: string;
  readonly secretKeys: string[];
  readonly warnings: string[];
}

const deadlineMs = 30_000;

/** Has the plugin validate a configuration on some runner. Throws `ConfigError` with every field at fault. */
export async function validateConfig(context: ConfigContext, config: Config, keptSecrets: readonly string[]): Promise<ValidatedConfig> {
  const plugin = connectorClass(config);
  requireRunner(context, 'the configuration cannot be validated: plugin code is loaded on runners only');
  const result = await context.pluginHost.validate({ plugin, config: { ...config } }, { deadlineMs });
  const errors = result.values.flatMap(({ name, errors: messages }) => messages.map((message) => ({ field: name, message })));
  const secretKeys = [...new Set([...result.secretKeys, ...keptSecrets])].sort();
  const literal = literalSecrets(config, secretKeys);
  for (const key of literal) {
    if (config[key] === MASK)
      errors.push({ field: key, message: `Invalid value ${MASK} for configuration ${key}: no value is stored to keep` });
    else if (!context.allowLiteralSecrets)
      errors.push({ field: key, message: `Invalid value [hidden] for configuration ${key}: ${REFER}` });
  }
  if (errors.length > 0) throw invalidConfig(errors, literal.length > 0 ? REFER : undefined);
  if (result.errorCount > 0) throw new ConfigError(`the plugin ${plugin} finds ${result.errorCount} errors in the configuration`);
  if (result.type !== ConnectorType.SOURCE && result.type !== ConnectorType.SINK) {
    throw new ConfigError(`${plugin} is not a connector`, { field: 'connector.class', remedy: 'GET /connector-plugins lists connectors' });
  }
  return {
    type: result.type,
    plugin: await canonicalPlugin(context, plugin),
    pluginVersion: result.version,
    secretKeys,
    warnings: [...result.warnings, ...literal.map((key) => `${key} holds a secret that is written out; ${REFER}`)],
  };
}

const REFER = 'use a reference such as ${env:NAME} or ${file:/path:key}, which is resolved where the connector runs';

/** The plugin's own name for a class or alias, so that offsets of one plugin are recognized whatever name a configuration uses. */
async function canonicalPlugin(context: ConfigContext, given: string): Promise<string> {
  const { kvs } = await context.store.range(context.keys.runners);
  for (const kv of kvs) {
    const found = decodeStored(StoredRunner, kv).plugins.find(({ name, aliases }) => name === given || aliases.includes(given));
    if (found !== undefined) return found.name;
  }
  return given;
}
