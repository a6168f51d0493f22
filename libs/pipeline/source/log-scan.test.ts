import assert from 'node:assert/strict';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import { SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { scanIds } from './log-scan.ts';

const queue = { topic: 't', broker: 'simulated', queue: 0 };

describe('A scan of the end of the log', () => {
  it('is over where the queue has lost what was to be read: the topic was made anew meanwhile', async () => {
    const clock = new VirtualClock();
    const log = new SimulatedLog(clock);
    const client = log.connect();
    await clock.resolve(client.createTopic('t', { queues: 1 }));
    for (let i = 0; i < 2; i++) await clock.resolve(client.send(queue, batch()));
    for (const position of [0, 1]) {
      let asked = 0;
      log.faults = ({ operation }) => {
        // Its end is known, its beginning is asked for.
        if (operation === 'ask' && ++asked === 2) log.powerFailure();
        return undefined;
      };
      await clock.resolve(scanIds(client, [{ queue, position }], assert.fail, new AbortController().signal));
      assert.ok(asked > 2);
      log.faults = () => undefined;
      for (let i = 0; i < 2; i++) await clock.resolve(client.send(queue, batch()));
    }
  });
});

function batch() {
  const builder = new BatchBuilder();
  builder.add(Buffer.from('x'), '');
  return builder.take();
}
