import { decodeStored } from '@rocketmq-connect/cluster';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { ConnectError, sleep } from '@rocketmq-connect/sdk';
import type { ConfigContext } from './context.ts';

const LOOK_EVERY_MS = 200;
/** Runners that were told to stop together with this process may take so long until they say so. */
const QUIET_MS = 2_000;
/** Below the 30 s after which supervisors commonly kill. */
const LIMIT_MS = 15_000;

/**
 * Resolves when no runner is about to stop: what such a runner has done last is committed through config-service, and when all processes of a
 * cluster are stopped at once there may be no other.
 */
export async function departuresOver({ store, keys, clock, log }: ConfigContext): Promise<void> {
  const startedMs = clock.monotonic();
  let leftMs = startedMs;
  for (;;) {
    const nowMs = clock.monotonic();
    try {
      const { kvs } = await store.range(keys.runners);
      if (kvs.some((kv) => decodeStored(StoredRunner, kv).leaving)) leftMs = nowMs;
      else if (kvs.length === 0) return;
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      return log.debug('nobody can be waited for: the metadata store does not answer', { error: error.message });
    }
    if (nowMs - leftMs >= QUIET_MS || nowMs - startedMs >= LIMIT_MS) return;
    await sleep(clock, LOOK_EVERY_MS);
  }
}
