import { ConfigError } from '@rocketmq-connect/sdk';

/** Everything that is wrong with a configuration, in Kafka Connect's words. */
export function invalidConfig(errors: readonly { readonly field: string; readonly message: string }[], remedy?: string): ConfigError {
  const lines = errors.map((error) => error.message).join('\n');
  const message =
    `Connector configuration is invalid and contains the following ${errors.length} error(s):\n${lines}\n` +
    'You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`';
  const field = errors[0]?.field;
  return new ConfigError(message, {
    fields: errors,
    ...(field === undefined ? {} : { field }),
    ...(remedy === undefined ? {} : { remedy }),
  });
}
