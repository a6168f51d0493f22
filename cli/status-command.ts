import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { RemoteOptions } from './connector-commands.ts';
import { type ConnectorStatus, connectorPath, GatewayClient } from './gateway-client.ts';
import { printError, printJson, printLine, stateColor } from './output.ts';
import { table } from './table.ts';

/**
 * States of connectors and tasks. With `watch`, again every second until interrupted, with `--json` one line each time; a gateway that goes
 * away meanwhile is waited for.
 */
export async function status(name: string | undefined, options: RemoteOptions & { watch?: boolean }): Promise<void> {
  const client = new GatewayClient(options.url);
  const read = async (): Promise<ConnectorStatus[]> =>
    name === undefined ? await all(client) : [await client.request<ConnectorStatus>('GET', connectorPath(name, '/status?ledger=true'))];
  const shown = (statuses: readonly ConnectorStatus[]): unknown => (name === undefined ? statuses : statuses[0]);
  if (!options.watch) {
    const statuses = await read();
    if (options.json) return printJson(shown(statuses));
    return show(statuses, name !== undefined);
  }
  for (let seen = false; ; await sleep(1000)) {
    try {
      const statuses = await read();
      seen = true;
      if (options.json) printLine(JSON.stringify(shown(statuses)));
      else {
        if (process.stdout.isTTY) process.stdout.write('\x1b[2J\x1b[H');
        show(statuses, name !== undefined);
      }
    } catch (error) {
      if (!seen || !(error instanceof ConnectError) || error.kind !== 'unavailable') throw error;
      printError(error, options.json === true);
    }
  }
}

function show(statuses: readonly ConnectorStatus[], withTraces: boolean): void {
  print(statuses);
  if (!withTraces) return;
  for (const { tasks } of statuses) printLedgers(tasks);
  printTraces(statuses);
}

/** What became of the records of each task, where its runner told. */
function printLedgers(tasks: ConnectorStatus['tasks']): void {
  const rows = tasks.flatMap(({ id, ledger }) => {
    if (ledger === undefined || ledger === null) return [];
    const { polled, acknowledged, deduplicated, filtered, dead_lettered, skipped, in_flight, imbalance, lag } = ledger;
    const counts = [polled, acknowledged, deduplicated, filtered, dead_lettered, skipped, in_flight].map(String);
    return [[`  task ${id}`, ...counts, lag === null ? '' : String(lag), imbalance === 0 ? '' : `${imbalance} RECORDS ARE MISSING`]];
  });
  if (rows.length === 0) return;
  printLine('');
  printLine(
    table(['records', 'polled', 'acknowledged', 'deduplicated', 'filtered', 'dead-lettered', 'skipped', 'in flight', 'lag', ''], rows),
  );
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
