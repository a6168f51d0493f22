import { ConfigError } from '@rocketmq-connect/sdk';
import type { RemoteOptions } from './connector-commands.ts';
import { readConnectorFile } from './connector-file.ts';
import { GatewayClient } from './gateway-client.ts';
import { ExitCode, printJson, printLine } from './output.ts';
import { table } from './table.ts';

interface Plugin {
  readonly class: string;
  readonly type: string;
  readonly version: string;
}

interface Validation {
  readonly error_count: number;
  readonly configs: readonly { readonly value: { readonly name: string; readonly errors: readonly string[] } }[];
}

export async function plugins(options: RemoteOptions & { all?: boolean }): Promise<void> {
  const found = await new GatewayClient(options.url).request<Plugin[]>('GET', `/connector-plugins?connectorsOnly=${!options.all}`);
  if (options.json) return printJson(found);
  printLine(
    table(
      ['class', 'type', 'version'],
      found.map((plugin) => [plugin.class, plugin.type, plugin.version]),
    ),
  );
}

/** Validates each connector of a file; exit code 1 where one has errors. */
export async function validate(options: RemoteOptions & { file: string }): Promise<void> {
  const client = new GatewayClient(options.url);
  const results: { name: string; errors: { field: string; message: string }[] }[] = [];
  for (const { name, config } of readConnectorFile(options.file)) {
    const plugin = config['connector.class'];
    if (plugin === undefined)
      throw new ConfigError(`${name} has no connector.class`, {
        field: 'connector.class',
        remedy: 'name one of `rocketmq-connect plugins`',
      });
    const path = `/connector-plugins/${encodeURIComponent(plugin)}/config/validate`;
    const { configs } = await client.request<Validation>('PUT', path, { name, ...config });
    results.push({ name, errors: configs.flatMap(({ value }) => value.errors.map((message) => ({ field: value.name, message }))) });
  }
  if (results.some((result) => result.errors.length > 0)) process.exitCode = ExitCode.failed;
  if (options.json) return printJson(results);
  for (const { name, errors } of results) {
    printLine(errors.length === 0 ? `${name} is valid` : `${name} has ${errors.length} error(s):`);
    for (const { field, message } of errors) printLine(`  ${field}: ${message}`);
  }
}
