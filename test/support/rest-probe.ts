import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MeshProcess } from './mesh.ts';
import { waitFor } from './standalone.ts';

interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

const LINES = 7;

export interface ProbeOptions {
  /** Of the cluster's files. */
  readonly folder: string;
  /** Of the connector, its topic and its file; another for each probe. */
  readonly name: string;
  /** Some processes are of a version that may lack what the gateway offers: then that must be said. */
  readonly mayLack: boolean;
}

/** Does through one gateway what users do to a connector and a cluster. Rejects with the first answer that is not right. */
export async function probeRest(gateway: MeshProcess, { folder, name, mayLack }: ProbeOptions): Promise<void> {
  const file = join(folder, `${name}.lines`);
  writeFileSync(file, 'a line\n'.repeat(LINES));
  const ask = async <T>(method: string, path: string, body?: unknown): Promise<Answer<T>> => {
    const response = await fetch(gateway.url + path, {
      method,
      signal: AbortSignal.timeout(30_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
  };
  const expect = async <T>(status: number, method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await ask<T>(method, path, body);
    assert.equal(answer.status, status, `${method} ${path} by ${gateway.id}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const { paths } = await expect<{ paths: Record<string, Record<string, unknown>> }>(200, 'GET', '/openapi.json');
  /** An older gateway is not asked what it does not offer; what another process lacks, the answer says so, and what to do. */
  const expectIfOffered = async (status: number, method: string, route: string, path: string, body?: unknown): Promise<void> => {
    if (paths[route]?.[method.toLowerCase()] === undefined) return;
    const answer = await ask<{ remedy?: string } | undefined>(method, path, body);
    const judged = answer.status === status || !mayLack ? answer.status : `${answer.status} ${answer.body?.remedy}`;
    const said = `${method} ${path} by ${gateway.id}: ${JSON.stringify(answer.body)}`;
    assert.ok(judged === status || /^501 .*upgrade/.test(String(judged)), said);
  };
  const shows = async (wanted: string): Promise<void> => {
    let now = '';
    const isSo = async (): Promise<boolean> => {
      const status = await expect<Status>(200, 'GET', `/connectors/${name}/status`);
      now = [status.connector, ...status.tasks].map(({ state }) => state).join(' ');
      return now === wanted;
    };
    await waitFor(isSo, `${name} shows ${wanted} at ${gateway.id}`, 30_000).catch((error: Error) => {
      throw new Error(`${error.message}; it shows ${now}`);
    });
  };
  const config = { 'connector.class': 'FileStreamSource', file, topic: name };
  const changed = { ...config, 'errors.retry.delay.max.ms': '50000' };

  const created = await expect<Info>(201, 'POST', '/connectors', { name, config });
  assert.deepEqual([created.name, created.config, created.type], [name, { ...config, name }, 'source']);
  await expect(409, 'POST', '/connectors', { name, config });
  await shows('RUNNING RUNNING');
  assert.deepEqual((await expect<Info>(200, 'PUT', `/connectors/${name}/config`, changed)).config, { ...changed, name });
  assert.deepEqual(await expect(200, 'GET', `/connectors/${name}/config`), { ...changed, name });
  await shows('RUNNING RUNNING');
  await waitFor(async () => (await offsets()).length === 1, `${name} has a position`, 30_000);
  await expect(202, 'PUT', `/connectors/${name}/pause`);
  await shows('PAUSED PAUSED');
  await expect(202, 'PUT', `/connectors/${name}/resume`);
  await shows('RUNNING RUNNING');
  await expect(204, 'POST', `/connectors/${name}/tasks/0/restart`);
  await expect(202, 'POST', `/connectors/${name}/restart?includeTasks=true`);
  await shows('RUNNING RUNNING');

  const list = await expect<Record<string, { status: Status; info: Info }>>(200, 'GET', '/connectors?expand=status&expand=info');
  assert.deepEqual(
    Object.keys(list)
      .filter((each) => each === name || each === 'in' || each === 'out')
      .sort(),
    ['in', name, 'out'].sort(),
  );
  assert.deepEqual(list[name]?.info.config, { ...changed, name });
  const { units } = await expect<{ units: { reasons: string[] }[] }>(200, 'GET', `/v1/connectors/${name}:explain`);
  assert.deepEqual(
    units.map(({ reasons }) => reasons.length > 0),
    [true, true],
  );
  const { runners } = await expect<{ runners: { id: string }[] }>(200, 'GET', '/v1/runners');
  assert.deepEqual(runners.map(({ id }) => id).sort(), ['t1', 't2', 't3']);
  for (const { id } of runners) await expectIfOffered(200, 'GET', '/v1/runners/{runner}', `/v1/runners/${id}`);
  await expect(200, 'GET', '/v1/units');
  await expect(200, 'GET', '/connector-plugins');
  await expect(200, 'PUT', '/connector-plugins/FileStreamSource/config/validate', { ...config, name });
  await expectIfOffered(200, 'GET', '/connectors/{connector}/topics', `/connectors/${name}/topics`);
  await expectIfOffered(204, 'PUT', '/admin/loggers/{name}', '/admin/loggers/connectors?scope=cluster', { level: 'INFO' });

  await expect(204, 'PUT', `/connectors/${name}/stop`);
  await shows('STOPPED');
  const [position] = await offsets();
  assert.ok(position !== undefined);
  const alter = (): Promise<Answer<unknown>> => ask('PATCH', `/connectors/${name}/offsets`, { offsets: [position] });
  // As long as a task has not stopped completely.
  await waitFor(async () => (await alter()).status !== 409, `the offsets of ${name} may be altered`, 30_000);
  assert.equal((await alter()).status, 200);
  assert.deepEqual(await offsets(), [position]);
  await expect(200, 'DELETE', `/connectors/${name}/offsets`);
  assert.deepEqual(await offsets(), []);
  await expect(204, 'DELETE', `/connectors/${name}`);
  await expect(404, 'GET', `/connectors/${name}`);

  async function offsets(): Promise<unknown[]> {
    return (await expect<{ offsets: unknown[] }>(200, 'GET', `/connectors/${name}/offsets`)).offsets;
  }
}

interface Info {
  readonly name: string;
  readonly config: unknown;
  readonly type: string;
}

interface Status {
  readonly connector: { readonly state: string };
  readonly tasks: readonly { readonly state: string }[];
}
