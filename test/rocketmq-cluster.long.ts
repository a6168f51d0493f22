import assert from 'node:assert/strict';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageBatch, MessageLog, QueueAddress, QueueReader, TopicDescription } from '@rocketmq-connect/message-log';
import { BatchBuilder, decodeFetched } from '@rocketmq-connect/message-log/message';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { RemotingConnection } from '@rocketmq-connect/message-log/remoting/connection';
import { readRecords, sendRecords } from './support/real-task.ts';
import { OtherCluster, rocketmq, useRocketmq } from './support/rocketmq.ts';

const { signal } = new AbortController();
const PORT = Number(rocketmq.nameServer.split(':')[1]) + 100;
const MASTER = `127.0.0.1:${PORT + 10}`;
const SLAVE = `127.0.0.1:${PORT + 30}`;

describe('A cluster of two masters and a slave', function () {
  this.timeout(120_000);
  let cluster: OtherCluster;
  let log: MessageLog;
  let topic: TopicDescription;
  let clients = 0;

  before(async function () {
    await useRocketmq(this);
    cluster = await OtherCluster.start('cluster', {
      portOffset: 100,
      brokers: 'broker-a broker-a:1 broker-b',
      // The master has whatever is not the newest read from its slave; a batch has to be on the slave.
      brokerConf: ['accessMessageInMemoryMaxRatio=0', 'totalReplicas=2', 'inSyncReplicas=1', 'slaveTimeout=1000'],
    });
  });
  after(async function () {
    this.timeout(120_000);
    await cluster?.stop();
  });
  beforeEach(async () => {
    const connection = { kind: 'remoting', nameServers: [cluster.nameServer], clientId: `cluster-${clients++}` } as const;
    log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    topic = await log.createTopic('cluster', { queues: 4 });
  });
  afterEach(() => log.close());

  /** A queue on a broker; each test has its own. */
  const on = (broker: string, id: number): QueueAddress =>
    topic.queues.find((queue) => queue.broker === broker && queue.queue === id) as QueueAddress;

  it('S148: has the queues of a topic on both brokers, each with positions of its own', async () => {
    const spread = await log.createTopic('spread', { queues: 2 });
    assert.deepEqual(
      spread.queues.map(({ broker, queue }) => `${broker} ${queue}`),
      ['broker-a 0', 'broker-a 1', 'broker-b 0', 'broker-b 1'],
    );
    const records = Array.from({ length: 100 }, (_, i) => ({ topic: 'spread', key: `k${i}`, value: `v${i}` }));
    await sendRecords(log, records);
    const ends = await Promise.all(spread.queues.map((queue) => log.maxOffset(queue)));
    assert.ok(
      ends.every((end) => end > 10 && end < 50),
      `each queue its share: ${ends}`,
    );
    const read = await readRecords(log, spread.queues, 100);
    assert.deepEqual(read.map(({ value }) => String(value)).sort(), records.map(({ value }) => value).sort());
    const places = new Set(read.map(({ origin }) => `${origin.broker} ${origin.queue} ${origin.offset}`));
    assert.equal(places.size, 100);
  });

  it('S148: is read from the slave as the master suggests', async () => {
    const queue = on('broker-a', 0);
    for (let i = 0; i < 20; i++) await log.send(queue, batch(i * 100, 100));
    await replicated();
    const before = await statusOf(SLAVE, 'msgGetTotalTodayNow');
    assert.deepEqual(await read(queue, 2_000), numbers(0, 2_000));
    assert.ok((await statusOf(SLAVE, 'msgGetTotalTodayNow')) >= before + 1_000);
  });

  it('S148: while a master is dead, its slave is read, its queues are not written to, and the other broker goes on', async () => {
    const [queue, other] = [on('broker-a', 1), on('broker-b', 1)];
    const reader = await log.assign('cluster', [{ queue, position: 0 }]);
    await log.send(queue, batch(0, 100));
    await replicated();
    await cluster.kill('broker');
    try {
      assert.deepEqual(await readFrom(reader, 100), numbers(0, 100));
      await assert.rejects(log.send(queue, batch(100, 1)), { kind: 'retriable' });
      assert.deepEqual(await log.send(other, batch(0, 1)), { offset: 0 });
    } finally {
      await cluster.up();
    }
    await eventually(() => log.send(queue, batch(100, 10)));
    assert.deepEqual(await readFrom(reader, 10), numbers(100, 110));
    await reader.close();
  });

  it('says of a batch that no slave had in time that it is stored, not safe', async () => {
    await set('brokerRole', 'SYNC_MASTER');
    await set('inSyncReplicas', '2');
    cluster.signal('broker-a.1', 'SIGSTOP');
    try {
      const { offset, unsafe } = await log.send(on('broker-a', 2), batch(0, 5));
      assert.equal(offset, 0);
      assert.match(unsafe ?? '', /no slave had it in time/);
    } finally {
      cluster.signal('broker-a.1', 'SIGCONT');
      await set('inSyncReplicas', '1');
      await set('brokerRole', 'ASYNC_MASTER');
    }
    assert.deepEqual(await read(on('broker-a', 2), 5), numbers(0, 5));
  });

  /** What mqadmin takes seconds for: GET_BROKER_RUNTIME_INFO, UPDATE_BROKER_CONFIG, GET_TOPIC_CONFIG. */
  async function ask(address: string, code: number, fields: Record<string, string> = {}, body = ''): Promise<string> {
    const connection = await RemotingConnection.open(address, { clock: systemClock, connectTimeoutMs: 5_000 });
    const answer = await connection.invoke({ code, fields, body: Buffer.from(body) }, 10_000);
    connection.close();
    assert.equal(answer.code, 0, answer.remark);
    return answer.body.toString();
  }

  async function set(key: string, value: string): Promise<void> {
    await ask(MASTER, 25, {}, `${key}=${value}`);
  }

  async function statusOf(address: string, name: string): Promise<number> {
    const { table } = JSON.parse(await ask(address, 28)) as { table: Record<string, string> };
    return Number(table[name]);
  }

  /** The slave has what the master has, and has heard of the topic, for which it asks once a minute. */
  async function replicated(): Promise<void> {
    await eventually(() => ask(SLAVE, 351, { topic: topic.topic }));
    const end = await statusOf(MASTER, 'commitLogMaxOffset');
    await eventually(async () => assert.ok((await statusOf(SLAVE, 'commitLogMaxOffset')) >= end));
  }

  async function read(queue: QueueAddress, count: number): Promise<number[]> {
    const reader = await log.assign('cluster', [{ queue, position: 0 }]);
    const bodies = await readFrom(reader, count);
    await reader.close();
    return bodies;
  }
});

async function readFrom(reader: QueueReader, count: number): Promise<number[]> {
  const bodies: number[] = [];
  while (bodies.length < count) {
    for (const fetched of await reader.read(1_000_000, 5_000, signal)) decodeFetched(fetched, (body) => bodies.push(Number(body)));
  }
  return bodies;
}

function batch(from: number, count: number): MessageBatch {
  const builder = new BatchBuilder();
  for (let i = from; i < from + count; i++) builder.add(Buffer.from(String(i)), '');
  return builder.take();
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

async function eventually(attempt: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + 100_000;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
