import assert from 'node:assert/strict';
import type { QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import type { ConnectError } from '@rocketmq-connect/sdk';
import { between } from '@rocketmq-connect/sdk/testing/seeded-random';
import type { Fault } from './fault-run.ts';
import { patiently } from './numbered-sends.ts';
import { killRocketmq, startRocketmq } from './rocketmq.ts';
import { SmallDisk } from './small-disk.ts';
import { waitFor } from './standalone.ts';

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
    async strike({ admin, topics, reached }) {
      await reached(0.2);
      await killRocketmq('namesrv');
      // Those who know the way go on.
      await reached(0.6);
      await startRocketmq();
      await reached(0.8);
      // Who looks at the result does not know it.
      await patiently(() => admin.describeTopic(topics.numbers.topic));
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
  {
    when: "the broker's disk is full for a while",
    through: 'nameServer',
    certain: true,
    // A broker looks at its disk every 10 s, for the first time a minute after its start.
    takesMinutes: true,
    async prepare() {
      disk = SmallDisk.mount();
      await disk?.useForBroker();
      return disk !== undefined;
    },
    async strike({ admin, topics, reached }) {
      const { queues } = await admin.createTopic(`${topics.numbers.topic}-probe`, { queues: 1 });
      const refused = async (): Promise<boolean> => {
        const probe = new BatchBuilder();
        probe.add(Buffer.from('probe'), '');
        try {
          await admin.send(queues[0] as QueueAddress, probe.take());
          return false;
        } catch (error) {
          assert.equal((error as ConnectError).code, 'BROKER_UNAVAILABLE');
          return true;
        }
      };
      await reached(0.6);
      disk?.fill();
      await waitFor(refused, 'the broker takes nothing', 120_000);
      disk?.free();
      await waitFor(async () => !(await refused()), 'the broker takes messages again', 60_000);
    },
    async restore() {
      await disk?.unmount();
    },
  },
  { when: 'consumers are slow', through: 'nameServer', slow: true, certain: true, strike: ({ reached }) => reached(0.8) },
];

let disk: SmallDisk | undefined;

const KINDS = [
  ['request', 'cut'],
  ['answer', 'cut'],
  ['request', 'stall'],
  ['answer', 'stall'],
  ['request', 'late'],
] as const;
