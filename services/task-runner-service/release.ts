import { encodeStored } from '@rocketmq-connect/cluster/codec';
import { createdAt, type MetadataStore } from '@rocketmq-connect/metadata-store';
import { StoredStatus } from '@rocketmq-connect/proto/storage';
import { type Clock, sleep, type TaskLogger } from '@rocketmq-connect/sdk';

export interface OwnedKeys {
  readonly ownerKey: string;
  readonly statusKey: string;
  readonly token: bigint;
}

/**
 * Gives an owner key back without a commit: connector instances, tasks whose code did not end cleanly (their marks stay, so that the next
 * owner looks for what was sent), and tasks whose last commit cannot reach config-service. Repeats until it is certain that the key is not
 * ours any more, or the signal ends it.
 */
export async function releaseUncommitted(
  store: MetadataStore,
  owned: OwnedKeys,
  status: StoredStatus,
  clock: Clock,
  log: TaskLogger,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await store.txn({
        compare: [createdAt(owned.ownerKey, owned.token)],
        then: [
          { op: 'delete', key: owned.ownerKey },
          { op: 'put', key: owned.statusKey, value: encodeStored(StoredStatus, status) },
        ],
      });
      return; // done now, or before: another token, or none, is there
    } catch (error) {
      if (attempt === 3) log.warn('the owner key cannot be given back, trying on', { error: (error as Error).message });
      await sleep(clock, Math.min(2000, 100 * 2 ** attempt), signal).catch(() => undefined);
    }
  }
}
