import { setTimeout as sleep } from 'node:timers/promises';
import { recordRow } from './support/measurements.ts';
import { useRocketmq } from './support/rocketmq.ts';
import { pauseText, quantiles, RollingCluster, showPause } from './support/rolling-cluster.ts';

const LINES_PER_SECOND = Number(process.env['LINES_PER_SECOND'] ?? 5_000);

describe('a rolling restart of a whole cluster', function () {
  this.timeout(600_000);

  before(async function () {
    await useRocketmq(this);
  });

  it(`S028: loses and doubles nothing of ${LINES_PER_SECOND} records a second, and pauses each task for a moment`, async () => {
    const cluster = await RollingCluster.start(LINES_PER_SECOND);
    try {
      for (const kind of ['config-service', 'scheduler', 'task-runner', 'gateway'] as const) {
        for (const { id } of cluster.mesh.all(kind)) {
          await cluster.replace(kind, id);
          await sleep(3_000);
        }
      }
      const { lines, perSecond, latenciesMs } = await cluster.finish();
      const { pauses } = cluster;
      for (const pause of pauses) console.log(`    ${showPause(pause)}`);
      const cells = [pauses.length, pauseText(pauses), quantiles(latenciesMs, [0.5, 0.99, 1])];
      recordRow('rolling-restart.md', lines, perSecond.toFixed(0), 0, 0, ...cells);
    } catch (error) {
      throw cluster.withOutputs(error as Error);
    } finally {
      await cluster.stop();
    }
  });
});
