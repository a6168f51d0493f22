import { JavaClient } from './support/java-client.ts';
import { killRounds } from './support/kill-rounds.ts';
import { removeTopics, rocketmqUnderCopy } from './support/logs-under-copy.ts';
import { brokerVictim, rocketmq, useRocketmq } from './support/rocketmq.ts';

describe('kill -9 at random moments, on a real RocketMQ', function () {
  this.timeout(180_000);
  const name = `kill-${process.pid}-`;
  let java: JavaClient;
  const log = rocketmqUnderCopy(rocketmq.nameServer, () => java);

  before(async function () {
    await useRocketmq(this);
    java = await JavaClient.start(rocketmq.nameServer);
  });
  after(async () => {
    await java?.stop();
    await removeTopics(rocketmq.nameServer, name);
  });

  it('S122: of the process: the official client reads each line once, in order per queue, and the sink file equals the source', async () => {
    await killRounds({ rounds: 4, lines: 20_000, seed: 7, log, name: `${name}process-` });
  });

  it('S148: of the broker: the same', async () => {
    await killRounds({ rounds: 2, lines: 20_000, seed: 7, log, name: `${name}broker-`, victim: brokerVictim });
  });
});
