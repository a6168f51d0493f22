import { ConfigError } from '@rocketmq-connect/sdk';
import type { RemoteOptions } from './connector-commands.ts';
import { readConnectorFile } from './connector-file.ts';
import { GatewayClient } from './gateway-client.ts';
import { ExitCode, printJson, printLine, printWarning } from './output.ts';
import { table } from './table.ts';

interface Plugin {
  readonly class: string;
  readonly type: string;
  readonly version: string;
}

interface Validation {
  readonly values: readonly { readonly name: string; readonly errors?: readonly string[] }[];
  readonly warnings?: readonly string[];
}

/** The plugins that can be used; those that some runner could not load, and why, go to standard error. */
export async function plugins(options: RemoteOptions & { all?: boolean }): Promise<void> {
  const client = new GatewayClient(options.url);
  const found = await client.request<Plugin[]>('GET', `/connector-plugins?connectorsOnly=${!options.all}`);
  if (options.json) printJson(found);
  else {
    printLine(
      table(
        ['class', 'type', 'version'],
        found.map((plugin) => [plugin.class, plugin.type, plugin.version]),
      ),
    );
  }
  const { broken } = await client.request<{ broken?: readonly { location: string; error: string }[] }>('GET', '/v1/plugins');
  for (const { location, error } of broken ?? []) printWarning(`${location} cannot be used: ${error}`);
}

/** Validates each connector of a file; exit code 1 where one has errors. Warnings are no errors. */
export async function validate(options: RemoteOptions & { file: string }): Promise<void> {
  const client = new GatewayClient(options.url);
  const results: { name: string; errors: { field: string; message: string }[]; warnings: readonly string[] }[] = [];
  for (const { name, config } of readConnectorFile(options.file)) {
    const plugin = config['connector.class'];
    if (plugin === undefined)
      throw new ConfigError(`${name} has no connector.class`, {
        field: 'connector.class',
        remedy: 'name one of `rocketmq-connect plugins`',
      });
    const { values, warnings = [] } = await client.request<Validation>('POST', `/v1/plugins/${encodeURIComponent(plugin)}:validate`, {
      config: { name, ...config },
    });
    const errors = values.flatMap((value) => (value.errors ?? []).map((message) => ({ field: value.name, message })));
    results.push({ name, errors, warnings });
  }
  if (results.some((result) => result.errors.length > 0)) process.exitCode = ExitCode.failed;
  if (options.json) return printJson(results);
  for (const { name, errors, warnings } of results) {
    printLine(errors.length === 0 ? `${name} is valid` : `${name} has ${errors.length} error(s):`);
    for (const { field, message } of errors) printLine(`  ${field}: ${message}`);
    for (const warning of warnings) printWarning(warning);
  }
}
