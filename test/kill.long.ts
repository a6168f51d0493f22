import assert from 'node:assert/strict';
import { JavaClient } from './support/java-client.ts';
import { killRounds } from './support/kill-rounds.ts';
import { embeddedUnderCopy, removeTopics, rocketmqUnderCopy } from './support/logs-under-copy.ts';
import { recordRow } from './support/measurements.ts';
import { brokerVictim, rocketmq, useRocketmq } from './support/rocketmq.ts';

const LINES = Number(process.env['KILL_LINES'] ?? 500_000);
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 50);
const BROKER_ROUNDS = Math.ceil(ROUNDS / 5);
const SEED = Number(process.env['SEED'] ?? 42);

describe('kill -9 at random moments, in full', function () {
  this.timeout(2 * 60 * 60_000);
  const name = `kill-${SEED}-${process.pid}-`;
  let java: JavaClient;

  const record = (log: string, victim: string, rounds: number, { lines, foundAgain }: { lines: number; foundAgain: number }): void => {
    assert.ok(victim !== 'process' || foundAgain > 0, 'some kill met records that were sent and not committed');
    recordRow('kill-standalone.md', SEED, log, victim, rounds, lines, foundAgain, 'equal', 'equal');
  };

  it(`of the process: loses and doubles nothing in ${ROUNDS} rounds of a ${LINES}-line file that grows meanwhile`, async () => {
    record('embedded', 'process', ROUNDS, await killRounds({ rounds: ROUNDS, lines: LINES, seed: SEED, log: embeddedUnderCopy }));
  });

  describe('on RocketMQ', () => {
    const log = rocketmqUnderCopy(rocketmq.nameServer, () => java);

    before(async function () {
      await useRocketmq(this);
      java = await JavaClient.start(rocketmq.nameServer);
    });
    after(async () => {
      await java?.stop();
      await removeTopics(rocketmq.nameServer, name);
    });

    it(`of the process: loses and doubles nothing in ${ROUNDS} rounds of ${LINES} lines`, async () => {
      const result = await killRounds({ rounds: ROUNDS, lines: LINES, seed: SEED, log, name: `${name}process-` });
      record('RocketMQ', 'process', ROUNDS, result);
    });

    it(`of the broker: loses and doubles nothing in ${BROKER_ROUNDS} rounds of ${LINES} lines`, async () => {
      const result = await killRounds({
        rounds: BROKER_ROUNDS,
        lines: LINES,
        seed: SEED,
        log,
        name: `${name}broker-`,
        victim: brokerVictim,
      });
      record('RocketMQ', 'broker', BROKER_ROUNDS, result);
    });
  });
});
