import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { VirtualClock } from '../support/virtual-clock.ts';
import { metadataStoreContract } from './metadata-store.ts';

metadataStoreContract('simulated', async () => {
  const clock = new VirtualClock();
  const server = new SimulatedStore(clock);
  const [store, other] = [server.client('one'), server.client('other')];
  return {
    store,
    other,
    prefix: '/contract/',
    wait: (ms) => clock.advance(ms),
    until: (condition) => clock.until(condition),
    compact: async (revision) => server.compact(revision),
    close: async () => undefined,
  };
});
