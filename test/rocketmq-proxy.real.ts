import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { type StandaloneProcess, startStandalone, waitFor } from './support/standalone.ts';

const LINES = 2_000;

describe('A process that reaches RocketMQ by its gRPC proxy', function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), 'rocketmq-proxy-'));
  const topic = `by-proxy-${process.pid}`;
  let mesh: StandaloneProcess;

  before(async function () {
    await useRocketmq(this);
    const connection = { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: topic } as const;
    const log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    await log.createTopic(topic, { queues: 4 });
    await log.close();
    const args = ['--rocketmq-proxy', rocketmq.proxyGrpc, '--offsets-commit-interval-ms', '500', '--no-quickstart'];
    mesh = await startStandalone({ dataDir: join(folder, 'data'), cwd: folder, args });
  });
  after(async () => {
    await mesh?.interrupt();
    rmSync(folder, { recursive: true });
  });

  it('copies a file through a topic into a file, and leaves the positions of the sink to RocketMQ', async () => {
    const [source, copy] = [join(folder, 'source.txt'), join(folder, 'copy.txt')];
    const lines = Array.from({ length: LINES }, (_, i) => `line ${i}`);
    writeFileSync(source, lines.map((line) => `${line}\n`).join(''));
    const create = (name: string, config: Record<string, string>) => mesh.request('POST', '/connectors', { name, config });
    await create(`in-${topic}`, { 'connector.class': 'FileStreamSource', file: source, topic });
    await create(`out-${topic}`, { 'connector.class': 'FileStreamSink', file: copy, topics: topic });
    const written = (): Set<string> => new Set(existsSync(copy) ? readFileSync(copy, 'utf8').split('\n').slice(0, -1) : []);
    await waitFor(() => written().size >= LINES, 'every line arrives', 90_000);
    assert.deepEqual([...written()].sort(), lines.toSorted());
    await assert.rejects(mesh.request('GET', `/connectors/out-${topic}/offsets`), /answered 400: .*keeps them itself/);
    const name = `in-${topic}`;
    const topics = async (): Promise<unknown> => mesh.request('GET', `/connectors/${name}/topics`);
    await waitFor(async () => isDeepStrictEqual(await topics(), { [name]: { topics: [topic] } }), 'the topic is known to be used');
  });
});
