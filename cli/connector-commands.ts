import { ConnectError } from '@rocketmq-connect/sdk';
import { type ConnectorFileEntry, readConnectorFile } from './connector-file.ts';
import { type ConnectorInfo, connectorPath, GatewayClient } from './gateway-client.ts';
import { ExitCode, type PlainError, plainError, printError, printJson, printLine, printWarning } from './output.ts';
import { table } from './table.ts';

export interface RemoteOptions {
  readonly url: string;
  readonly json?: boolean;
}

type FileOptions = RemoteOptions & { readonly file: string };

export async function list(options: RemoteOptions & { names?: boolean }): Promise<void> {
  if (options.names) {
    const names = await new GatewayClient(options.url).request<string[]>('GET', '/connectors');
    return options.json ? printJson(names) : names.forEach(printLine);
  }
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

/** Creates every connector of a file; one that cannot be created keeps no other from it. */
export async function create(options: FileOptions): Promise<void> {
  const client = new GatewayClient(options.url);
  const entries = readConnectorFile(options.file);
  const created: ConnectorInfo[] = [];
  await each(entries, options, async (entry) => {
    const info = await client.request<ConnectorInfo>('POST', '/connectors', entry);
    created.push(info);
    if (!options.json) await report(client, info.name, 'created');
  });
  if (options.json && created.length > 0) printJson(entries.length === 1 ? created[0] : created);
}

/** Idempotent: says for each connector whether it was created, updated or unchanged; one that is refused keeps no other from it. */
export async function apply(options: FileOptions): Promise<void> {
  const client = new GatewayClient(options.url);
  const results: { name: string; result: string; error?: PlainError }[] = [];
  const done = await each(readConnectorFile(options.file), options, async (entry) => {
    const result = await applyOne(client, entry);
    results.push({ name: entry.name, result });
    if (!options.json) await report(client, entry.name, result);
  });
  if (options.json)
    printJson([...results, ...done.failed.map(({ name, error }) => ({ name, result: 'failed', error: plainError(error) }))]);
}

async function applyOne(client: GatewayClient, entry: ConnectorFileEntry): Promise<'created' | 'updated' | 'unchanged'> {
  const before = await client.request<ConnectorInfo>('GET', connectorPath(entry.name)).catch((error: unknown) => {
    if (error instanceof ConnectError && error.kind === 'notFound') return null;
    throw error;
  });
  if (before === null) {
    await client.request('POST', '/connectors', entry);
    return 'created';
  }
  if (sameConfig(before.config, { ...entry.config, name: entry.name })) return 'unchanged';
  await client.request('PUT', connectorPath(entry.name, '/config'), entry.config);
  return 'updated';
}

/** Does it for each entry, and says which ones were refused and why. A gateway that is not there ends it: it refuses the others as well. */
async function each(
  entries: readonly ConnectorFileEntry[],
  options: RemoteOptions,
  act: (entry: ConnectorFileEntry) => Promise<void>,
): Promise<{ readonly failed: readonly { readonly name: string; readonly error: unknown }[] }> {
  const failed: { name: string; error: unknown }[] = [];
  for (const entry of entries) {
    try {
      await act(entry);
    } catch (error) {
      if (entries.length === 1 || (error instanceof ConnectError && error.kind === 'unavailable')) throw error;
      failed.push({ name: entry.name, error });
      printError(error, options.json === true, entry.name);
      process.exitCode = ExitCode.failed;
    }
  }
  return { failed };
}

/** The result, with what validation found strange but allowed: a misspelt key, a secret that is written out. */
async function report(client: GatewayClient, name: string, result: string): Promise<void> {
  printLine(`${name} ${result}`);
  if (result === 'unchanged') return;
  const { connector } = await client.request<{ connector: { warnings?: readonly string[] } }>('GET', `/v1${connectorPath(name)}`);
  for (const warning of connector.warnings ?? []) printWarning(warning);
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
