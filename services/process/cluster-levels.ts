import { type ClusterKeys, decodeStored, lastSegment, PrefixCache } from '@rocketmq-connect/cluster';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { StoredLoggerLevel } from '@rocketmq-connect/proto/storage';
import type { Clock } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { LOG_LEVELS } from '@rocketmq-connect/telemetry/log-levels';
import type { Loggers } from '@rocketmq-connect/telemetry/loggers';

interface ClusterLevelsDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly log: Logger;
  readonly loggers: Loggers;
}

/** Gives the loggers of this process the levels of the whole cluster, now and whenever they change; the result ends that. */
export function followClusterLevels({ store, keys, clock, log, loggers }: ClusterLevelsDeps): () => void {
  const cache = new PrefixCache({
    store,
    range: keys.loggers,
    clock,
    onSetBack: (error) => log.error(`${error.message}: the log levels of the cluster stay as they are; restart when the store is right`),
    onTrouble: (error) => log.debug('following the log levels of the cluster is interrupted and goes on', { error: error.message }),
  });
  cache.onChange((changed) => {
    const entries = cache.entries();
    for (const key of changed) if (!entries.has(key)) loggers.takeBack(lastSegment(key));
    // In the order in which they were given: a level takes those below it back.
    const given = [...changed].flatMap((key) => entries.get(key) ?? []).sort((a, b) => Number(a.modRevision - b.modRevision));
    for (const kv of given) {
      const { level, modifiedMs } = decodeStored(StoredLoggerLevel, kv);
      const known = LOG_LEVELS.find((each) => each === level);
      if (known !== undefined) loggers.set(lastSegment(kv.key), known, { modifiedMs: Number(modifiedMs), scope: 'cluster' });
      else log.warn(`the cluster has a log level '${level}' that this version does not know`, { logger: lastSegment(kv.key) });
    }
  });
  cache.start();
  return () => cache.stop();
}
