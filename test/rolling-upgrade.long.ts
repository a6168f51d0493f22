import { type InstalledVersion, installVersion } from './support/installed-version.ts';
import { killRounds } from './support/kill-rounds.ts';
import { embeddedUnderCopy } from './support/logs-under-copy.ts';
import { recordRow } from './support/measurements.ts';
import type { ServiceKind } from './support/mesh.ts';
import { probeRest } from './support/rest-probe.ts';
import { useRocketmq } from './support/rocketmq.ts';
import { pauseText, quantiles, RollingCluster, showPause } from './support/rolling-cluster.ts';
import { BIN } from './support/standalone.ts';

const LINES_PER_SECOND = Number(process.env['LINES_PER_SECOND'] ?? 5_000);
const ROUNDS = 12;
/** A pause that is worth a look at what it was made of. */
const LONG_MS = 1_000;
/** The version that a cluster is upgraded from, and goes back to; by default the first that ran services as processes of their own. */
const UPGRADE_FROM = process.env['UPGRADE_FROM'] ?? 'd6486f7';

const ORDERS: Readonly<Record<string, readonly ServiceKind[]>> = {
  'config-services first': ['config-service', 'scheduler', 'task-runner', 'gateway'],
  'task runners first': ['task-runner', 'scheduler', 'config-service', 'gateway'],
  'gateways first': ['gateway', 'task-runner', 'scheduler', 'config-service'],
};

describe(`an upgrade from ${UPGRADE_FROM}`, function () {
  this.timeout(900_000);
  let older: InstalledVersion;

  before(async function () {
    await useRocketmq(this);
    older = installVersion(UPGRADE_FROM);
  });
  after(() => older?.remove());

  for (const [name, order] of Object.entries(ORDERS)) {
    it(`S028: of a whole cluster, process by process, loses and doubles nothing, there, back and there again, and answers REST at every step (${name})`, async () => {
      const cluster = await RollingCluster.start(LINES_PER_SECOND, older.bin);
      const { mesh, folder } = cluster;
      const newer = BIN;
      const old = new Set(['c1', 'c2', 's1', 's2', 't1', 't2', 't3', 'g1', 'g2']);
      /** Of the way there, back, and there again. */
      const pauses: string[] = [];
      let step = 0;
      try {
        for (const bin of [newer, older.bin, newer]) {
          const before = cluster.pauses.length;
          mesh.bin = bin;
          for (const kind of order) {
            for (const { id } of mesh.all(kind)) {
              await cluster.replace(kind, id);
              if (bin === newer) old.delete(id);
              else old.add(id);
              step++;
              const probes = mesh.all('gateway').map((gateway) => {
                return probeRest(gateway, { folder, name: `${cluster.name}-${step}-${gateway.id}`, mayLack: old.size > 0 });
              });
              await Promise.all(probes);
            }
          }
          const ofThisWay = cluster.pauses.slice(before);
          pauses.push(pauseText(ofThisWay));
          for (const pause of ofThisWay) if (pause.totalMs > LONG_MS) console.log(`    ${showPause(pause)}`);
        }
        const { lines, perSecond, latenciesMs } = await cluster.finish();
        const cells = [...pauses, quantiles(latenciesMs, [0.5, 0.99, 1])];
        recordRow('rolling-upgrade.md', older.commit, name, lines, perSecond.toFixed(0), 0, 0, ...cells);
      } catch (error) {
        const versions = `step ${step}; old are ${[...old].join(', ') || 'none'}`;
        throw cluster.withOutputs(new Error(`${versions}: ${(error as Error).message}`, { cause: error }));
      } finally {
        await cluster.stop();
      }
    });
  }

  it('S122: of a standalone, by kill -9 at random moments, goes on where the other version stood, there and back', async () => {
    await killRounds({ rounds: ROUNDS, lines: 200_000, seed: 7, log: embeddedUnderCopy, bins: [older.bin, BIN] });
  });
});
