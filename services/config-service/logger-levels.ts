import { encodeStored } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import { absent } from '@rocketmq-connect/metadata-store';
import type { ClusterLoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { StoredLoggerLevel } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import { checkedLevel, NAMED_MAX, tooMany } from '@rocketmq-connect/telemetry/loggers';
import type { ConfigContext } from './context.ts';

/** The log levels of the whole cluster: every process follows the keys that are written here. */
export function loggerLevelHandlers({ store, keys, clock }: ConfigContext): Handlers<ClusterLoggerServiceDefinition> {
  return {
    async setClusterLevel({ logger, level }) {
      const known = checkedLevel(logger, level);
      const key = keys.logger(logger);
      const { kvs } = await store.range(keys.loggers);
      if (kvs.length >= NAMED_MAX && kvs.every((kv) => kv.key !== key)) throw tooMany();
      const modifiedMs = BigInt(clock.now());
      await store.txn({
        compare: [],
        then: [
          { op: 'deleteRange', range: keys.loggersBelow(logger) },
          { op: 'put', key, value: encodeStored(StoredLoggerLevel, { level: known, modifiedMs }) },
        ],
      });
      return { modifiedMs };
    },
    async removeClusterLevel({ logger }) {
      const key = keys.logger(logger);
      const { succeeded: isAbsent } = await store.txn({ compare: [absent(key)], then: [], otherwise: [{ op: 'delete', key }] });
      if (!isAbsent) return {};
      throw new ConnectError('notFound', `Logger ${logger} has no level in the cluster.`, {
        code: 'NO_CLUSTER_LEVEL',
        field: 'logger',
        remedy: 'GET /admin/loggers shows which have one',
      });
    },
  };
}
