import { useRocketmq } from '../support/rocketmq.ts';
import { runChaos } from './chaos.ts';
import { FAULTS } from './faults.ts';

describe('a mesh of real processes under faults', function () {
  this.timeout(600_000);
  before(async function () {
    await useRocketmq(this);
  });

  it('S002, S028, S133: loses no line, keeps their order, and its history keeps the invariants', async () => {
    // What restarts a broker takes long.
    await runChaos({ seed: 25, rounds: 3, faults: FAULTS.filter((fault) => fault !== 'kill broker') });
  });
});
