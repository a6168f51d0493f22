import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ConnectError } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { LeaseTable } from './embedded/leases.ts';
import { EmbeddedStore } from './embedded.ts';
import { type MetadataStore, prefixRange, type WatchEvent } from './index.ts';

const all = prefixRange('/');
const put = (store: MetadataStore, key: string, value = '', leaseId = 0n) =>
  store.txn({ compare: [], then: [{ op: 'put', key, value, leaseId }] });

describe('the embedded metadata store', () => {
  let root: string;
  let directory: string;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'embedded-store-'));
    directory = join(root, 'made', 'by', 'open');
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  /** A process that holds the store open and has written. */
  async function otherProcess(script: string, options: { uid?: number } = {}): Promise<ChildProcess & { line: string }> {
    const module = new URL('./embedded.ts', import.meta.url).href;
    const code = `import { EmbeddedStore } from '${module}'; const directory = ${JSON.stringify(directory)}; ${script}`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['pipe', 'pipe', 'inherit'], ...options });
    children.push(child);
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    return Object.assign(child, { line });
  }

  async function openError(): Promise<ConnectError> {
    const store = await EmbeddedStore.open(directory).catch((error: unknown) => error);
    if (store instanceof EmbeddedStore) await store.close();
    assert.ok(store instanceof ConnectError, `an error of the family: ${store}`);
    return store;
  }

  it('keeps keys, revisions and history over a restart', async () => {
    const first = await EmbeddedStore.open(directory);
    await put(first, '/a', '1');
    await put(first, '/a', '2');
    const before = await first.range(all);
    await first.close();

    const second = await EmbeddedStore.open(directory);
    assert.deepEqual(await second.range(all), before);
    const events = await eventsFrom(second, 2n, 2);
    assert.deepEqual(
      events.map((event) => event.type === 'put' && event.kv.value),
      ['1', '2'],
    );
    await second.close();
  });

  it('drops leases when opened, as deletions with a revision of their own, and waits for none', async () => {
    const holder = await otherProcess(`
      const store = await EmbeddedStore.open(directory);
      const lease = await store.grantLease(3_600_000);
      const { revision } = await store.txn({ compare: [], then: [
        { op: 'put', key: '/leased/a', value: '', leaseId: lease.id }, { op: 'put', key: '/leased/b', value: '', leaseId: lease.id },
        { op: 'put', key: '/kept', value: 'x' }] });
      console.log(String(revision));
      setInterval(() => {}, 1000);`);
    const written = BigInt(holder.line);
    holder.kill('SIGKILL');
    await once(holder, 'exit');

    const store = await EmbeddedStore.open(directory);
    const { kvs, revision } = await store.range(all);
    assert.deepEqual(
      kvs.map((kv) => kv.key),
      ['/kept'],
    );
    const events = await eventsFrom(store, written + 1n, 2);
    assert.deepEqual(
      events,
      ['/leased/a', '/leased/b'].map((key) => ({ type: 'delete', key, revision })),
    );
    await store.close();
  });

  it('never gives a revision twice after an unclean end: tokens are made of them (invariant 1)', async () => {
    const store = await EmbeddedStore.open(directory);
    const before = (await put(store, '/a')).revision;
    // As a power cut may leave it: a copy from before the last transactions.
    cpSync(directory, join(root, 'cut'), { recursive: true });
    const lost = (await put(store, '/a')).revision;
    await store.close();
    directory = join(root, 'cut');
    const again = await EmbeddedStore.open(directory);
    const after = await again.get('/a');
    assert.equal(after.kv?.modRevision, before);
    assert.ok(after.revision > lost);
    await again.close();
    const clean = await EmbeddedStore.open(directory);
    assert.equal((await clean.get('/a')).revision, after.revision, 'a clean end loses nothing and skips nothing');
    await clean.close();
  });

  describe('the lock', () => {
    it('refuses a second open from this process', async () => {
      const store = await EmbeddedStore.open(directory);
      await put(store, '/a');
      for (let i = 0; i < 3; i++) {
        const error = await openError();
        assert.equal(error.code, 'DATA_DIR_LOCKED');
        assert.match(error.message, new RegExp(`this process \\(${process.pid}\\)`));
        assert.ok(error.remedy);
      }
      assert.equal((await otherProcess(tryOpen)).line, 'DATA_DIR_LOCKED', 'the refused opens did not free the lock');
      await put(store, '/a');
      await store.close();
    });

    it('refuses one from another process, naming it, until that dies, however it dies', async () => {
      const holder = await otherProcess(`await EmbeddedStore.open(directory); console.log('open'); setInterval(() => {}, 1000);`);
      const error = await openError();
      assert.equal(error.code, 'DATA_DIR_LOCKED');
      assert.match(error.message, new RegExp(`process ${holder.pid}$`));
      assert.match(error.remedy ?? '', new RegExp(`stop process ${holder.pid}`));
      holder.kill('SIGKILL');
      await once(holder, 'exit');
      await (await EmbeddedStore.open(directory)).close();
    });

    it('is free again after close and after an open that failed', async () => {
      await (await EmbeddedStore.open(directory)).close();
      assert.equal((await otherProcess(tryOpen)).line, 'open');
    });
  });

  describe('what it finds', () => {
    const path = () => join(directory, 'metadata.db');

    /** A closed store with enough in it to have inner pages and overflow pages. */
    async function filled(): Promise<Map<string, string>> {
      const store = await EmbeddedStore.open(directory);
      const written = new Map<string, string>();
      for (let i = 0; i < 6; i++) {
        const then = Array.from({ length: 50 }, (_, j) => {
          const [key, value] = [`/keys/${i}-${j}`, `${'value '.repeat(j * 3)}${i}`];
          written.set(key, value);
          return { op: 'put' as const, key, value };
        });
        await store.txn({ compare: [], then });
      }
      await store.close();
      return written;
    }

    it('a file that is no database, or of another program', async () => {
      mkdirSync(directory, { recursive: true });
      writeFileSync(path(), 'not a database at all, but a text '.repeat(1000));
      assert.equal((await openError()).code, 'DATA_DIR_CORRUPT');
      rmSync(path());
      const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
      const other = new DatabaseSync(path());
      other.exec('CREATE TABLE photos (id INTEGER)');
      other.close();
      const error = await openError();
      assert.equal(error.code, 'DATA_DIR_CORRUPT');
      assert.match(error.message, /another program/);
      assert.match(error.message, /metadata\.db/);
    });

    it('the layout of a newer version, and leaves it as it is', async () => {
      await filled();
      const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
      const db = new DatabaseSync(path());
      db.exec('PRAGMA user_version = 7');
      db.close();
      const before = readFileSync(path());
      const error = await openError();
      assert.equal(error.code, 'DATA_DIR_NEWER');
      assert.match(error.message, /layout 7.*up to 1/);
      assert.deepEqual(readFileSync(path()), before);
    });

    it('a file cut short, also to nothing, or gone', async () => {
      await filled();
      const size = statSync(path()).size;
      for (const bytes of [size - 4096, Math.floor(size / 2), 4096, 100, 0]) {
        truncateSync(path(), bytes);
        const error = await openError();
        assert.equal(error.code, 'DATA_DIR_CORRUPT', `cut to ${bytes} of ${size} bytes: ${error.message}`);
        assert.match(error.message, /metadata\.db/);
        assert.ok(error.remedy);
      }
      rmSync(path());
      assert.equal((await openError()).code, 'DATA_DIR_CORRUPT');
    });

    it('a flipped bit in a key, wherever the file has it, also in an index', async () => {
      const written = await filled();
      const original = readFileSync(path());
      const found: number[] = [];
      for (let at = original.indexOf('/keys/3-20'); at !== -1; at = original.indexOf('/keys/3-20', at + 1)) {
        const damaged = Buffer.from(original);
        damaged[at + 7] = (damaged[at + 7] ?? 0) ^ 1;
        writeFileSync(path(), damaged);
        const codes = await readAll(written).catch((error: ConnectError) => error.code);
        if (codes === 'DATA_DIR_CORRUPT') found.push(at);
        // SQLite leaves old bytes in the unused part of pages.
        else assert.equal(codes, 'right');
      }
      assert.ok(found.length >= 3, 'the row, its index and its event');
    });

    async function readAll(written: Map<string, string>): Promise<'right'> {
      const store = await EmbeddedStore.open(directory);
      try {
        const { kvs } = await store.range(all);
        assert.deepEqual(new Map(kvs.map((kv) => [kv.key, kv.value])), written);
        for (const [key, value] of written) assert.equal((await store.get(key)).kv?.value, value);
        assert.equal((await eventsFrom(store, 1n, written.size)).length, written.size);
        return 'right';
      } finally {
        await store.close();
      }
    }

    it('flipped bits: every read is right, or an error that names the file', async () => {
      const written = await filled();
      const original = readFileSync(path());
      let found = 0;
      await fc.assert(
        fc.asyncProperty(fc.nat(original.length - 1), fc.nat(7), async (at, bit) => {
          const damaged = Buffer.from(original);
          damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
          rmSync(directory, { recursive: true });
          mkdirSync(directory);
          writeFileSync(path(), damaged);
          try {
            const store = await EmbeddedStore.open(directory);
            try {
              const { kvs } = await store.range(all);
              assert.deepEqual(new Map(kvs.map((kv) => [kv.key, kv.value])), written);
              for (const [key, value] of written) assert.equal((await store.get(key)).kv?.value, value);
              await put(store, '/keys/0-0', 'after');
            } finally {
              await store.close();
            }
          } catch (error) {
            found++;
            assert.ok(error instanceof ConnectError, `${error}`);
            assert.match(error.message, /metadata\.db/);
            assert.ok(error.remedy);
          }
        }),
        { numRuns: 100 },
      );
      assert.ok(found > 30, `${found} of 100 were found`);
    });
  });

  describe('without space or rights', () => {
    it('a full store fails writes with the reason, lets reads go on, and works again after deletes', async () => {
      const store = await EmbeddedStore.open(directory, { quotaBytes: 2 * 1024 * 1024 });
      let failure: unknown;
      let stored = 0;
      while (failure === undefined && stored < 100) {
        await put(store, `/big/${stored++}`, 'x'.repeat(50_000)).catch((error: unknown) => {
          failure = error;
        });
      }
      assert.ok(failure instanceof ConnectError);
      assert.equal(failure.code, 'STORE_FULL');
      assert.equal(failure.kind, 'unavailable');
      assert.match(failure.message, /metadata\.db/);
      const { kvs, revision } = await store.range(all);
      assert.equal(kvs.length, stored - 1, 'the failed write left nothing');
      await store.txn({ compare: [], then: [{ op: 'deleteRange', range: prefixRange('/big/') }] });
      assert.equal((await put(store, '/small', 'x')).revision, revision + 2n);
      await store.close();
      const again = await EmbeddedStore.open(directory);
      assert.deepEqual(
        (await again.range(all)).kvs.map((kv) => kv.key),
        ['/small'],
      );
      await again.close();
    });

    it('gives up history before it stays full: what is overwritten over and over fits', async () => {
      const store = await EmbeddedStore.open(directory, { quotaBytes: 2 * 1024 * 1024 });
      const results: string[] = [];
      for (let i = 0; i < 200; i++) {
        results.push(
          await put(store, '/a', 'x'.repeat(50_000)).then(
            () => 'ok',
            (error: ConnectError) => error.code,
          ),
        );
      }
      assert.ok(results.includes('STORE_FULL'));
      assert.ok(results.filter((result) => result === 'ok').length > 180, results.join());
      for (const [i, result] of results.entries()) assert.ok(result === 'ok' || results[i - 1] !== result, 'refused twice in a row');
      await store.close();
    });

    it('a disk without a byte left: what only reads goes on', async function () {
      if (spawnSync('sh', ['-c', `mount -t tmpfs -o size=2m none ${root}`]).status !== 0) return this.skip();
      try {
        const store = await EmbeddedStore.open(directory);
        await put(store, '/a', '1');
        assert.throws(() => writeFileSync(join(root, 'ballast'), Buffer.alloc(2 * 1024 * 1024)), { code: 'ENOSPC' });
        await assert.rejects(put(store, '/b', 'x'.repeat(50_000)), { code: 'STORE_FULL' });
        const { responses } = await store.txn({ compare: [], then: [{ op: 'get', key: '/a' }] });
        assert.equal(responses[0]?.[0]?.value, '1');
        await store.close().catch(() => undefined);
      } finally {
        spawnSync('umount', [root]);
      }
    });

    it('a disk that is really full: the same, and it works again when there is space', async function () {
      if (spawnSync('sh', ['-c', `mount -t tmpfs -o size=2m none ${root}`]).status !== 0) return this.skip();
      try {
        const store = await EmbeddedStore.open(directory);
        await put(store, '/a', '1');
        writeFileSync(join(root, 'ballast'), Buffer.alloc(1024 * 1024));
        let failure: unknown;
        for (let i = 0; failure === undefined && i < 100; i++) {
          await put(store, `/big/${i}`, 'x'.repeat(50_000)).catch((error: unknown) => {
            failure = error;
          });
        }
        assert.ok(failure instanceof ConnectError, `${failure}`);
        assert.equal(failure.code, 'STORE_FULL');
        assert.equal((await store.get('/a')).kv?.value, '1');
        await assert.rejects(put(store, '/more', 'x'.repeat(500_000)), { code: 'STORE_FULL' });
        rmSync(join(root, 'ballast'));
        await put(store, '/a', '2');
        await store.close();
        const again = await EmbeddedStore.open(directory);
        assert.equal((await again.get('/a')).kv?.value, '2');
        await again.close();
      } finally {
        spawnSync('sh', ['-c', `umount -l ${root}`]);
      }
    });

    it('an expired lease is gone at once, and its keys as soon as they can be dropped', async () => {
      const clock = new VirtualClock();
      let full = true;
      let dropped = 0;
      const leases = new LeaseTable(clock, () => {
        if (full) throw new Error('the disk is full');
        dropped++;
      });
      const warnings: string[] = [];
      const { emitWarning } = process;
      process.emitWarning = (warning: string | Error) => void warnings.push(String(warning));
      leases.grant(1n, 1_000);
      await clock.advance(2_500);
      assert.equal(leases.live(1n), false);
      assert.equal(leases.keepAlive(1n), 0);
      full = false;
      await clock.advance(1_000);
      assert.equal(dropped, 1);
      process.emitWarning = emitWarning;
      assert.equal(warnings.length, 2);
      await clock.advance(60_000);
      assert.equal(dropped, 1);
      assert.equal(clock.pendingTimers, 0);
    });

    it('a directory that this user may not write, or that is a file', async function () {
      mkdirSync(root, { recursive: true });
      writeFileSync(join(root, 'file'), '');
      directory = join(root, 'file');
      const error = await openError();
      assert.equal(error.code, 'DATA_DIR_UNUSABLE');
      assert.equal(error.kind, 'config');
      assert.ok(error.message.includes(directory) && error.remedy);

      directory = join(root, 'foreign');
      await (await EmbeddedStore.open(directory)).close();
      chmodSync(root, 0o755);
      chmodSync(directory, 0o555);
      for (const file of readdirSync(directory)) chmodSync(join(directory, file), 0o444);
      // Root may write anywhere: try as nobody.
      if (process.getuid?.() !== 0) assert.equal((await openError()).code, 'DATA_DIR_UNUSABLE');
      else if (spawnSync(process.execPath, ['--version'], { uid: 65534 }).status === 0)
        assert.equal((await otherProcess(tryOpen, { uid: 65534 })).line, 'DATA_DIR_UNUSABLE');
      else this.skip();
    });
  });

  it('keeps a bounded history and file, however much is written', async function () {
    this.timeout(20_000);
    const store = await EmbeddedStore.open(directory);
    for (let i = 0; i < 9_000; i++) await put(store, `/k/${i % 10}`, `${i}`);
    const { revision } = await store.get('/k/0');
    assert.deepEqual(await endOf(store, revision - 5_000n), 'STORE_COMPACTED');
    assert.equal((await eventsFrom(store, revision - 1_999n, 2_000)).length, 2_000, 'the latest window is there');
    for (let i = 0; i < 40; i++) await put(store, '/large', 'x'.repeat(900_000));
    const size = readdirSync(directory).reduce((bytes, file) => bytes + statSync(join(directory, file)).size, 0);
    assert.ok(size < 30 * 1024 * 1024, `${size} bytes`);
    await store.close();
  });

  it('prints no warning of Node about SQLite, and swallows no other', () => {
    const module = new URL('./embedded.ts', import.meta.url).href;
    const code = `import { EmbeddedStore } from '${module}'; const store = await EmbeddedStore.open(${JSON.stringify(directory)});
      await store.close(); process.emitWarning('another', 'ExperimentalWarning');`;
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /SQLite/);
    assert.match(stderr, /another/);
  });

  async function eventsFrom(store: MetadataStore, fromRevision: bigint, count: number): Promise<WatchEvent[]> {
    const events: WatchEvent[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const watch = store.watch(all, fromRevision, {
      onEvents: (more) => {
        events.push(...more);
        if (events.length >= count) resolve();
      },
      onEnd: reject,
    });
    await promise;
    watch.cancel();
    return events;
  }

  async function endOf(store: MetadataStore, fromRevision: bigint): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<Error>();
    store.watch(all, fromRevision, { onEvents: () => undefined, onEnd: resolve });
    const error = await promise;
    return error instanceof ConnectError ? error.code : error.message;
  }
});

const tryOpen = `console.log(await EmbeddedStore.open(directory).then(() => 'open', (error) => error.code ?? error)); process.exit();`;
