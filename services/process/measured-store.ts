import type { Lease, MetadataStore } from '@rocketmq-connect/metadata-store';
import type { Clock } from '@rocketmq-connect/sdk';
import { outcomeOf } from '@rocketmq-connect/telemetry/metrics/outcome';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';

/** The same store, with its requests counted and timed. */
export function measuredStore(store: MetadataStore, clock: Clock, metrics: Metrics): MetadataStore {
  let inFlight = 0;
  let watches = 0;
  metrics.from((emit) => {
    emit('rocketmq_connect_metadata_store_requests_in_flight', {}, inFlight);
    emit('rocketmq_connect_metadata_store_watches', {}, watches);
  });
  const measured = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const sinceMs = clock.monotonic();
    let outcome = 'ok';
    inFlight++;
    try {
      return await call();
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      inFlight--;
      metrics.add('rocketmq_connect_metadata_store_requests_total', { operation, outcome });
      metrics.observe('rocketmq_connect_metadata_store_request_duration_seconds', { operation }, (clock.monotonic() - sinceMs) / 1000);
    }
  };
  return {
    get: (key) => measured('get', () => store.get(key)),
    range: (range) => measured('range', () => store.range(range)),
    txn: (txn) => measured('txn', () => store.txn(txn)),
    watch: (range, fromRevision, listener) => {
      let open = true;
      const over = (): void => {
        if (open) watches--;
        open = false;
      };
      watches++;
      const watch = store.watch(range, fromRevision, {
        onEvents: (events, revision) => listener.onEvents(events, revision),
        onEnd: (error) => {
          over();
          metrics.add('rocketmq_connect_metadata_store_watch_ends_total', { reason: outcomeOf(error) });
          listener.onEnd(error);
        },
      });
      return {
        cancel: () => {
          over();
          watch.cancel();
        },
      };
    },
    grantLease: async (ttlMs): Promise<Lease> => {
      const lease = await measured('grantLease', () => store.grantLease(ttlMs));
      return {
        id: lease.id,
        ttlMs: lease.ttlMs,
        keepAlive: () => measured('keepAlive', () => lease.keepAlive()),
        revoke: () => measured('revoke', () => lease.revoke()),
      };
    },
    close: () => store.close(),
  };
}
