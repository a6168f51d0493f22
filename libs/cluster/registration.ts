import { type KeyValue, type MetadataStore, modifiedAt } from '@rocketmq-connect/metadata-store';
import { StoredService } from '@rocketmq-connect/proto/storage';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import { decodeStored, encodeStored } from './codec.ts';
import type { ClusterKeys } from './keys.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import type { PrefixCache } from './prefix-cache.ts';

export interface ServiceRegistrationOptions {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  /** E.g. `config`: the folder below `services/`. */
  readonly kind: string;
  readonly id: string;
  readonly endpoint: string;
  readonly version: string;
  readonly ttlMs: number;
  /** The store could not be reached, or the id is taken; registering goes on. For the log. */
  readonly onTrouble?: (error: Error) => void;
}

export interface ServiceRegistration {
  /** Resolves when the service was registered for the first time. */
  readonly registered: Promise<void>;
  /** Takes the registration back. */
  stop(): Promise<void>;
}

const RETRY_MS = 500;

/**
 * Keeps `services/{kind}/{id}` under a lease, so that others find the service while it lives; again after each loss of the lease. An id that
 * another process holds is not taken from it: nobody would find that one any more.
 */
export function registerService(options: ServiceRegistrationOptions): ServiceRegistration {
  const { store, keys, clock, kind, id, endpoint, version, ttlMs } = options;
  const key = keys.service(kind, id);
  const value = encodeStored(StoredService, { id, endpoint, version });
  const registered = Promise.withResolvers<void>();
  let keeper: LeaseKeeper | undefined;
  let cancelRetry: () => void = () => undefined;
  let stopped = false;

  const attempt = async (): Promise<void> => {
    try {
      // A put of the last attempt that is still on its way can never land without its lease.
      await keeper?.release();
      const { kv } = await store.get(key);
      // At one's own address it was an earlier life of this process that had the key.
      if (kv !== null && endpointOf(kv) !== endpoint) throw idTaken(kind, id, kv);
      keeper = await LeaseKeeper.open(store, ttlMs, { clock, killTimeMs: 0, onEnding: again });
      const { succeeded } = await store.txn({
        compare: [modifiedAt(key, kv?.modRevision ?? 0n)],
        then: [{ op: 'put', key, value, leaseId: keeper.lease.id }],
      });
      if (!succeeded) throw new ConnectError('conflict', `another process has just changed ${key}`, { code: 'SERVICE_ID_TAKEN' });
      registered.resolve();
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      options.onTrouble?.(error);
      cancelRetry = clock.after(RETRY_MS, again);
    }
  };
  let running = Promise.resolve();
  const again = (): void => {
    if (!stopped) running = running.then(attempt);
  };
  again();

  return {
    registered: registered.promise,
    stop: async () => {
      stopped = true;
      cancelRetry();
      await running;
      cancelRetry();
      await keeper?.release();
    },
  };
}

/**
 * The endpoints of the services (or runners) in a cache of their registrations, sorted by key. A registration that cannot be read has no
 * endpoint that could be called, and is left out.
 */
export function serviceEndpoints(cache: PrefixCache): readonly string[] {
  return [...cache.entries().values()]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(endpointOf)
    .filter((endpoint) => endpoint !== '');
}

function idTaken(kind: string, id: string, holder: KeyValue): ConnectError {
  return new ConnectError(
    'conflict',
    `the id ${id} is taken by another ${kind} service, at ${endpointOf(holder) || 'an unknown address'}`,
    {
      code: 'SERVICE_ID_TAKEN',
      field: 'id',
      remedy: 'give each process an id of its own with --id, or stop the other one',
    },
  );
}

/** Where the process that registered this is reached; '' where that is not said. */
export function endpointOf(kv: { readonly key: string; readonly value: string }): string {
  try {
    return decodeStored(StoredService, kv).endpoint;
  } catch (error) {
    if (error instanceof ConnectError) return '';
    throw error;
  }
}
