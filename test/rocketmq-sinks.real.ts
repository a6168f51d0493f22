import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { mqadmin, rocketmq, useRocketmq } from './support/rocketmq.ts';
import { type StandaloneProcess, startStandalone, waitFor } from './support/standalone.ts';

const PREFIX = `sinks-${process.pid}`;

/** Sources and sinks of one process on a real cluster; each test has topics and connectors of its own. */
describe('Sinks on a real RocketMQ', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'rocketmq-sinks-'));
  let mesh: StandaloneProcess;
  let log: MessageLog;

  before(async function () {
    await useRocketmq(this);
    const connection = { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: PREFIX } as const;
    log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    mesh = await startStandalone({
      dataDir: join(folder, 'data'),
      cwd: folder,
      args: ['--rocketmq-namesrv', rocketmq.nameServer, '--offsets-commit-interval-ms', '200', '--no-quickstart'],
    });
  });
  after(async () => {
    await mesh?.interrupt();
    for (const topic of await log.listTopics()) if (topic.startsWith(PREFIX)) await log.deleteTopic(topic);
    await log.close();
    rmSync(folder, { recursive: true });
  });

  const path = (name: string): string => join(folder, name);
  const linesOf = (name: string): string[] => (existsSync(path(name)) ? readFileSync(path(name), 'utf8').split('\n').slice(0, -1) : []);
  const source = (name: string, topic: string): Promise<unknown> =>
    mesh.request('POST', '/connectors', { name, config: { 'connector.class': 'FileStreamSource', file: path(name), topic } });
  const sink = (name: string, config: Record<string, string>): Promise<unknown> =>
    mesh.request('POST', '/connectors', { name, config: { 'connector.class': 'FileStreamSink', file: path(name), ...config } });
  const taskIs = async (name: string, state: string): Promise<boolean> =>
    (await stateOf(name)).includes(`"tasks":[{"id":0,"state":"${state}"`);
  const stateOf = async (name: string): Promise<string> => JSON.stringify(await mesh.request('GET', `/connectors/${name}/status`));

  it('are seen by mqadmin with their members and their lag', async () => {
    const topic = `${PREFIX}-lag`;
    await log.createTopic(topic, { queues: 2 });
    writeFileSync(path('lag-in'), 'a\nb\nc\n');
    await source('lag-in', topic);
    await sink('lag out', { topics: topic });
    await waitFor(() => linesOf('lag out').length === 3, 'the lines arrive');
    // What a group's name cannot hold is encoded.
    const group = 'connect-lag%20out';
    const progress = async (): Promise<{ readonly diff: number; readonly rows: number }> => {
      const rows = (await mqadmin('consumerProgress', '-g', group)).split('\n').filter((line) => line.startsWith(topic.slice(0, 30)));
      // Topic, broker, queue, broker's offset, consumer's offset, client (may be missing), diff, inflight, time.
      const diffs = rows.map((row) => row.trim().split(/\s+/)).map((cells) => Number(cells[3]) - Number(cells[4]));
      return { diff: diffs.reduce((sum, diff) => sum + diff, 0), rows: rows.length };
    };
    await waitFor(async () => isDeepStrictEqual(await progress(), { diff: 0, rows: 2 }), 'no lag');
    assert.match(await mqadmin('consumerConnection', '-g', group), new RegExp(`runner-1@[^]*\n${topic} `));
    await mesh.request('PUT', '/connectors/lag%20out/stop');
    await waitFor(async () => (await stateOf('lag%20out')).includes('"tasks":[]'), 'it is stopped');
    appendFileSync(path('lag-in'), 'd\ne\n');
    await waitFor(async () => isDeepStrictEqual(await progress(), { diff: 2, rows: 2 }), 'a lag of two');
  });

  it('of topics.regex read topics that come later', async () => {
    writeFileSync(path('regex-a'), 'a\n');
    await source('regex-a', `${PREFIX}-regex-a`);
    await sink('regex', { 'topics.regex': `${PREFIX}-regex-.*`, 'topic.discovery.interval.ms': '500' });
    await waitFor(() => linesOf('regex').includes('a'), 'the first topic is read');
    writeFileSync(path('regex-b'), 'b\n');
    await source('regex-b', `${PREFIX}-regex-b`);
    await waitFor(() => linesOf('regex').includes('b'), 'the new topic is read');
    assert.deepEqual(linesOf('regex'), ['a', 'b']);
  });

  it('begin where consumer.auto.offset.reset says', async () => {
    const topic = `${PREFIX}-reset`;
    await log.createTopic(topic, { queues: 1 });
    writeFileSync(path('reset-in'), 'before\n');
    await source('reset-in', topic);
    const end = (): Promise<number> => log.maxOffset({ topic, broker: 'broker-a', queue: 0 });
    await waitFor(async () => (await end()) === 1, 'the first is there');
    // Stored at another millisecond.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const between = new Date().toISOString();
    await sink('latest', { topics: topic, 'consumer.auto.offset.reset': 'latest' });
    appendFileSync(path('reset-in'), 'after\n');
    await waitFor(async () => (await end()) === 2, 'the second is there');
    await sink('earliest', { topics: topic, 'consumer.auto.offset.reset': 'earliest' });
    await sink('since', { topics: topic, 'consumer.auto.offset.reset': between });
    await waitFor(() => ['latest', 'earliest', 'since'].every((name) => linesOf(name).includes('after')), 'all have the second');
    assert.deepEqual([linesOf('latest'), linesOf('earliest'), linesOf('since')], [['after'], ['before', 'after'], ['after']]);
  });

  it('S078: read from a position that is set, in a queue that is there', async () => {
    const topic = `${PREFIX}-set`;
    const [queue] = (await log.createTopic(topic, { queues: 1 })).queues as [QueueAddress];
    writeFileSync(path('set-in'), 'a\nb\nc\n');
    await source('set-in', topic);
    await sink('set', { topics: topic });
    await waitFor(() => linesOf('set').length === 3, 'the lines arrive');
    await mesh.request('PUT', '/connectors/set/stop');
    const partition = { rocketmq_topic: topic, rocketmq_broker: queue.broker, rocketmq_queue: 0 };
    const set = (more: object) =>
      mesh.request('PATCH', '/connectors/set/offsets', {
        offsets: [{ partition: { ...partition, ...more }, offset: { rocketmq_offset: 1 } }],
      });
    await waitFor(
      async () => set({}).then(Boolean, (error) => !/answered 409/.test(String(error)) && Promise.reject(error)),
      'it is stopped',
    );
    await assert.rejects(set({ rocketmq_queue: 1 }), /answered 400: .*no queue 1 of topic .*broker-a.*0 on broker-a/s);
    await assert.rejects(set({ rocketmq_topic: `${PREFIX}-none` }), /answered 400: .*there is no topic/);
    await mesh.request('PUT', '/connectors/set/resume');
    await waitFor(() => linesOf('set').length === 5, 'two lines again');
    assert.deepEqual(linesOf('set').slice(3), ['b', 'c']);
  });

  it('go on with a topic that is deleted under them and created again', async () => {
    const topic = `${PREFIX}-again`;
    await log.createTopic(topic, { queues: 1 });
    // So that no new plan helps it.
    await sink('again', { topics: topic, 'topic.discovery.interval.ms': '600000' });
    await waitFor(() => taskIs('again', 'RUNNING'), 'it runs');
    await log.deleteTopic(topic);
    await waitFor(async () => /TOPIC_NOT_FOUND/.test(await stateOf('again')), 'it is noticed');
    await log.createTopic(topic, { queues: 1 });
    writeFileSync(path('again-in'), 'a\n');
    await source('again-in', topic);
    await waitFor(() => linesOf('again').includes('a'), 'it is read again', 60_000);
    assert.ok(await taskIs('again', 'RUNNING'));
  });
});
