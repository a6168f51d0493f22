import { ConnectError } from '@rocketmq-connect/sdk';
import { readConnectorFile } from './connector-file.ts';
import { type ConnectorInfo, connectorPath, GatewayClient } from './gateway-client.ts';
import { printJson, printLine } from './output.ts';
import { table } from './table.ts';

export interface RemoteOptions {
  readonly url: string;
  readonly json?: boolean;
}

type FileOptions = RemoteOptions & { readonly file: string };

export async function list(options: RemoteOptions): Promise<void> {
  const all = await new GatewayClient(options.url).request<Record<string, { info: ConnectorInfo }>>('GET', '/connectors?expand=info');
  const infos = Object.values(all).map((entry) => entry.info);
  if (options.json) return printJson(infos);
  if (infos.length === 0) return printLine('no connectors');
  printLine(
    table(
      ['name', 'type', 'tasks', 'class'],
      infos.map((info) => [info.name, info.type, String(info.tasks.length), info.config['connector.class'] ?? '']),
    ),
  );
}

export async function get(name: string, options: RemoteOptions): Promise<void> {
  const info = await new GatewayClient(options.url).request<ConnectorInfo>('GET', connectorPath(name));
  if (options.json) return printJson(info);
  printLine(`${info.name} (${info.type}, ${info.tasks.length} task(s))`);
  for (const [key, value] of Object.entries(info.config).sort()) printLine(`  ${key}: ${value}`);
}

export async function create(options: FileOptions): Promise<void> {
  const client = new GatewayClient(options.url);
  for (const entry of readConnectorFile(options.file)) {
    const info = await client.request<ConnectorInfo>('POST', '/connectors', entry);
    if (options.json) printJson(info);
    else printLine(`${info.name} created`);
  }
}

/** Idempotent: says for each connector whether it was created, updated or unchanged. */
export async function apply(options: FileOptions): Promise<void> {
  const client = new GatewayClient(options.url);
  const results: { name: string; result: string }[] = [];
  for (const entry of readConnectorFile(options.file)) {
    const before = await client.request<ConnectorInfo>('GET', connectorPath(entry.name)).catch((error: unknown) => {
      if (error instanceof ConnectError && error.kind === 'notFound') return null;
      throw error;
    });
    const wanted = { ...entry.config, name: entry.name };
    if (before !== null && sameConfig(before.config, wanted)) {
      results.push({ name: entry.name, result: 'unchanged' });
    } else if (before === null) {
      await client.request('POST', '/connectors', entry);
      results.push({ name: entry.name, result: 'created' });
    } else {
      await client.request('PUT', connectorPath(entry.name, '/config'), entry.config);
      results.push({ name: entry.name, result: 'updated' });
    }
  }
  if (options.json) return printJson(results);
  for (const { name, result } of results) printLine(`${name} ${result}`);
}

export async function remove(name: string, options: RemoteOptions & { resetOffsets?: boolean }): Promise<void> {
  await new GatewayClient(options.url).request('DELETE', connectorPath(name, options.resetOffsets ? '?resetOffsets=true' : ''));
  done(name, 'deleted', options);
}

export async function lifecycle(verb: 'pause' | 'resume' | 'stop', name: string, options: RemoteOptions): Promise<void> {
  await new GatewayClient(options.url).request('PUT', connectorPath(name, `/${verb}`));
  done(name, { pause: 'pausing', resume: 'resuming', stop: 'stopping' }[verb], options);
}

export async function restart(name: string, options: RemoteOptions & { includeTasks?: boolean; onlyFailed?: boolean }): Promise<void> {
  const query = `?includeTasks=${options.includeTasks ?? false}&onlyFailed=${options.onlyFailed ?? false}`;
  await new GatewayClient(options.url).request('POST', connectorPath(name, `/restart${query}`));
  done(name, 'restarting', options);
}

function done(name: string, result: string, options: RemoteOptions): void {
  if (options.json) printJson({ name, result });
  else printLine(`${name} ${result}`);
}

function sameConfig(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
