import { setTimeout as sleep } from 'node:timers/promises';
import type { RemoteOptions } from './connector-commands.ts';
import { type ConnectorStatus, connectorPath, GatewayClient } from './gateway-client.ts';
import { printJson, printLine, stateColor } from './output.ts';
import { table } from './table.ts';

/** States of connectors and tasks; with `watch`, again every second until interrupted. */
export async function status(name: string | undefined, options: RemoteOptions & { watch?: boolean }): Promise<void> {
  const client = new GatewayClient(options.url);
  do {
    const statuses =
      name === undefined ? await all(client) : [await client.request<ConnectorStatus>('GET', connectorPath(name, '/status'))];
    if (options.json) printJson(name === undefined ? statuses : statuses[0]);
    else {
      if (options.watch && process.stdout.isTTY) process.stdout.write('\x1b[2J\x1b[H');
      print(statuses);
      if (name !== undefined) printTraces(statuses);
    }
    if (options.watch) await sleep(1000);
  } while (options.watch);
}

async function all(client: GatewayClient): Promise<ConnectorStatus[]> {
  const expanded = await client.request<Record<string, { status: ConnectorStatus }>>('GET', '/connectors?expand=status');
  return Object.values(expanded).map((entry) => entry.status);
}

function print(statuses: readonly ConnectorStatus[]): void {
  if (statuses.length === 0) return printLine('no connectors');
  const rows = statuses.flatMap((one) => [
    [one.name, one.type, stateColor(one.connector.state), one.connector.worker_id, firstLine(one.connector.trace)],
    ...one.tasks.map((task) => [`  task ${task.id}`, '', stateColor(task.state), task.worker_id, firstLine(task.trace)]),
  ]);
  printLine(table(['name', 'type', 'state', 'runner', 'error'], rows));
}

/** The table has room for the beginning of an error only. */
function printTraces(statuses: readonly ConnectorStatus[]): void {
  for (const { name, connector, tasks } of statuses) {
    if (connector.trace !== undefined) printLine(`\n${name}: ${connector.trace}`);
    for (const { id, trace } of tasks) if (trace !== undefined) printLine(`\n${name}, task ${id}: ${trace}`);
  }
}

function firstLine(trace: string | undefined): string {
  return (trace ?? '').split('\n')[0]?.slice(0, 120) ?? '';
}
