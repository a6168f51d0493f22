import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { Etcd3 } from 'etcd3';
import { useEtcd } from '../support/etcd.ts';
import { until } from '../support/until.ts';
import { metadataStoreContract } from './metadata-store.ts';

let endpoints: readonly string[] = [];

before(async function () {
  endpoints = await useEtcd(this);
});

metadataStoreContract('etcd', async () => {
  const store = await EtcdStore.open({ endpoints });
  const other = await EtcdStore.open({ endpoints });
  const admin = new Etcd3({ hosts: [...endpoints] });
  const prefix = `/contract/${process.pid}-${performance.now()}/`;
  return {
    store,
    other,
    prefix,
    wait: (ms) => sleep(ms),
    until,
    compact: async (revision) => void (await admin.kv.compact({ revision: String(revision) })),
    close: async () => {
      await Promise.all([store.close(), other.close()]);
      await admin.delete().prefix(prefix);
      admin.close();
    },
  };
});
