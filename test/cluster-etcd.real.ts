import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys, Election, openSession, PrefixCache, registerService } from '@rocketmq-connect/cluster';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { createdAt, type MetadataStore, type Operation, type StoreSetBackError } from '@rocketmq-connect/metadata-store';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import { Etcd3 } from 'etcd3';
import { EtcdCluster } from './support/etcd-cluster.ts';
import { TcpProxy } from './support/tcp-proxy.ts';
import { until } from './support/until.ts';

const clock = systemClock;
const keys = clusterKeys('c');

/** What the simulated store cannot show of libs/cluster: a real etcd that dies, freezes and forgets, and connections that break. */
describe('Sessions, election and caches on a real etcd', function () {
  this.timeout(120_000);
  let etcd: EtcdCluster;
  let direct: EtcdStore;
  const undo: (() => unknown)[] = [];

  beforeEach(async () => {
    etcd = await EtcdCluster.start();
    direct = await EtcdStore.open({ endpoints: etcd.endpoints });
  });
  afterEach(async () => {
    etcd.first.thaw();
    for (const step of undo.splice(0).reverse()) await step();
    await direct.close();
    await etcd.stop();
  });

  /** A client behind a proxy of its own. */
  async function proxied(): Promise<{ readonly store: EtcdStore; readonly proxy: TcpProxy }> {
    const proxy = await TcpProxy.open(etcd.first.address);
    const store = await EtcdStore.open({ endpoints: [proxy.address], callTimeoutMs: 500 });
    undo.push(async () => {
      await store.close();
      proxy.close();
    });
    return { store, proxy };
  }

  describe('election', () => {
    class Candidate {
      readonly log: string[] = [];
      readonly election: Election;
      readonly #store: MetadataStore;

      constructor(store: MetadataStore, name: string, ttlMs: number) {
        this.#store = store;
        this.election = new Election({
          store,
          key: keys.leader,
          value: name,
          clock,
          ttlMs,
          onElected: () => this.log.push('elected'),
          onLost: () => this.log.push('lost'),
          onSetBack: () => this.log.push('set back'),
        });
        this.election.start();
        undo.push(() => this.election.stop());
      }

      get leads(): boolean {
        return this.election.leader() !== null;
      }

      /** As every write of a leader is. */
      async write(token: bigint): Promise<boolean> {
        const { succeeded } = await this.#store.txn({ compare: [createdAt(keys.leader, token)], then: [put(keys.target('r1'), '{}')] });
        return succeeded;
      }
    }

    /** Watches from a timer that never two lead by their own clocks. */
    function neverTwo(...candidates: Candidate[]): () => void {
      let most = 0;
      const timer = setInterval(() => {
        most = Math.max(most, candidates.filter((candidate) => candidate.leads).length);
      }, 5);
      undo.push(() => clearInterval(timer));
      return () => assert.equal(most, 1, 'one at a time, and one at all');
    }

    it('goes on at once when the leader stops, however long its lease', async () => {
      const [one, two] = [new Candidate(direct, 'one', 60_000), new Candidate(direct, 'two', 60_000)];
      await until(() => one.leads !== two.leads);
      const [leader, other] = one.leads ? [one, two] : [two, one];
      await leader.election.stop();
      await until(() => other.leads);
      assert.deepEqual(leader.log, ['elected', 'lost']);
    });

    it('makes no leader of one that is cut off or lost its lease, and refuses its writes', async () => {
      const [far, near] = [await proxied(), await proxied()];
      const one = new Candidate(far.store, 'one', 3_000);
      await until(() => one.leads);
      const two = new Candidate(near.store, 'two', 3_000);
      const check = neverTwo(one, two);
      const token = one.election.leader() ?? 0n;
      far.proxy.silence();
      await until(() => two.leads && one.log.length >= 2);
      assert.deepEqual(one.log.slice(0, 2), ['elected', 'lost']);
      far.proxy.heal();
      await until(() =>
        one.write(token).then(
          (written) => !written,
          () => false,
        ),
      );
      // A machine under load may miss a keep-alive: then it is the other's turn.
      const leading = (): Candidate | undefined => [one, two].find(({ leads }) => leads);
      await until(async () => {
        const leader = leading();
        return leader !== undefined && (await leader.write(leader.election.leader() ?? 0n).catch(() => false));
      });
      check();
      // By an operator, say: it finds out by its cache, long before its next keep-alive could tell. Until then it believes to lead beside the
      // next one, for its lease ended before its deadline: what it writes is refused.
      const losses = (): number => [one, two].flatMap(({ log }) => log).filter((line) => line === 'lost').length;
      const before = losses();
      const revoked = leading();
      const revokedToken = revoked?.election.leader() ?? 0n;
      const { kv } = await direct.get(keys.leader);
      await etcd.revoke(kv?.leaseId ?? 0n);
      assert.equal(await revoked?.write(revokedToken), false);
      await until(() => losses() > before);
      await until(() => leading() !== undefined);
    });

    it('has no leader while etcd is frozen beyond the lease, and one when it is back', async () => {
      const [one, two] = [new Candidate((await proxied()).store, 'one', 3_000), new Candidate((await proxied()).store, 'two', 3_000)];
      const check = neverTwo(one, two);
      await until(() => one.leads || two.leads);
      etcd.first.freeze();
      await until(() => !one.leads && !two.leads);
      etcd.first.thaw();
      await until(() => one.leads || two.leads);
      check();
    });
  });

  describe('the prefix cache', () => {
    it('shows what is stored, and never an older state, through cuts, compactions, freezes and restarts', async () => {
      const { store, proxy } = await proxied();
      const setBacks: StoreSetBackError[] = [];
      // No list helps out: what the watch misses is missed.
      const cache = new PrefixCache({ store, range: keys.specs, clock, listEveryMs: 600_000, onSetBack: (error) => setBacks.push(error) });
      undo.push(() => cache.stop());
      let last = 0n;
      cache.onChange(() => {
        assert.ok(cache.revision >= last);
        last = cache.revision;
      });
      cache.start();
      await cache.synced;
      let writing = true;
      const writer = (async () => {
        for (let i = 0; writing; i++) {
          const key = keys.spec(`c${i % 20}`);
          await direct.txn({ compare: [], then: i % 7 === 0 ? [{ op: 'delete', key }] : [put(key, String(i))] }).catch(ifAway);
          await sleep(2);
        }
      })();
      undo.push(() => {
        writing = false;
        return writer;
      });
      const same = async (): Promise<boolean> => {
        const { kvs } = await direct.range(keys.specs);
        return (
          JSON.stringify(kvs.map(shown)) ===
          JSON.stringify([...cache.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, kv]) => shown(kv)))
        );
      };
      const moves = async (): Promise<void> => {
        const seen = cache.revision;
        await until(() => cache.revision > seen, 30_000);
      };
      const faults: (() => unknown)[] = [
        () => proxy.cut(),
        () => proxy.halfOpen(),
        () => compact(etcd),
        async () => {
          proxy.refuse();
          await sleep(500);
          await compact(etcd);
          proxy.heal();
        },
        async () => {
          etcd.first.freeze();
          await sleep(1_500);
          etcd.first.thaw();
        },
        async () => {
          await etcd.first.kill();
          await etcd.first.restart();
        },
      ];
      for (const fault of faults) {
        await fault();
        await moves();
      }
      writing = false;
      await writer;
      await until(same);
      assert.deepEqual(setBacks, []);
    });

    it('S150: tells of a store that was set back, and stops', async () => {
      const setBacks: StoreSetBackError[] = [];
      const cache = new PrefixCache({ store: direct, range: keys.specs, clock, onSetBack: (error) => setBacks.push(error) });
      undo.push(() => cache.stop());
      cache.start();
      await cache.synced;
      for (let i = 0; i < 5; i++) await direct.txn({ compare: [], then: [put(keys.spec('a'), String(i))] });
      await until(() => cache.entries().get(keys.spec('a'))?.value === '4');
      await etcd.first.wipe();
      await etcd.first.restart();
      await until(async () => {
        await direct.get(keys.layout).catch(() => undefined);
        return setBacks.length > 0;
      });
      assert.match(setBacks[0]?.message ?? '', /set back/);
      assert.equal(cache.entries().get(keys.spec('a'))?.value, '4');
    });
  });

  describe('the session', () => {
    const runner = (session: string): StoredRunner => StoredRunner.create({ id: 'r1', session, endpoint: `${session}:9083` });

    it('knows for certain how its registration stands, also when answers were lost', async () => {
      const { store, proxy } = await proxied();
      const deadlines: number[] = [];
      const session = await openSession({
        store,
        keys,
        clock,
        runner: runner('s1'),
        ttlMs: 20_000,
        deadline: { set: (ms) => deadlines.push(ms) },
        onEnding: assert.fail,
      });
      for (let round = 0; round < 5; round++) {
        const again = session.reregister();
        if (round % 2 === 0) proxy.cut();
        else proxy.halfOpen();
        await again;
        assert.deepEqual((await direct.get(keys.runner('r1'))).kv, session.registration());
      }
      await session.close();
      assert.equal((await direct.get(keys.runner('r1'))).kv, null);
      assert.equal(deadlines.at(-1), 0);
    });

    it('refuses an id that a living process has, naming it, and takes the id of a dead one when its lease is over', async () => {
      const open = (session: string, ttlMs: number) =>
        openSession({ store: direct, keys, clock, runner: runner(session), ttlMs, deadline: { set: () => {} }, onEnding: () => {} });
      const first = await open('s1', 3_000);
      await assert.rejects(open('s2', 3_000), { code: 'RUNNER_ID_TAKEN', message: /s1:9083/ });
      // As if it had died: nobody renews.
      const { store, proxy } = await proxied();
      await first.close();
      await openSession({ store, keys, clock, runner: runner('dead'), ttlMs: 3_000, deadline: { set: () => {} }, onEnding: () => {} });
      proxy.refuse();
      const next = await open('s3', 10_000);
      assert.equal(next.session, 's3');
      await next.close();
    });
  });

  it('a service is registered again after etcd was away for longer than its lease', async () => {
    const { store } = await proxied();
    const registration = registerService({
      store,
      keys,
      clock,
      kind: 'config',
      id: 'c1',
      endpoint: '127.0.0.1:1',
      version: '1',
      ttlMs: 2_000,
    });
    undo.push(() => registration.stop());
    await registration.registered;
    const { kv } = await direct.get(keys.service('config', 'c1'));
    etcd.first.freeze();
    await sleep(4_000);
    etcd.first.thaw();
    await until(async () => {
      const now = (await direct.get(keys.service('config', 'c1')).catch(() => ({ kv: null }))).kv;
      return now !== null && now.leaseId !== kv?.leaseId;
    });
  });
});

function put(key: string, value: string): Operation {
  return { op: 'put', key, value };
}

function shown({ key, value, modRevision }: { readonly key: string; readonly value: string; readonly modRevision: bigint }): string {
  return `${key} ${value} ${modRevision}`;
}

function ifAway(error: unknown): void {
  if (!(error instanceof ConnectError) || error.kind !== 'unavailable') throw error;
}

/** Forgets all history up to now. */
async function compact(etcd: EtcdCluster): Promise<void> {
  const admin = new Etcd3({ hosts: etcd.first.address });
  const { header } = await admin.kv.range({ key: Buffer.from('/') });
  await admin.kv.compact({ revision: header.revision });
  admin.close();
}
