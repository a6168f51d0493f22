import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type StandaloneProcess, startStandalone, waitFor } from './support/standalone.ts';

interface Status {
  readonly connector: { readonly state: string; readonly trace?: string };
  readonly tasks: readonly { readonly id: number; readonly state: string; readonly trace?: string }[];
}

/** What users do to connectors over REST, with real tasks on the embedded log. */
describe('the life of connectors', function () {
  this.timeout(60_000);
  let cwd: string;
  let mesh: StandaloneProcess;

  before(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'rmqc-lifecycle-'));
    mesh = await start();
  });
  after(async () => {
    await mesh.kill();
    rmSync(cwd, { recursive: true });
  });

  const start = (): Promise<StandaloneProcess> =>
    startStandalone({
      dataDir: join(cwd, 'data'),
      cwd,
      args: [
        ...['--no-quickstart', '--plugins', new URL('./support/misbehaving.ts', import.meta.url).pathname],
        ...['--offsets-commit-interval-ms', '200'],
      ],
    });
  const create = (name: string, config: Readonly<Record<string, string>>, initialState = 'RUNNING') =>
    mesh.request('POST', '/connectors', { name, config, initial_state: initialState });
  const put = (path: string, body?: unknown) => mesh.request('PUT', `/connectors/${path}`, body);
  const remove = (name: string) => mesh.request('DELETE', `/connectors/${name}`);
  const status = (name: string) => mesh.request<Status>('GET', `/connectors/${name}/status`);
  const offsets = async (name: string): Promise<readonly unknown[]> =>
    (await mesh.request<{ offsets: unknown[] }>('GET', `/connectors/${name}/offsets`)).offsets;
  /** `RUNNING: RUNNING FAILED`: the connector, then its tasks. */
  const shown = async (name: string): Promise<string> => {
    const { connector, tasks } = await status(name);
    return [`${connector.state}:`, ...tasks.map(({ state }) => state)].join(' ');
  };
  const shows = async (name: string, expected: string): Promise<void> => {
    let now = '';
    const isSo = async (): Promise<boolean> => {
      now = await shown(name);
      return now === expected;
    };
    await waitFor(isSo, `${name} shows ${expected}`).catch((error: Error) => assert.fail(`${error.message}, it shows ${now}`));
  };
  const linesOf = (path: string): string[] => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []);
  const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `line ${from + i}`);
  /** A file of so many lines; resolves to its path. */
  const writeLines = (name: string, count: number): string => {
    const path = join(cwd, name);
    writeFileSync(
      path,
      numbered(count)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return path;
  };
  const sinkOf = (topic: string) => ({ 'connector.class': 'FileStreamSink', topics: topic, file: join(cwd, `${topic}.copy`) });
  const copyOf = (topic: string): string[] => linesOf(join(cwd, `${topic}.copy`));
  const copied = (topic: string, count: number) => waitFor(() => copyOf(topic).length >= count, `${count} lines of ${topic} are copied`);

  for (const [what, config] of [
    ['source task', { 'connector.class': 'MisbehavingSource', topic: 's032', hook: 'poll', does: 'throw' }],
    ['sink task', { 'connector.class': 'MisbehavingSink', topics: 's032', hook: 'put', does: 'throw' }],
  ] as const) {
    it(`S032, S033: a ${what} that fails is FAILED with the reason until it is restarted, with the failed ones or alone`, async () => {
      const name = `s032-${config.hook}`;
      await create('s032-feed', { 'connector.class': 'MisbehavingSource', topic: 's032' });
      for (const path of ['/restart?onlyFailed=true&includeTasks=true', '/tasks/0/restart']) {
        await create(name, { ...config, 'once.marker': join(cwd, `${name}-${path.length}`) });
        await shows(name, 'RUNNING: FAILED');
        assert.match((await status(name)).tasks[0]?.trace ?? '', new RegExp(`${config.hook} throws`));
        await mesh.request('POST', `/connectors/${name}/restart?onlyFailed=true&includeTasks=false`);
        assert.equal(await shown(name), 'RUNNING: FAILED', 'the connector instance has not failed, and its task was not meant');
        await mesh.request('POST', `/connectors/${name}${path}`);
        await shows(name, 'RUNNING: RUNNING');
        assert.equal((await status(name)).tasks[0]?.trace, undefined);
        await remove(name);
      }
      await remove('s032-feed');
    });
  }

  it('S032, S033: a connector instance that fails is FAILED while its tasks run on; restarted with the failed ones, it runs', async () => {
    const config = { 'connector.class': 'MisbehavingSource', topic: 's033', 'tasks.max': '1' };
    await create('s033', config);
    await shows('s033', 'RUNNING: RUNNING');
    await put('s033/config', { ...config, hook: 'watch', does: 'throw', 'once.marker': join(cwd, 's033-watch') });
    await shows('s033', 'FAILED: RUNNING');
    assert.match((await status('s033')).connector.trace ?? '', /watch throws/);
    await mesh.request('POST', '/connectors/s033/restart?onlyFailed=true&includeTasks=false');
    await shows('s033', 'RUNNING: RUNNING');
    assert.equal((await status('s033')).connector.trace, undefined);
    await remove('s033');
  });

  it('S039, S040: a paused source and a paused sink move nothing, also after a restart of everything, until they are resumed', async () => {
    const source = { 'connector.class': 'MisbehavingSource', topic: 's039' };
    await create('s039-in', source);
    await create('s039-out', sinkOf('s039'));
    await copied('s039', 5);
    for (const name of ['s039-in', 's039-out']) {
      await put(`${name}/pause`);
      await shows(name, 'PAUSED: PAUSED');
    }
    assert.equal(await mesh.interrupt(), 0);
    mesh = await start();
    const [sent, written] = [await offsets('s039-in'), copyOf('s039').length];
    for (const name of ['s039-in', 's039-out']) await shows(name, 'PAUSED: PAUSED');
    // A third pair, made later, has moved data: so would the paused ones have.
    await create('s039-later', { ...source, topic: 's039-later' });
    await create('s039-later-out', sinkOf('s039-later'));
    await copied('s039-later', 5);
    assert.deepEqual([await offsets('s039-in'), copyOf('s039').length], [sent, written]);
    await put('s039-in/resume');
    await shows('s039-in', 'RUNNING: RUNNING');
    const { count } = (sent[0] as { offset: { count: number } }).offset;
    const isOn = async (): Promise<boolean> => ((await offsets('s039-in'))[0] as { offset: { count: number } }).offset.count > count + 5;
    await waitFor(isOn, 'the source goes on');
    assert.equal(copyOf('s039').length, written);
    await put('s039-out/resume');
    await copied('s039', count + 5);
    assert.deepEqual(
      copyOf('s039').slice(0, count + 5),
      Array.from({ length: count + 5 }, (_, i) => `s039-in ${i + 1}`),
    );
    for (const name of ['s039-in', 's039-out', 's039-later', 's039-later-out']) await remove(name);
  });

  it('S042: created STOPPED and given offsets, a source and a sink start exactly from there', async () => {
    const file = writeLines('s042.txt', 20);
    await create(
      's042-in',
      { 'connector.class': 'FileStreamSource', file, topic: 's042', 'topic.creation.default.queues': '1' },
      'STOPPED',
    );
    await create('s042-out', sinkOf('s042'), 'STOPPED');
    for (const name of ['s042-in', 's042-out']) assert.equal(await shown(name), 'STOPPED:');
    const alter = (name: string, partition: object, offset: object) =>
      mesh.request('PATCH', `/connectors/${name}/offsets`, { offsets: [{ partition, offset }] });
    const [line = ''] = numbered(1);
    await alter('s042-in', { filename: file }, { position: 4 * (line.length + 1) });
    await put('s042-in/resume');
    const isSent = async (): Promise<boolean> =>
      JSON.stringify(await offsets('s042-in')).includes(`"position":${readFileSync(file).length}`);
    await waitFor(isSent, 'the source is at the end of its file');
    const [queue] = (await mesh.request<{ offsets: { partition: object }[] }>('GET', '/connectors/s042-in/offsets')).offsets;
    assert.deepEqual(queue?.partition, { filename: file });
    await alter('s042-out', { rocketmq_topic: 's042', rocketmq_broker: 'embedded', rocketmq_queue: 0 }, { rocketmq_offset: 6 });
    await put('s042-out/resume');
    await copied('s042', 10);
    assert.deepEqual(copyOf('s042'), numbered(10, 10), 'lines 4 to 19 are in the topic, and the sink has left six of them out');
    for (const name of ['s042-in', 's042-out']) await remove(name);
  });

  for (const state of ['PAUSED', 'STOPPED']) {
    it(`S043: a connector created ${state} is deleted without ever having run`, async () => {
      const topic = `s043-${state}`;
      await create('s043', { 'connector.class': 'FileStreamSource', file: writeLines('s043.txt', 3), topic }, state);
      await shows('s043', `${state}:`);
      await remove('s043');
      await assert.rejects(status('s043'), /404/);
      await create('s043', sinkOf(topic));
      await shows('s043', 'RUNNING: RUNNING');
      assert.deepEqual(await offsets('s043'), [], 'nobody made the topic');
      await remove('s043');
    });
  }

  for (const command of ['create', 'apply']) {
    it(`S055: a connector of a JSON file that is to begin STOPPED does so (connectors ${command})`, async () => {
      const file = join(cwd, 's055.json');
      const config = { 'connector.class': 'FileStreamSource', file: writeLines('s055.txt', 3), topic: 's055' };
      writeFileSync(file, JSON.stringify({ name: 's055', config, initial_state: 'STOPPED' }));
      const env = { PATH: process.env['PATH'], RMQC_URL: mesh.url };
      const bin = new URL('../cli/bin/rocketmq-connect.js', import.meta.url).pathname;
      await promisify(execFile)(process.execPath, [bin, 'connectors', command, '-f', file], { env });
      assert.equal(await shown('s055'), 'STOPPED:');
      await put('s055/resume');
      await shows('s055', 'RUNNING: RUNNING');
      await remove('s055');
    });
  }

  it('S047: another converter alone restarts the tasks, and what failed with the old one is processed', async () => {
    await create('s047-in', { 'connector.class': 'FileStreamSource', file: writeLines('s047.txt', 5), topic: 's047' });
    const bad = { ...sinkOf('s047'), 'value.converter': 'JsonConverter' };
    await create('s047-out', bad);
    await shows('s047-out', 'RUNNING: FAILED');
    const before = await mesh.request('GET', '/connectors/s047-out/tasks');
    assert.deepEqual(await offsets('s047-out'), []);
    await put('s047-out/config', sinkOf('s047'));
    await copied('s047', 5);
    assert.deepEqual(copyOf('s047'), numbered(5));
    await shows('s047-out', 'RUNNING: RUNNING');
    const tasks = (await mesh.request('GET', '/connectors/s047-out/tasks')) as { id: unknown; config: unknown }[];
    assert.deepEqual(
      tasks.map(({ id }) => id),
      (before as { id: unknown }[]).map(({ id }) => id),
    );
    for (const name of ['s047-in', 's047-out']) await remove(name);
  });

  it('S048: a reference that no longer resolves does not keep the connector from getting another configuration', async () => {
    const secrets = join(cwd, 'secrets.properties');
    writeFileSync(secrets, 'password=open\n');
    const config = { 'connector.class': 'MisbehavingSource', topic: 's048' };
    await create('s048', { ...config, password: `\${file:${secrets}:password}` });
    await shows('s048', 'RUNNING: RUNNING');
    writeFileSync(secrets, '');
    await mesh.request('POST', '/connectors/s048/tasks/0/restart');
    await shows('s048', 'RUNNING: FAILED');
    assert.match((await status('s048')).tasks[0]?.trace ?? '', /password/);
    await put('s048/config', config);
    await shows('s048', 'RUNNING: RUNNING');
    await remove('s048');
  });

  it('S050: a source whose topic is missing and may not be made is FAILED, naming the key; it stops and goes all the same', async () => {
    await create('s050', { 'connector.class': 'MisbehavingSource', topic: 's050', 'topic.creation.enable': 'false' });
    await shows('s050', 'RUNNING: FAILED');
    assert.match((await status('s050')).tasks[0]?.trace ?? '', /TOPIC_NOT_FOUND.*s050.*topic\.creation\.enable/);
    const isFree = async (): Promise<boolean> =>
      !(await mesh.request<{ units?: { connector: string }[] }>('GET', '/v1/units')).units?.some(({ connector }) => connector === 's050');
    await put('s050/stop');
    await waitFor(isFree, 'nothing of it is owned');
    await put('s050/resume');
    await shows('s050', 'RUNNING: FAILED');
    await remove('s050');
    await waitFor(isFree, 'nothing of it is owned');
  });
});
