import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedStore } from '@rocketmq-connect/metadata-store/embedded';
import { VirtualClock } from '../support/virtual-clock.ts';
import { metadataStoreContract } from './metadata-store.ts';

metadataStoreContract('embedded', async () => {
  const clock = new VirtualClock();
  const directory = mkdtempSync(join(tmpdir(), 'metadata-store-'));
  const store = await EmbeddedStore.open(directory, { clock });
  return {
    store,
    prefix: '/contract/',
    wait: (ms) => clock.advance(ms),
    until: (condition) => clock.until(condition),
    compact: async (revision) => store.compact(revision),
    close: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});
