import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { etcdctl, useEtcd } from '../support/etcd.ts';
import { metadataStoreContract } from './metadata-store.ts';

let endpoints: readonly string[] = [];

before(async function () {
  endpoints = await useEtcd(this);
});

metadataStoreContract('etcd', async () => {
  const store = await EtcdStore.open({ endpoints });
  const other = await EtcdStore.open({ endpoints });
  const prefix = `/contract/${process.pid}-${Date.now()}/`;
  return {
    store,
    other,
    prefix,
    wait: (ms) => sleep(ms),
    until,
    compact: async (revision) => void (await etcdctl(endpoints, 'compact', String(revision))),
    close: async () => {
      await Promise.all([store.close(), other.close()]);
      await etcdctl(endpoints, 'del', '--prefix', prefix);
    },
  };
});

async function until(condition: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > giveUpMs) throw new Error(`not within 10 s: ${condition}`);
    await sleep(10);
  }
}
