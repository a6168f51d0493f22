import assert from 'node:assert/strict';
import {
  absent,
  CompactedError,
  type Compare,
  createdAt,
  type KeyRange,
  type KeyValue,
  LeaseGoneError,
  type MetadataStore,
  modifiedAt,
  type Operation,
  prefixRange,
  rangeEmpty,
  StoreUnavailableError,
  spanRange,
  TXN_LIMITS,
  type Watch,
  type WatchEvent,
} from '@rocketmq-connect/metadata-store';
import { ConfigError } from '@rocketmq-connect/sdk';

/** A store to test, and power over its surroundings. */
export interface StoreUnderTest {
  readonly store: MetadataStore;
  /** A second client of the same store; undefined where a process can have one only. */
  readonly other?: MetadataStore;
  /** The suite keeps below it, so a shared server may hold other keys. Ends in `/`. */
  readonly prefix: string;
  /** Lets time pass. */
  wait(ms: number): Promise<void>;
  /** Lets time pass until the condition holds; fails when it does not within some seconds. */
  until(condition: () => boolean): Promise<void>;
  /** Forgets the history before the revision. */
  compact(revision: bigint): Promise<void>;
  close(): Promise<void>;
}

/** The sentences of the port `MetadataStore`, for every adapter. */
export function metadataStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`the metadata store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: MetadataStore;
    let all: KeyRange;
    const key = (suffix: string): string => `${under.prefix}${suffix}`;
    const put = (suffix: string, value = '', leaseId?: bigint): Operation => ({
      op: 'put',
      key: key(suffix),
      value,
      ...(leaseId === undefined ? {} : { leaseId }),
    });
    const write = async (...operations: Operation[]): Promise<bigint> => (await store.txn({ compare: [], then: operations })).revision;
    const read = async (suffix: string): Promise<KeyValue | null> => (await store.get(key(suffix))).kv;
    const holdsNow = async (...compare: Compare[]): Promise<boolean> => (await store.txn({ compare, then: [] })).succeeded;
    const follow = (range: KeyRange, fromRevision: bigint) => new Followed(store, range, fromRevision);

    beforeEach(async () => {
      under = await open();
      store = under.store;
      all = prefixRange(under.prefix);
    });
    afterEach(() => under.close());

    describe('keys and revisions', () => {
      it('answers null for an absent key, with the revision', async () => {
        const { kv, revision } = await store.get(key('a'));
        assert.equal(kv, null);
        assert.ok(revision >= 1n);
      });

      it('counts create revision, mod revision and version', async () => {
        const first = await write(put('a', '1'));
        const second = await write(put('a', '2'));
        assert.equal(second, first + 1n);
        assert.deepEqual(await read('a'), {
          key: key('a'),
          value: '2',
          createRevision: first,
          modRevision: second,
          version: 2n,
          leaseId: 0n,
        });
      });

      it('gives all writes of a transaction one revision', async () => {
        const before = (await store.get(key('a'))).revision;
        const revision = await write(put('a'), put('b'), put('c'));
        assert.equal(revision, before + 1n);
        assert.deepEqual(
          (await store.range(all)).kvs.map((kv) => kv.modRevision),
          [revision, revision, revision],
        );
      });

      it('takes no revision for a transaction that writes nothing', async () => {
        const before = await write(put('a'));
        const after = await write({ op: 'delete', key: key('none') }, { op: 'deleteRange', range: prefixRange(key('none/')) });
        assert.equal(after, before);
        assert.equal(await write({ op: 'range', range: all }), before);
      });

      it('takes a revision for a put of the same value', async () => {
        const before = await write(put('a', 'same'));
        assert.equal(await write(put('a', 'same')), before + 1n);
      });

      it('gives a key that was deleted and made again a new create revision and version 1', async () => {
        const first = await write(put('a'));
        await write({ op: 'delete', key: key('a') });
        const again = await write(put('a'));
        const kv = await read('a');
        assert.ok(again > first);
        assert.equal(kv?.createRevision, again);
        assert.equal(kv?.version, 1n);
      });

      it('keeps values exactly: empty, Unicode, NUL, line ends, large', async () => {
        const values = ['', 'ä €😀', 'a\0b', '\r\n\u2028', 'x'.repeat(500_000)];
        for (const [i, value] of values.entries()) await write(put(`v${i}`, value));
        for (const [i, value] of values.entries()) assert.equal((await read(`v${i}`))?.value, value);
      });

      it('refuses an empty key, an empty range and text that is no Unicode', async () => {
        await assert.rejects(store.get(''), ConfigError);
        await assert.rejects(store.range(spanRange(key('b'), key('a'))), ConfigError);
        await assert.rejects(write(put('a', 'half of \ud83d')), ConfigError);
      });
    });

    describe('ranges', () => {
      it('sorts by the bytes of the keys', async () => {
        // UTF-16 would sort the pair (U+1F600) before U+FFFD.
        const names = ['a', 'a/', 'a0', 'b', 'é', '\ufffd', '😀'];
        for (const name of [...names].reverse()) await write(put(name));
        assert.deepEqual(
          (await store.range(all)).kvs.map((kv) => kv.key),
          names.map(key),
        );
      });

      it('includes its start and excludes its end', async () => {
        await write(put('a'), put('b'), put('c'));
        const { kvs } = await store.range(spanRange(key('a'), key('c')));
        assert.deepEqual(
          kvs.map((kv) => kv.key),
          [key('a'), key('b')],
        );
      });

      it('tells a prefix from names that only begin like it', async () => {
        await write(put('a/1'), put('ab/1'), put('a'));
        assert.deepEqual(
          (await store.range(prefixRange(key('a/')))).kvs.map((kv) => kv.key),
          [key('a/1')],
        );
      });
    });

    describe('transactions', () => {
      it('applies `then` when all compares hold, else `otherwise`, and never a part', async () => {
        const revision = await write(put('a', '1'));
        const yes = await store.txn({ compare: [modifiedAt(key('a'), revision), absent(key('b'))], then: [put('b', 'then')] });
        assert.equal(yes.succeeded, true);
        const no = await store.txn({
          compare: [modifiedAt(key('a'), revision), absent(key('b'))],
          then: [put('c'), put('d')],
          otherwise: [put('e', 'otherwise')],
        });
        assert.equal(no.succeeded, false);
        assert.deepEqual(
          (await store.range(all)).kvs.map((kv) => kv.key),
          ['a', 'b', 'e'].map(key),
        );
      });

      it('writes nothing without `otherwise` and answers the revision', async () => {
        const revision = await write(put('a'));
        assert.deepEqual(await store.txn({ compare: [absent(key('a'))], then: [put('b')] }), { succeeded: false, revision, responses: [] });
      });

      it('answers per operation: what a read found, what a delete removed, nothing for a put', async () => {
        await write(put('a', '1'), put('b/1', '1'), put('b/2', '2'));
        const { responses } = await store.txn({
          compare: [],
          then: [
            { op: 'get', key: key('a') },
            { op: 'get', key: key('none') },
            put('c'),
            { op: 'range', range: prefixRange(key('b/')) },
            { op: 'deleteRange', range: prefixRange(key('b/')) },
            { op: 'delete', key: key('a') },
            { op: 'delete', key: key('none') },
          ],
        });
        assert.deepEqual(
          responses.map((kvs) => kvs.map((kv) => kv.key)),
          [['a'], [], [], ['b/1', 'b/2'], ['b/1', 'b/2'], ['a'], []].map((names) => names.map(key)),
        );
      });

      it('runs operations in order: a read sees the writes before it', async () => {
        const { responses, revision } = await store.txn({
          compare: [],
          then: [{ op: 'get', key: key('a') }, put('a', 'new'), { op: 'get', key: key('a') }],
        });
        assert.deepEqual(responses[0], []);
        assert.deepEqual(responses[2], [
          { key: key('a'), value: 'new', createRevision: revision, modRevision: revision, version: 1n, leaseId: 0n },
        ]);
      });

      it('compares create revision, mod revision and value by each relation', async () => {
        const created = await write(put('a', 'm'));
        const modified = await write(put('a', 'm'));
        const a = { key: key('a') };
        assert.ok(await holdsNow(createdAt(key('a'), created), modifiedAt(key('a'), modified), { ...a, target: 'value', value: 'm' }));
        assert.ok(!(await holdsNow(createdAt(key('a'), modified))));
        assert.ok(!(await holdsNow(modifiedAt(key('a'), created))));
        assert.ok(await holdsNow({ ...a, target: 'modRevision', value: created, result: 'greater' }));
        assert.ok(await holdsNow({ ...a, target: 'createRevision', value: modified, result: 'less' }));
        assert.ok(await holdsNow({ ...a, target: 'createRevision', value: 0n, result: 'notEqual' }));
        assert.ok(!(await holdsNow({ ...a, target: 'modRevision', value: modified, result: 'less' })));
        assert.ok(!(await holdsNow({ ...a, target: 'modRevision', value: modified, result: 'greater' })));
        assert.ok(await holdsNow({ ...a, target: 'value', value: 'l', result: 'greater' }));
        assert.ok(await holdsNow({ ...a, target: 'value', value: 'n', result: 'less' }));
        assert.ok(!(await holdsNow({ ...a, target: 'value', value: 'm', result: 'notEqual' })));
      });

      it('takes an absent key as revision 0, and lets no value compare hold for it', async () => {
        const none = { key: key('none') };
        assert.ok(await holdsNow(absent(key('none')), modifiedAt(key('none'), 0n)));
        assert.ok(await holdsNow({ ...none, target: 'createRevision', value: 1n, result: 'less' }));
        assert.ok(!(await holdsNow(createdAt(key('none'), 1n))));
        assert.ok(!(await holdsNow({ ...none, target: 'value', value: '' })));
        assert.ok(!(await holdsNow({ ...none, target: 'value', value: 'x', result: 'notEqual' })));
      });

      it('an empty range is empty, and one present key refuses', async () => {
        const owners = prefixRange(key('owners/'));
        await write(put('owners-of-others'));
        assert.ok(await holdsNow(rangeEmpty(owners)));
        await write(put('owners/x'));
        assert.ok(!(await holdsNow(rangeEmpty(owners))));
        await write({ op: 'delete', key: key('owners/x') });
        assert.ok(await holdsNow(rangeEmpty(owners)));
      });

      it('the end of a compared range is not in it', async () => {
        await write(put('g/0000000000000005/0'));
        assert.ok(await holdsNow(rangeEmpty(spanRange(key('g/'), key('g/0000000000000005')))));
        assert.ok(!(await holdsNow(rangeEmpty(spanRange(key('g/'), key('g/0000000000000006'))))));
      });

      it('a compare over a range must hold for every present key', async () => {
        const range = prefixRange(key('r/'));
        const first = await write(put('r/1'));
        await write(put('r/2'));
        assert.ok(await holdsNow({ range, target: 'modRevision', value: first - 1n, result: 'greater' }));
        assert.ok(!(await holdsNow({ range, target: 'modRevision', value: first, result: 'greater' })));
        // An empty range counts as one absent key.
        const none = prefixRange(key('none/'));
        assert.ok(!(await holdsNow({ range: none, target: 'modRevision', value: first, result: 'greater' })));
      });

      it('of two that exclude each other, sent at once, one succeeds', async () => {
        const clients = [store, under.other ?? store];
        const claims = await Promise.all(
          Array.from({ length: 10 }, (_, i) =>
            (clients[i % 2] ?? store).txn({ compare: [absent(key('owner'))], then: [put('owner', String(i))] }),
          ),
        );
        assert.equal(claims.filter((claim) => claim.succeeded).length, 1);
        assert.equal((await read('owner'))?.version, 1n);
      });
    });

    describe('limits', () => {
      const limited = (said: RegExp) => (error: unknown) =>
        error instanceof ConfigError && error.code === 'STORE_LIMIT' && said.test(error.message);
      const many = (count: number): Operation[] => Array.from({ length: count }, (_, i) => put(`k${i}`));
      const compares = (count: number): Compare[] => Array.from({ length: count }, (_, i) => absent(key(`k${i}`)));

      it('takes 100 operations and 128 compares, and refuses one more, naming the limit', async () => {
        await store.txn({
          compare: compares(TXN_LIMITS.compares),
          then: many(TXN_LIMITS.operations),
          otherwise: many(TXN_LIMITS.operations),
        });
        await assert.rejects(write(...many(TXN_LIMITS.operations + 1)), limited(/101.*at most 100/));
        await assert.rejects(store.txn({ compare: compares(TXN_LIMITS.compares + 1), then: [] }), limited(/129.*at most 128/));
        await assert.rejects(
          store.txn({ compare: [], then: [], otherwise: many(TXN_LIMITS.operations + 1) }),
          limited(/"otherwise".*at most 100/),
        );
      });

      it('takes nearly 1 MiB and refuses 1 MiB', async () => {
        await write(put('large', 'x'.repeat(TXN_LIMITS.bytes - 1_000)));
        await assert.rejects(write(put('large', 'x'.repeat(TXN_LIMITS.bytes))), limited(/below 1048576 bytes/));
        await assert.rejects(write(put('large', '€'.repeat(TXN_LIMITS.bytes / 3 + 1))), limited(/below 1048576 bytes/));
      });

      it('refuses a key that is written twice, writing nothing', async () => {
        const twice: Operation[][] = [
          [put('a'), put('a')],
          [put('a'), { op: 'delete', key: key('a') }],
          [put('d/a'), { op: 'deleteRange', range: prefixRange(key('d/')) }],
          [{ op: 'deleteRange', range: prefixRange(key('d/')) }, put('d/a')],
        ];
        for (const operations of twice) await assert.rejects(write(put('b'), ...operations), ConfigError);
        assert.deepEqual((await store.range(all)).kvs, []);
        await write({ op: 'deleteRange', range: prefixRange(key('d/')) }, put('e'));
      });
    });

    describe('watches', () => {
      it('delivers puts and deletes of its range, in order, from the revision asked for', async () => {
        const first = await write(put('w/1', 'a'));
        await write(put('x', 'not in the range'));
        const second = await write(put('w/1', 'b'));
        const third = await write({ op: 'delete', key: key('w/1') });
        const followed = follow(prefixRange(key('w/')), second);
        await under.until(() => followed.events.length === 2);
        const fourth = await write(put('w/2', 'c'));
        await under.until(() => followed.events.length === 3);
        assert.deepEqual(followed.events, [
          {
            type: 'put',
            kv: { key: key('w/1'), value: 'b', createRevision: first, modRevision: second, version: 2n, leaseId: 0n },
          },
          { type: 'delete', key: key('w/1'), revision: third },
          {
            type: 'put',
            kv: { key: key('w/2'), value: 'c', createRevision: fourth, modRevision: fourth, version: 1n, leaseId: 0n },
          },
        ]);
        followed.watch.cancel();
      });

      it('resumes exactly: no event is lost or doubled, wherever it begins again', async () => {
        const start = (await store.get(key('w'))).revision;
        for (let i = 0; i < 20; i++) await write(put(`w/${i % 3}`, String(i)));
        const whole = follow(all, start + 1n);
        await under.until(() => whole.events.length === 20);
        const resumed = follow(all, start + 8n);
        await under.until(() => resumed.events.length === 13);
        assert.deepEqual(resumed.events, whole.events.slice(7));
        for (let i = 20; i < 25; i++) await write(put(`w/${i % 3}`, String(i)));
        await under.until(() => resumed.events.length === 18 && whole.events.length === 25);
        assert.deepEqual(resumed.events, whole.events.slice(7));
        whole.watch.cancel();
        resumed.watch.cancel();
      });

      it('delivers whole revisions, never inside the call that wrote', async () => {
        const start = (await store.get(key('w'))).revision;
        const followed = follow(all, start + 1n);
        let inside = true;
        followed.onBatch = () => assert.equal(inside, false);
        const writing = write(...Array.from({ length: 50 }, (_, i) => put(`w/${String(i).padStart(2, '0')}`)));
        inside = false;
        const revision = await writing;
        await under.until(() => followed.events.length === 50);
        assert.equal(followed.batches.length, 1);
        assert.equal(followed.batches[0]?.revision, revision);
        followed.watch.cancel();
      });

      it('waits for a revision that is yet to come, and delivers none before it', async () => {
        const start = (await store.get(key('w'))).revision;
        const followed = follow(all, start + 3n);
        for (let i = 1; i <= 4; i++) await write(put('w', String(i)));
        await under.until(() => followed.events.length === 2);
        assert.deepEqual(
          followed.events.map((event) => event.type === 'put' && event.kv.value),
          ['3', '4'],
        );
        followed.watch.cancel();
      });

      it('shows each key of a deleted range, in order of the keys', async () => {
        await write(put('d/1'), put('d/2'), put('d/3'));
        const followed = follow(prefixRange(key('d/')), (await store.get(key('d/1'))).revision + 1n);
        const revision = await write({ op: 'deleteRange', range: prefixRange(key('d/')) });
        await under.until(() => followed.events.length === 3);
        assert.deepEqual(
          followed.events,
          ['d/1', 'd/2', 'd/3'].map((name) => ({ type: 'delete', key: key(name), revision })),
        );
        followed.watch.cancel();
      });

      it('delivers nothing after cancel', async () => {
        const start = (await store.get(key('w'))).revision;
        const cancelled = follow(all, start + 1n);
        const other = follow(all, start + 1n);
        cancelled.watch.cancel();
        await write(put('w'));
        await under.until(() => other.events.length === 1);
        assert.deepEqual(cancelled.events, []);
        assert.equal(cancelled.ended, undefined);
        other.watch.cancel();
      });

      it('ends with CompactedError when its history is gone, and only then', async () => {
        const first = await write(put('w', '1'));
        await write(put('w', '2'));
        const third = await write(put('w', '3'));
        await under.compact(third);
        const tooOld = follow(all, first);
        const justKept = follow(all, third);
        await under.until(() => tooOld.ended !== undefined && justKept.events.length === 1);
        assert.ok(tooOld.ended instanceof CompactedError);
        assert.equal(tooOld.ended.compactRevision, third);
        assert.deepEqual(tooOld.events, []);
        assert.equal(justKept.ended, undefined);
        assert.equal((await read('w'))?.value, '3');
        justKept.watch.cancel();
      });

      it('ends the watch of a listener that throws, and only that one', async () => {
        const start = (await store.get(key('w'))).revision;
        const throwing = follow(all, start + 1n);
        throwing.onBatch = () => {
          throw new Error('a mistake of the listener');
        };
        const other = follow(all, start + 1n);
        await write(put('w', '1'));
        await write(put('w', '2'));
        await under.until(() => throwing.ended !== undefined && other.events.length === 2);
        assert.match(throwing.ended?.message ?? '', /mistake/);
        assert.equal((await read('w'))?.value, '2');
        other.watch.cancel();
      });

      it('refuses a watch from revision 0', () => {
        assert.throws(() => follow(all, 0n), ConfigError);
      });
    });

    describe('leases', () => {
      it('deletes the keys of a lease that is not kept alive, in one revision, as events', async () => {
        const lease = await store.grantLease(2_000);
        assert.ok(lease.ttlMs >= 2_000 && lease.id !== 0n);
        const revision = await write(put('l/1', 'a', lease.id), put('l/2', 'b', lease.id), put('free'));
        assert.equal((await read('l/1'))?.leaseId, lease.id);
        const followed = follow(all, revision + 1n);
        await under.wait(lease.ttlMs / 2);
        assert.equal((await store.range(all)).kvs.length, 3);
        await under.until(() => followed.events.length === 2);
        assert.deepEqual(followed.events, [
          { type: 'delete', key: key('l/1'), revision: revision + 1n },
          { type: 'delete', key: key('l/2'), revision: revision + 1n },
        ]);
        assert.deepEqual(
          (await store.range(all)).kvs.map((kv) => kv.key),
          [key('free')],
        );
        followed.watch.cancel();
      });

      it('keeps them while it is kept alive; keepAlive answers the TTL, and 0 once it is gone', async () => {
        const lease = await store.grantLease(2_000);
        const revision = await write(put('l', '', lease.id));
        for (let i = 0; i < 4; i++) {
          await under.wait(lease.ttlMs / 2);
          assert.equal(await lease.keepAlive(), lease.ttlMs);
        }
        assert.notEqual(await read('l'), null);
        const followed = follow(all, revision + 1n);
        await under.until(() => followed.events.length === 1);
        assert.equal(await lease.keepAlive(), 0);
        followed.watch.cancel();
      });

      it('revoking deletes the keys at once, is idempotent, and later keep-alives answer 0', async () => {
        const lease = await store.grantLease(60_000);
        await write(put('l', '', lease.id));
        await lease.revoke();
        assert.equal(await read('l'), null);
        await lease.revoke();
        assert.equal(await lease.keepAlive(), 0);
      });

      it('refuses a put under a lease that is gone or never was, writing nothing', async () => {
        const lease = await store.grantLease(60_000);
        await lease.revoke();
        await assert.rejects(write(put('a'), put('b', '', lease.id)), LeaseGoneError);
        await assert.rejects(write(put('b', '', 424_242n)), LeaseGoneError);
        assert.deepEqual((await store.range(all)).kvs, []);
        // Of the branch that does not run nothing is asked.
        assert.ok((await store.txn({ compare: [], then: [put('a')], otherwise: [put('b', '', lease.id)] })).succeeded);
      });

      it('a put moves a key to its own lease, or to none', async () => {
        const [first, second] = [await store.grantLease(60_000), await store.grantLease(60_000)];
        await write(put('a', '', first.id), put('b', '', first.id), put('c', '', first.id));
        await write(put('b', '', second.id), put('c'));
        await first.revoke();
        assert.deepEqual(
          (await store.range(all)).kvs.map((kv) => kv.key),
          ['b', 'c'].map(key),
        );
        await second.revoke();
        assert.deepEqual(
          (await store.range(all)).kvs.map((kv) => kv.key),
          [key('c')],
        );
      });

      it('a lease without keys goes without a revision', async () => {
        const lease = await store.grantLease(60_000);
        const before = (await store.get(key('a'))).revision;
        await lease.revoke();
        assert.equal((await store.get(key('a'))).revision, before);
      });

      it('refuses a TTL that is none', async () => {
        for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) await assert.rejects(store.grantLease(ttlMs), ConfigError);
      });
    });

    it('fails calls after close with StoreUnavailableError', async () => {
      const lease = await store.grantLease(60_000);
      const followed = follow(all, 1n);
      followed.watch.cancel();
      await store.close();
      await assert.rejects(store.get(key('a')), StoreUnavailableError);
      await assert.rejects(write(put('a')), StoreUnavailableError);
      await assert.rejects(store.grantLease(1_000), StoreUnavailableError);
      await assert.rejects(lease.keepAlive(), StoreUnavailableError);
      const late = follow(all, 1n);
      await under.until(() => late.ended !== undefined);
      await store.close();
    });
  });
}

/** A watch that remembers. */
class Followed {
  readonly events: WatchEvent[] = [];
  readonly batches: { readonly events: readonly WatchEvent[]; readonly revision: bigint }[] = [];
  ended: Error | undefined;
  onBatch: () => void = () => undefined;
  readonly watch: Watch;

  constructor(store: MetadataStore, range: KeyRange, fromRevision: bigint) {
    this.watch = store.watch(range, fromRevision, {
      onEvents: (events, revision) => {
        this.onBatch();
        this.events.push(...events);
        this.batches.push({ events, revision });
      },
      onEnd: (error) => {
        this.ended = error;
      },
    });
  }
}
