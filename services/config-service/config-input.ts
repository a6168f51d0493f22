import { ConfigError, isSecretName } from '@rocketmq-connect/sdk';
import { invalidConfig } from './invalid-config.ts';
import { MASK } from './secrets.ts';

export type Config = { readonly [key: string]: string };

const configBytesMax = 512 * 1024;
const configKeysMax = 1_000;

/** A configuration as a user sent it, within the limits and with its own name in it. Throws `ConfigError`. */
export function ownConfig(name: string, given: Config): Config {
  const named = given['name'];
  if (named !== undefined && named.trim() !== name) {
    throw new ConfigError(`Connector name configuration (${named}) doesn't match connector name in the URL (${name})`, { field: 'name' });
  }
  const entries = Object.entries(given);
  if (entries.length > configKeysMax) {
    throw new ConfigError(`the configuration has ${entries.length} keys, more than ${configKeysMax}`, { field: 'config' });
  }
  if ('' in given) throw invalidConfig([{ field: '', message: 'Invalid configuration: a key is empty' }]);
  const bytes = Buffer.byteLength(JSON.stringify(given));
  if (bytes > configBytesMax) {
    throw new ConfigError(`the configuration has ${bytes} bytes, more than ${configBytesMax}`, {
      field: 'config',
      remedy: 'move large values into files and refer to them by ${file:/path}',
    });
  }
  return { ...given, name };
}

/** The plugin that a configuration asks for. Throws `ConfigError` in Kafka Connect's words when it names none. */
export function connectorClass(config: Config): string {
  const value = config['connector.class']?.trim() ?? '';
  if (value !== '') return value;
  // Which keys are secret only the plugin's schema says, and there is none: go by the name.
  const shown = Object.entries(config).map(([key, text]) => `${key}=${isSecretName(key) ? MASK : text}`);
  throw new ConfigError(`Connector config {${shown.join(', ')}} contains no connector type`, {
    field: 'connector.class',
    remedy: 'set connector.class to the name of a plugin; GET /connector-plugins lists them',
  });
}
