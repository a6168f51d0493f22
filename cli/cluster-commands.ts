import { setTimeout as sleep } from 'node:timers/promises';
import {
  DrainResponse,
  ExplainResponse,
  ListRunnersResponse,
  ListUnitsResponse,
  PreviewPlacementResponse,
  type Unit,
  type UnitExplanation,
} from '@rocketmq-connect/proto/cluster';
import type { RemoteOptions } from './connector-commands.ts';
import { GatewayClient } from './gateway-client.ts';
import { printJson, printLine, stateColor } from './output.ts';
import { table } from './table.ts';

export async function runners(options: RemoteOptions): Promise<void> {
  const found = await listRunners(new GatewayClient(options.url));
  if (options.json) return printJson(ListRunnersResponse.toJSON(found));
  if (found.runners.length === 0) printLine('no task runners');
  else {
    const rows = found.runners.map((runner) => [
      runner.id,
      runner.missing ? 'MISSING' : runner.draining ? 'DRAINING' : 'READY',
      runner.ownedUnits === runner.targetUnits ? String(runner.ownedUnits) : `${runner.ownedUnits} of ${runner.targetUnits}`,
      runner.capacity === 0 ? '' : String(runner.capacity),
      runner.zone,
      Object.entries(runner.labels)
        .map(([label, value]) => `${label}=${value}`)
        .join(','),
      runner.version,
      runner.endpoint,
    ]);
    printLine(table(['id', 'state', 'units', 'capacity', 'zone', 'labels', 'version', 'endpoint'], rows));
  }
  printLine(found.leader === '' ? 'no scheduler leads' : `scheduler ${found.leader} leads`);
}

/** With `dryRun` only says what would move; with `wait` comes back when the runner owns nothing any more. */
export async function drain(id: string, options: RemoteOptions & { dryRun?: boolean; wait?: boolean }): Promise<void> {
  const client = new GatewayClient(options.url);
  const { moves, unplaced } = options.dryRun
    ? PreviewPlacementResponse.fromJSON(await client.request('POST', '/v1/placement:preview', { drain: [id] }))
    : DrainResponse.fromJSON(await client.request('POST', `/v1/runners/${encodeURIComponent(id)}:drain`, {}));
  if (options.wait && !options.dryRun) await untilEmpty(client, id);
  if (options.json) return printJson({ moves, unplaced });
  for (const { unit, from, to } of moves) printLine(`${unit}  ${from === '' ? '(nowhere)' : from} → ${to}`);
  for (const unit of unplaced) printLine(`${unit}  stops: no other runner may run it`);
  const what = options.dryRun ? 'would drain' : options.wait ? 'is drained' : 'drains';
  printLine(`${id} ${what}: ${moves.length} unit(s) move, ${unplaced.length} stop`);
}

export async function undrain(id: string, options: RemoteOptions): Promise<void> {
  await new GatewayClient(options.url).request('POST', `/v1/runners/${encodeURIComponent(id)}:undrain`, {});
  if (options.json) printJson({ runner: id, result: 'undrained' });
  else printLine(`${id} takes units again`);
}

export async function units(connector: string | undefined, options: RemoteOptions): Promise<void> {
  const query = connector === undefined ? '' : `?connector=${encodeURIComponent(connector)}`;
  const json = await new GatewayClient(options.url).request('GET', `/v1/units${query}`);
  if (options.json) return printJson(json);
  const found = ListUnitsResponse.fromJSON(json).units;
  if (found.length === 0) return printLine('no units');
  const rows = found.map((unit) => [nameOf(unit), stateColor(stateOf(unit)), unit.ownerRunner, unit.targetRunner]);
  printLine(table(['unit', 'state', 'runs on', 'placed on'], rows));
}

/** `CONNECTOR` or `CONNECTOR/TASK`. */
export async function explain(unit: string, options: RemoteOptions): Promise<void> {
  const [, connector = unit, task] = /^(.+)\/(\d+)$/.exec(unit) ?? [];
  const path = `/v1/connectors/${encodeURIComponent(connector)}:explain${task === undefined ? '' : `?task=${task}`}`;
  const json = await new GatewayClient(options.url).request('GET', path);
  if (options.json) return printJson(json);
  const found = ExplainResponse.fromJSON(json);
  printLine(`${connector} should be ${found.targetState.replace('TARGET_STATE_', '')}`);
  for (const each of found.units) printExplanation(each);
  if (found.changes.length > 0) printLine('\nchanged last:');
  for (const { atMs, who, what, changedKeys } of found.changes)
    printLine(`  ${time(atMs)}  ${what}${who === '' ? '' : ` by ${who}`}  ${changedKeys.join(' ')}`);
}

function printExplanation({ unit, error, sinceMs, reasons, runners: verdicts }: UnitExplanation): void {
  if (unit === undefined) return;
  const where = unit.ownerRunner === '' ? '' : ` on ${unit.ownerRunner}`;
  printLine(`\n${nameOf(unit)}  ${stateColor(stateOf(unit))}${where}${sinceMs === 0n ? '' : ` since ${time(sinceMs)}`}`);
  if (error !== '') printLine(`  ${error}`);
  for (const reason of reasons) printLine(`  ${reason}`);
  for (const { runner, obstacle } of verdicts.filter(({ eligible }) => !eligible)) printLine(`  not ${runner}: ${obstacle}`);
}

const WAIT_STEP_MS = 200;

async function untilEmpty(client: GatewayClient, id: string): Promise<void> {
  for (;;) {
    const runner = (await listRunners(client)).runners.find((candidate) => candidate.id === id);
    if (runner === undefined || (runner.ownedUnits === 0 && runner.targetUnits === 0)) return;
    await sleep(WAIT_STEP_MS);
  }
}

async function listRunners(client: GatewayClient): Promise<ListRunnersResponse> {
  return ListRunnersResponse.fromJSON(await client.request('GET', '/v1/runners'));
}

function nameOf({ connector, task }: Unit): string {
  return task === -1 ? connector : `${connector}/${task}`;
}

function stateOf({ state }: Unit): string {
  return state.replace('UNIT_STATE_', '');
}

function time(ms: bigint): string {
  return new Date(Number(ms)).toISOString();
}
