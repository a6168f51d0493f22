import assert from 'node:assert/strict';
import {
  absent,
  CompactedError,
  type MetadataStore,
  modifiedAt,
  OutcomeUnknownError,
  prefixRange,
  StoreUnavailableError,
  type WatchEvent,
} from '@rocketmq-connect/metadata-store';
import { EtcdStore, type EtcdStoreOptions } from '@rocketmq-connect/metadata-store/etcd';
import { EtcdFigures } from '@rocketmq-connect/metadata-store/etcd/figures';
import { ConnectError } from '@rocketmq-connect/sdk';
import { Etcd3 } from 'etcd3';
import { EtcdCluster, type EtcdClusterOptions } from './support/etcd-cluster.ts';
import { TcpProxy } from './support/tcp-proxy.ts';
import { until } from './support/until.ts';

describe('The metadata store on an etcd that fails', function () {
  this.timeout(120_000);
  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  async function cluster(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const started = await EtcdCluster.start(options);
    undo.push(() => started.stop());
    return started;
  }
  async function open(endpoints: readonly string[], options: Partial<EtcdStoreOptions> = {}): Promise<EtcdStore> {
    const store = await EtcdStore.open({ endpoints, random: () => 0, ...options });
    undo.push(() => store.close());
    return store;
  }
  async function proxied(address: string): Promise<TcpProxy> {
    const proxy = await TcpProxy.open(address);
    undo.push(() => proxy.close());
    return proxy;
  }
  function admin(endpoints: readonly string[]): Etcd3 {
    const etcd = new Etcd3({ hosts: [...endpoints] });
    undo.push(() => etcd.close());
    return etcd;
  }

  it('reports a transaction under which it froze as of unknown outcome, a read as unavailable, and answers at once when it thaws', async () => {
    const { endpoints, first } = await cluster();
    const store = await open(endpoints, { callTimeoutMs: 500 });
    await put(store, '/a', '1');
    const followed = follow(store, '/', 1n);
    first.freeze();
    await assert.rejects(put(store, '/a', '2'), OutcomeUnknownError);
    await assert.rejects(store.get('/a'), StoreUnavailableError);
    await assert.rejects(store.grantLease(5_000), { kind: 'unavailable' });
    first.thaw();
    // No breaker holds the first call back. What was unknown has happened, or has not.
    const { kv } = await store.get('/a');
    assert.ok(kv?.value === '1' || kv?.value === '2');
    const revision = await put(store, '/a', '3');
    await until(() => followed.last === revision);
    assert.deepEqual(followed.events, await history(store));
  });

  it('loses and doubles no event of a watch over kill -9 and restart, nor an acknowledged write', async () => {
    const { endpoints, first } = await cluster();
    const store = await open(endpoints);
    const followed = follow(store, '/', 1n);
    const counting = count(store, '/n');
    for (let round = 0; round < 3; round++) {
      await counting.reaches(counting.acknowledged + 50);
      await first.kill();
      await until(() => counting.failures > round);
      await first.restart();
    }
    await counting.reaches(counting.acknowledged + 50);
    const total = await counting.stop();
    const revision = (await store.get('/n')).kv?.modRevision;
    await until(() => followed.last === revision);
    assert.equal((await store.get('/n')).kv?.version, BigInt(total), 'every step happened once');
    assert.deepEqual(followed.events, await history(store));
  });

  it('loses no event when a watch that catches up is cut again and again', async () => {
    const { endpoints, first } = await cluster();
    const proxy = await proxied(first.address);
    const direct = await open(endpoints);
    const then = Array.from({ length: 50 }, (_, i) => putOf(`/w/${i}`, 'x'.repeat(2_000)));
    for (let i = 0; i < 100; i++) await direct.txn({ compare: [], then });
    // A message of the server holds some 2 MB: each connection ends within its second.
    proxy.cutAfterBytes = 3_000_000;
    const store = await open([proxy.address]);
    const followed = follow(store, '/', 1n);
    await until(() => followed.events.length >= 5_000);
    assert.ok(proxy.cuts >= 3, `${proxy.cuts} cuts`);
    assert.deepEqual(followed.events, await history(direct));
  });

  it('finds out that a watch is half-open and goes on by another connection', async () => {
    const { endpoints, first } = await cluster();
    const proxy = await proxied(first.address);
    const direct = await open(endpoints);
    const figures = new EtcdFigures();
    const store = await open([proxy.address], { figures });
    const followed = follow(store, '/', 1n);
    await put(direct, '/a', '1');
    await until(() => followed.events.length === 1);
    assert.deepEqual([figures.connectedWatches, figures.watchReconnects], [1, 0]);
    proxy.halfOpen();
    await put(direct, '/a', '2');
    await until(() => followed.events.length === 2, 30_000);
    assert.equal(followed.ended, undefined);
    assert.deepEqual([figures.connectedWatches, figures.watchReconnects], [1, 1]);
    assert.ok((figures.memberFailures.get(proxy.address) ?? 0) > 0);
  });

  it('ends a watch that was away while its history was compacted, naming the revision', async () => {
    const { endpoints, first } = await cluster();
    const proxy = await proxied(first.address);
    const direct = await open(endpoints);
    const store = await open([proxy.address]);
    await put(direct, '/a', '1');
    const followed = follow(store, '/', 1n);
    await until(() => followed.events.length === 1);
    proxy.refuse();
    await put(direct, '/a', '2');
    const revision = await put(direct, '/a', '3');
    await admin(endpoints).kv.compact({ revision: String(revision) });
    proxy.heal();
    await until(() => followed.ended !== undefined);
    assert.ok(followed.ended instanceof CompactedError);
    assert.equal(followed.ended.compactRevision, revision);
    assert.equal(followed.events.length, 1);
  });

  it('S136: says that etcd is full, still reads and keeps leases alive, and writes again when there is room', async () => {
    const { endpoints } = await cluster({ flags: ['--quota-backend-bytes', String(4 * 1024 * 1024)] });
    const store = await open(endpoints);
    const lease = await store.grantLease(60_000);
    await put(store, '/a', 'kept');
    await assert.rejects(
      async () => {
        for (let i = 0; i < 40; i++) await put(store, '/large', String(i).repeat(200_000));
      },
      (error: ConnectError) => error.kind === 'unavailable' && error.code === 'STORE_FULL' && /alarm disarm/.test(error.remedy ?? ''),
    );
    await assert.rejects(put(store, '/b', ''), { code: 'STORE_FULL' });
    assert.equal((await store.get('/a')).kv?.value, 'kept');
    assert.equal(await lease.keepAlive(), 60_000);
    const warnings: Error[] = [];
    await open(endpoints, { onTrouble: (error) => warnings.push(error) });
    assert.ok(warnings.some((warning) => /NOSPACE/.test(warning.message)));

    const etcd = admin(endpoints);
    await etcd.kv.compact({ revision: String((await store.get('/a')).revision), physical: true });
    await etcd.maintenance.defragment();
    const { alarms } = await etcd.maintenance.alarm({ action: 'Get' });
    for (const { memberID } of alarms) await etcd.maintenance.alarm({ action: 'Deactivate', memberID, alarm: 'Nospace' });
    await put(store, '/b', 'again');
  });

  it('S135: goes to another member when its own dies: reads do not notice, and what a leader acknowledged outlives it', async () => {
    const three = await cluster({ members: 3 });
    const leading = await three.leader();
    // The first is asked first: it is the follower that dies.
    const store = await open([...three.endpoints].sort((a, b) => Number(a === leading.address) - Number(b === leading.address)));
    const followed = follow(store, '/', 1n);
    await put(store, '/a', '1');
    const counting = count(store, '/n');
    await counting.reaches(50);
    const follower = three.members.find(({ address }) => address !== leading.address) ?? three.first;
    await follower.kill();
    assert.equal((await store.get('/a')).kv?.value, '1', 'another member answers at once');
    await counting.reaches(counting.acknowledged + 50);
    await follower.restart();
    const leader = await three.leader();
    await leader.kill();
    await counting.reaches(counting.acknowledged + 50);
    await leader.restart();
    const total = await counting.stop();
    const { kv } = await store.get('/n');
    assert.equal(kv?.version, BigInt(total), 'every step happened once');
    await until(() => followed.last === kv.modRevision);
    assert.deepEqual(followed.events, await history(store));
  });

  it('S135: leaves a frozen member for another, with its watches', async () => {
    const three = await cluster({ members: 3 });
    const store = await open(three.endpoints, { callTimeoutMs: 500 });
    await put(store, '/a', '1');
    const followed = follow(store, '/', 1n);
    await until(() => followed.events.length === 1);
    const lease = await store.grantLease(4_000);
    three.first.freeze();
    // If it led, the others elect a leader first.
    await until(() =>
      store.get('/a').then(
        ({ kv }) => kv?.value === '1',
        () => false,
      ),
    );
    assert.equal(await lease.keepAlive(), lease.ttlMs);
    await until(() => put(store, '/a', '2').then(Boolean, () => false));
    const { kv } = await store.get('/a');
    await until(() => followed.last === kv?.modRevision, 30_000);
    three.first.thaw();
  });

  it('refuses for certain what a member without a leader is asked: nothing is in doubt', async () => {
    const three = await cluster({ members: 3 });
    const store = await open([three.first.address]);
    await put(store, '/a', '1');
    for (const other of three.members.slice(1)) await other.kill();
    await until(() =>
      put(store, '/a', '2').then(
        () => false,
        (error: Error) => error instanceof StoreUnavailableError && /no leader/.test(error.message),
      ),
    );
    await assert.rejects(store.get('/a'), StoreUnavailableError);
    for (const other of three.members.slice(1)) other.launch();
    await until(() => put(store, '/a', '3').then(Boolean, () => false));
  });

  it('refuses to go on when the store went back in time', async () => {
    const { endpoints, first } = await cluster();
    const store = await open(endpoints);
    const followed = follow(store, '/', 1n);
    for (let i = 0; i < 5; i++) await put(store, '/a', String(i));
    await until(() => followed.events.length === 5);
    await first.wipe();
    await first.restart();
    await assert.rejects(
      async () => {
        await until(() =>
          store.get('/a').then(
            () => true,
            (error: ConnectError) => error.kind !== 'unavailable' && Promise.reject(error),
          ),
        );
      },
      (error: ConnectError) => error.code === 'STORE_SET_BACK' && error.kind === 'fatal' && /snapshot/.test(error.remedy ?? ''),
    );
    await assert.rejects(put(store, '/a', 'never'), { code: 'STORE_SET_BACK' });
    await until(() => followed.ended !== undefined);
    assert.match(followed.ended?.message ?? '', /set back/);
    // The same store, opened anew, knows nothing of what was.
    assert.equal((await (await open(endpoints)).get('/a')).kv, null);
  });

  it('waits for an etcd that starts late, and names the address of one that never does', async () => {
    const { endpoints, first } = await cluster();
    await first.kill();
    const troubles: string[] = [];
    await assert.rejects(
      EtcdStore.open({ endpoints, openTimeoutMs: 1_200, onTrouble: (error) => troubles.push(error.message) }),
      (error: ConnectError) => error.kind === 'unavailable' && error.message.includes(first.address) && error.remedy !== undefined,
    );
    assert.ok(troubles.length > 0);
    const opening = open(endpoints);
    await first.restart();
    await put(await opening, '/a', '1');
  });

  it('refuses addresses of two clusters', async () => {
    const [one, other] = [await cluster(), await cluster()];
    await assert.rejects(open([...one.endpoints, ...other.endpoints]), { code: 'STORE_MIXED', kind: 'config' });
  });
});

class Followed {
  readonly events: WatchEvent[] = [];
  last = 0n;
  ended: Error | undefined;
  onBatch: () => void = () => undefined;
}

function follow(store: MetadataStore, prefix: string, fromRevision: bigint): Followed {
  const followed = new Followed();
  store.watch(prefixRange(prefix), fromRevision, {
    onEvents: (events, revision) => {
      followed.events.push(...events);
      followed.last = revision;
      followed.onBatch();
    },
    onEnd: (error) => {
      followed.ended = error;
    },
  });
  return followed;
}

/** All that ever happened below `/`, by a watch of its own. */
async function history(store: MetadataStore): Promise<readonly WatchEvent[]> {
  const { kvs } = await store.range(prefixRange('/'));
  const last = kvs.map((kv) => kv.modRevision).sort((a, b) => Number(b - a))[0] ?? 0n;
  const fresh = follow(store, '/', 1n);
  await until(() => fresh.last >= last);
  return fresh.events;
}

const putOf = (key: string, value: string) => ({ op: 'put', key, value }) as const;

async function put(store: MetadataStore, key: string, value: string): Promise<bigint> {
  return (await store.txn({ compare: [], then: [putOf(key, value)] })).revision;
}

/** Steps a counter by compare-and-set; after an unknown outcome it reads back, as every caller must. */
function count(store: MetadataStore, key: string) {
  let going = true;
  const state = { acknowledged: 0, failures: 0 };
  const done = (async () => {
    while (going) {
      try {
        const { kv } = await store.get(key);
        assert.equal(Number(kv?.value ?? 0), Number(kv?.version ?? 0n), 'no step happened twice');
        assert.ok(Number(kv?.value ?? 0) >= state.acknowledged, 'what was acknowledged is there');
        const value = String(Number(kv?.value ?? 0) + 1);
        const { succeeded } = await store.txn({
          compare: [kv === null ? absent(key) : modifiedAt(key, kv.modRevision)],
          then: [putOf(key, value)],
        });
        // Only a step of unknown outcome that landed late can have come between.
        if (succeeded) state.acknowledged = Number(value);
      } catch (error) {
        if (!(error instanceof ConnectError) || error.kind !== 'unavailable') throw error;
        state.failures++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  })();
  return {
    get acknowledged() {
      return state.acknowledged;
    },
    get failures() {
      return state.failures;
    },
    reaches: (step: number) => until(() => state.acknowledged >= step, 40_000),
    stop: async () => {
      going = false;
      await done;
      return Number((await store.get(key)).kv?.value);
    },
  };
}
