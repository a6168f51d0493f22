import { runFault } from './support/fault-run.ts';
import { JavaClient } from './support/java-client.ts';
import { recordRow } from './support/measurements.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { faults } from './support/rocketmq-faults.ts';

const SEED = Number(process.env['SEED'] ?? 42);
const RECORDS = Number(process.env['FAULT_RECORDS'] ?? 200_000);
const REPETITIONS = 8;

describe('A real RocketMQ that fails, in full', function () {
  this.timeout(60 * 60_000);
  let java: JavaClient;

  before(async function () {
    await useRocketmq(this);
    java = await JavaClient.start(rocketmq.nameServer);
  });
  after(() => java?.stop());

  for (const fault of faults) {
    it(`loses nothing of ${RECORDS} records, and doubles only what was in doubt, when ${fault.when}`, async function () {
      if ((await fault.prepare?.()) === false) this.skip();
      try {
        const { sends, copy } = await runFault(fault, { seed: SEED, records: RECORDS, repetitions: REPETITIONS, java });
        recordRow('rocketmq-faults.md', SEED, fault.when, sends.records, 0, sends.doubts, sends.duplicates, copy.lines, 'equal');
      } finally {
        await fault.restore?.();
      }
    });
  }
});
