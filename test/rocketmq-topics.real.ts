import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog } from '@rocketmq-connect/message-log';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { mqadmin, rocketmq, useRocketmq } from './support/rocketmq.ts';

const TOPIC = 'rocketmq-topics';

describe('Topics of a real RocketMQ', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'rocketmq-topics-'));
  let log: MessageLog;

  after(() => rmSync(folder, { recursive: true }));
  before(async function () {
    await useRocketmq(this);
  });
  beforeEach(async () => {
    const connection = { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: 'topics' } as const;
    log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    if ((await log.listTopics()).includes(TOPIC)) await log.deleteTopic(TOPIC);
  });
  afterEach(async () => {
    await log.deleteTopic(TOPIC);
    await log.close();
  });

  it('have the attributes that they are created with, and get those that are asked for later', async () => {
    await log.createTopic(TOPIC, { queues: 2, attributes: { 'message.type': 'FIFO', 'cleanup.policy': 'DELETE' } });
    assert.deepEqual(await attributes(), { 'message.type': 'FIFO', 'cleanup.policy': 'DELETE' });
    // What cannot be changed is not sent again.
    await log.createTopic(TOPIC, { queues: 2, attributes: { 'message.type': 'DELAY', 'cleanup.policy': 'DELETE' } });
    assert.deepEqual(await attributes(), { 'message.type': 'DELAY', 'cleanup.policy': 'DELETE' });
    assert.equal((await log.createTopic(TOPIC, { queues: 4 })).queues.length, 4);
    assert.deepEqual(await attributes(), { 'message.type': 'DELAY', 'cleanup.policy': 'DELETE' });
  });

  it('are not created with attributes that the broker does not take', async () => {
    await log.createTopic(TOPIC, { queues: 1 });
    for (const wrong of [{ 'no.such': '1' }, { 'message.type': 'SOUP' }, { 'cleanup.policy': 'COMPACTION' }] as Record<string, string>[]) {
      const refused = { kind: 'config', code: 'TOPIC_ATTRIBUTES_REFUSED', field: 'attributes' };
      await assert.rejects(log.createTopic(TOPIC, { queues: 1, attributes: wrong }), refused);
    }
  });

  /** As the broker's own tool has them. */
  async function attributes(): Promise<Record<string, string>> {
    await mqadmin('exportMetadata', '-b', rocketmq.broker, '-t', '-f', folder);
    const { topicConfigTable } = JSON.parse(readFileSync(join(folder, 'topic.json'), 'utf8')) as {
      topicConfigTable: Record<string, { attributes: Record<string, string> }>;
    };
    return topicConfigTable[TOPIC]?.attributes ?? {};
  }
});
