import assert from 'node:assert/strict';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import type { LogUnderTest } from './message-log.ts';

/** What a log promises that keeps topics: `capabilities.createTopic`. */
export function topicsContract(open: () => Promise<LogUnderTest>): void {
  describe('topics', () => {
    let under: LogUnderTest;
    let log: MessageLog;
    let queues: readonly QueueAddress[];

    beforeEach(async () => {
      under = await open();
      log = under.connect();
      ({ queues } = await log.createTopic('orders', { queues: 2 }));
    });
    afterEach(() => under.close());

    it('are described with their queues in order', async () => {
      assert.deepEqual(
        queues.map(({ topic, queue }) => [topic, queue]),
        [
          ['orders', 0],
          ['orders', 1],
        ],
      );
      assert.deepEqual(await under.connect().describeTopic('orders'), { topic: 'orders', queues });
    });

    it('are created idempotently, may grow, never shrink', async function () {
      if (under.topicsLateMs) this.skip();
      assert.equal((await log.createTopic('orders', { queues: 2 })).queues.length, 2);
      assert.equal((await under.connect().createTopic('orders', { queues: 3 })).queues.length, 3);
      assert.equal((await log.createTopic('orders', { queues: 1 })).queues.length, 3);
    });

    it('are listed by name', async () => {
      await log.createTopic('a%retry|xy-z_1', { queues: 1 });
      assert.deepEqual(await under.connect().listTopics(), ['a%retry|xy-z_1', 'orders']);
    });

    for (const bad of ['', 'with space', 'über', '../x', 'a/b', 'x'.repeat(128)]) {
      it(`refuse the name "${bad.slice(0, 12)}"`, async () => {
        await assert.rejects(log.createTopic(bad, { queues: 1 }), { kind: 'config', code: 'TOPIC_NAME_INVALID', field: 'topic' });
      });
    }

    it('refuse queue counts that are none', async () => {
      for (const bad of [0, -1, 1.5, Number.NaN, 1025]) {
        await assert.rejects(log.createTopic('bad', { queues: bad }), { kind: 'config', code: 'QUEUE_COUNT_INVALID', field: 'queues' });
      }
    });

    it('that are not there cannot be deleted', async () => {
      await assert.rejects(log.deleteTopic('nowhere'), { kind: 'data', code: 'TOPIC_NOT_FOUND' });
    });
  });
}
