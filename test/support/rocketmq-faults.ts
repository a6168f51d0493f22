import assert from 'node:assert/strict';
import { between } from '@rocketmq-connect/sdk/testing/seeded-random';
import type { Fault } from './fault-run.ts';
import { killRocketmq, startRocketmq } from './rocketmq.ts';

/** What befalls a RocketMQ cluster, and the way to it. */
export const faults: readonly Fault[] = [
  {
    when: 'the broker is killed and started again',
    through: 'nameServer',
    async strike({ reached }) {
      await reached(0.2);
      await killRocketmq('broker');
      await startRocketmq();
      await reached(0.8);
    },
  },
  {
    when: 'the name server is killed and started again, without its memory',
    through: 'nameServer',
    certain: true,
    async strike({ reached }) {
      await reached(0.2);
      await killRocketmq('namesrv');
      // Those who know the way go on.
      await reached(0.6);
      await startRocketmq();
      await reached(0.8);
    },
  },
  {
    when: 'the proxy is killed and started again',
    through: 'proxy',
    async strike({ reached }) {
      await reached(0.2);
      await killRocketmq('proxy');
      await startRocketmq();
      await reached(0.8);
    },
  },
  {
    when: 'connections are cut, and stall within frames',
    through: 'wire',
    async strike({ random, repetitions, wire, reached }) {
      for (let i = 0; i < repetitions * KINDS.length; i++) {
        await reached((0.8 * i) / (repetitions * KINDS.length));
        const [direction, then] = KINDS[i % KINDS.length] ?? ['request', 'cut'];
        await wire.strike({ direction, then, afterBytes: between(random, 0, 60_000) });
        if (random() < 0.3) wire.cut();
      }
    },
  },
  {
    when: 'a topic grows from 4 to 8 queues',
    through: 'nameServer',
    certain: true,
    async strike({ admin, sends, standalone, topics, reached }) {
      await reached(0.3);
      const { queues } = await admin.createTopic(topics.numbers.topic, { queues: 8 });
      sends.begin(queues.slice(4), 1_000);
      await admin.createTopic(topics.spread, { queues: 8 });
      await reached(0.5);
      // The source takes the new queues from its next start on.
      await standalone.request('POST', '/connectors/out-spread/restart?includeTasks=true');
    },
    async verify({ admin, topics }) {
      const { queues } = await admin.describeTopic(topics.spread);
      const ends = await Promise.all(queues.slice(4).map((queue) => admin.maxOffset(queue)));
      assert.ok(
        ends.some((end) => end > 0),
        'the source uses new queues',
      );
    },
  },
  { when: 'consumers are slow', through: 'nameServer', slow: true, certain: true, strike: ({ reached }) => reached(0.8) },
];

const KINDS = [
  ['request', 'cut'],
  ['answer', 'cut'],
  ['request', 'stall'],
  ['answer', 'stall'],
  ['request', 'late'],
] as const;
