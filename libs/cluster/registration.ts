import type { MetadataStore } from '@rocketmq-connect/metadata-store';
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
  /** The store could not be reached; registering goes on. For the log. */
  readonly onTrouble?: (error: Error) => void;
}

export interface ServiceRegistration {
  /** Resolves when the service was registered for the first time. */
  readonly registered: Promise<void>;
  /** Takes the registration back. */
  stop(): Promise<void>;
}

const RETRY_MS = 500;

/** Keeps `services/{kind}/{id}` under a lease, so that others find the service while it lives; again after each loss of the lease. */
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
      keeper = await LeaseKeeper.open(store, ttlMs, { clock, killTimeMs: 0, onEnding: again });
      // Moves the key from an older lease of this process, if it is still there.
      await store.txn({ compare: [], then: [{ op: 'put', key, value, leaseId: keeper.lease.id }] });
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

function endpointOf(kv: { readonly key: string; readonly value: string }): string {
  try {
    return decodeStored(StoredService, kv).endpoint;
  } catch (error) {
    if (error instanceof ConnectError) return '';
    throw error;
  }
}
