import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog } from '@rocketmq-connect/message-log';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { readRecords, sendRecords } from './support/real-task.ts';
import { mqadmin, rocketmq, useRocketmq } from './support/rocketmq.ts';

/** Of this run: a broker that was killed brings the messages of a deleted topic back, to one of the same name. */
const TOPIC = `rocketmq-records-${randomUUID()}`;

describe('Records in a real RocketMQ', function () {
  this.timeout(60_000);
  let log: MessageLog;

  before(async function () {
    await useRocketmq(this);
    const connection = { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: 'records' } as const;
    log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
  });
  after(() => log?.close());
  afterEach(() => log.deleteTopic(TOPIC));

  it('S149: of more than 4 MiB are stored where the broker takes them, else they are bad records', async () => {
    const { queues } = await log.createTopic(TOPIC, { queues: 1 });
    const value = 'x'.repeat(6 * 1024 * 1024);
    const records = [
      { topic: TOPIC, value },
      { topic: TOPIC, value: 'small' },
    ];
    const refused = await sendRecords(log, records, { 'errors.tolerance': 'all' });
    assert.deepEqual([refused.counters?.skipped, refused.counters?.acknowledged], [1, 1]);
    await setMaxMessageSize(8 * 1024 * 1024);
    try {
      assert.equal((await sendRecords(log, records)).counters?.acknowledged, 2);
      const read = await readRecords(log, queues, 3);
      assert.deepEqual(
        read.map((record) => String(record.value).length),
        [5, value.length, 5],
      );
    } finally {
      await setMaxMessageSize(4 * 1024 * 1024);
    }
  });

  it('of a topic that was made anew are read from its beginning, where a sink may skip what it cannot have', async () => {
    const before = await log.createTopic(TOPIC, { queues: 1 });
    await sendRecords(
      log,
      [0, 1, 2, 3, 4].map((value) => ({ topic: TOPIC, value: `old ${value}` })),
    );
    assert.equal((await readRecords(log, before.queues, 5)).length, 5);
    await log.deleteTopic(TOPIC);
    const { queues } = await log.createTopic(TOPIC, { queues: 1 });
    await sendRecords(log, [{ topic: TOPIC, value: 'new' }]);
    const positions = queues.map((queue) => ({ queue, position: 5 }));
    await assert.rejects(readRecords(log, queues, 1, {}, positions), /POSITION_ABOVE_MAXIMUM/);
    const read = await readRecords(log, queues, 1, { 'position.out.of.range': 'skip' }, positions);
    assert.deepEqual(
      read.map(({ value }) => value),
      ['new'],
    );
  });

  async function setMaxMessageSize(bytes: number): Promise<void> {
    await mqadmin('updateBrokerConfig', '-b', rocketmq.broker, '-k', 'maxMessageSize', '-v', String(bytes));
  }
});
