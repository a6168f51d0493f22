import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SinkState } from '@rocketmq-connect/sdk';
import { between, CommittedSink, SinkRun, seededRandom } from '@rocketmq-connect/sdk/testing';
import { FileStreamSink } from './sink.ts';

describe('FileStreamSink', () => {
  let folder: string;
  let file: string;
  let runs: SinkRun[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rmqc-sink-'));
    file = join(folder, 'out.txt');
    runs = [];
  });

  afterEach(async () => {
    for (const run of runs) await run.kill();
    await rm(folder, { recursive: true });
  });

  async function start(more: Record<string, string> = {}, committed?: CommittedSink, task = 0): Promise<SinkRun> {
    const run = await SinkRun.start(FileStreamSink, { file, 'file.fsync': 'never', ...more }, committed, task);
    runs.push(run);
    return run;
  }

  const text = (path = file): Promise<string> => readFile(path, 'utf8');

  /** With the files it was rotated to. */
  async function allText(): Promise<string> {
    let all = '';
    for (let rotation = 1; (await visible()).includes(`out.txt.${rotation}`); rotation += 1) all += await text(`${file}.${rotation}`);
    return all + (await text());
  }

  async function visible(): Promise<string[]> {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  }

  describe('lines', () => {
    it('appear with the put, before any flush', async () => {
      const run = await start();
      await run.put('one', 'two');
      equal(await text(), 'one\ntwo\n');
    });

    it('text and bytes stand as they are, null as Kafka prints it, structures as JSON', async () => {
      const run = await start();
      const bytes = Buffer.from('\xff\xfe\r', 'latin1');
      await run.put(
        bytes,
        null,
        undefined,
        'é',
        7,
        true,
        12345678901234567890n,
        { a: [1n, null], b: Buffer.from('x') },
        new Map([['k', 'v']]),
      );
      const lines = Buffer.concat([
        bytes,
        Buffer.from('\nnull\nnull\né\n7\ntrue\n12345678901234567890\n{"a":[1,null],"b":"eA=="}\n{"k":"v"}\n'),
      ]);
      deepEqual(await readFile(file), lines);
    });

    it('a batch larger than the kept buffer, then a small one', async () => {
      const run = await start();
      const large = 'x'.repeat(5_000_000);
      await run.put(large, 'y');
      await run.put('z');
      equal(await text(), `${large}\ny\nz\n`);
    });

    it('follow what was in the file before', async () => {
      await writeFile(file, 'before\n');
      const run = await start();
      await run.put('one');
      equal(await text(), 'before\none\n');
    });

    it('without a file go to the standard output', async () => {
      const script = `
        import { FileStreamSink } from '@rocketmq-connect/connector-file';
        import { SinkRun } from '@rocketmq-connect/sdk/testing';
        const run = await SinkRun.start(FileStreamSink, {});
        await run.put('one', Buffer.from('two'));
        await run.stop();`;
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname });
      equal(output.toString(), 'one\ntwo\n');
    });

    it('go to a device too, which has no state', async function () {
      if (process.platform === 'win32') return this.skip();
      const run = await start({ file: '/dev/null' });
      await run.put('one');
      deepEqual(await run.flush(), {});
    });

    it('of each further task go to a file of its own', async () => {
      const first = await start();
      const second = await start({}, undefined, 1);
      await first.put('one');
      await second.put('two');
      deepEqual([await text(), await text(`${file}.task-1`)], ['one\n', 'two\n']);
    });
  });

  describe('exactly once', () => {
    it('the state holds identity, length, rotation and the length at first open', async () => {
      await writeFile(file, 'before\n');
      const run = await start();
      await run.put('one');
      const { [file]: state } = await run.flush();
      const { ino } = await stat(file);
      const { inode, length, rotation, firstLength } = state as Record<string, unknown>;
      deepEqual({ inode, length, rotation, firstLength }, { inode: String(ino), length: 11, rotation: 0, firstLength: 7 });
    });

    it('what was put after the last commit is cut off', async () => {
      const committed = new CommittedSink();
      const first = await start({}, committed);
      await first.put('one');
      await first.flush();
      first.commit();
      await first.put('two');
      await first.flush();
      await first.kill();
      await start({}, committed);
      equal(await text(), 'one\n');
    });

    it('died before its first commit it keeps what was there before, and nothing else', async () => {
      await writeFile(file, 'before\n');
      const committed = new CommittedSink();
      for (let life = 0; life < 3; life += 1) {
        const run = await start({}, committed);
        equal(await text(), 'before\n');
        await run.put('one');
        if (life > 0) await run.flush();
        await run.kill();
      }
    });

    it('after a reset of the offsets, what was written stays, as in Kafka', async () => {
      const committed = new CommittedSink();
      const first = await start({}, committed);
      await first.put('one');
      await first.stop();
      committed.reset();
      const second = await start({}, committed);
      await second.put('one');
      await second.kill();
      equal(await text(), 'one\none\n');
      await start({}, committed);
      equal(await text(), 'one\n');
    });

    it('another connector that gets the file later appends to it', async () => {
      const first = await start({ name: 'first' });
      await first.put('one');
      await first.kill();
      const second = await start({ name: 'second' });
      await second.put('two');
      equal(await text(), 'one\ntwo\n');
    });

    for (const rotateBytes of ['0', '20000']) {
      it(`kill -9 of a real process at random: nothing lost or doubled (file.rotate.bytes ${rotateBytes})`, async function () {
        this.timeout(30_000);
        const committed = new CommittedSink();
        const random = seededRandom(7);
        const config = { file, 'file.fsync': 'never', 'file.rotate.bytes': rotateBytes };
        for (let life = 0; life < 3; life += 1) {
          const start = JSON.stringify({ config, position: committed.position, states: committed.states() });
          const child = fork(victim, [start], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
          // The first life dies before its first commit.
          await commitUntilKilled(child, committed, life === 0 ? 0 : between(random, 1, 5));
        }
        ok(committed.position >= 500);
        const run = await start(config, committed);
        await run.put('the end');
        const lines = Array.from({ length: committed.position }, (_, item) => `line ${item}\n`);
        equal(await allText(), `${lines.join('')}the end\n`);
      });
    }
  });

  describe('a file that somebody else has touched is an error with a remedy', () => {
    async function written(): Promise<CommittedSink> {
      const committed = new CommittedSink();
      const run = await start({}, committed);
      await run.put('one', 'two');
      await run.stop();
      return committed;
    }

    async function refused(committed: CommittedSink, message: RegExp): Promise<void> {
      const before = await readFile(file).catch(() => undefined);
      await rejects(start({}, committed), { code: 'FILE_CHANGED', field: 'file', message, remedy: /file\.changed/ });
      deepEqual(await readFile(file).catch(() => undefined), before, 'not touched');
    }

    it('grown while it was down', async () => {
      const committed = await written();
      await appendFile(file, 'foreign\n');
      await refused(committed, /8 beyond the committed length/);
    });

    it('cut, removed or replaced while it was down', async () => {
      const committed = await written();
      await truncate(file, 3);
      await refused(committed, /3 bytes, fewer than the 8/);
      await rm(file);
      await refused(committed, /is gone/);
      await writeFile(file, 'ONE\nTWO\n');
      await refused(committed, /not the file/);
    });

    it('a copy with the same content is taken for the file', async () => {
      const committed = await written();
      await rename(file, `${file}.old`);
      await writeFile(file, 'one\ntwo\n');
      const run = await start({}, committed);
      await run.put('three');
      equal(await text(), 'one\ntwo\nthree\n');
    });

    it('grown while it is written: the put fails and nothing is cut', async () => {
      const run = await start();
      await run.put('one');
      await appendFile(file, 'foreign\n');
      await rejects(run.put('two'), { code: 'FILE_CHANGED', field: 'file' });
      equal(await text(), 'one\nforeign\n');
    });

    it('moved away while it is written: the flush fails', async () => {
      const run = await start();
      await run.put('one');
      await rename(file, `${file}.moved`);
      await rejects(run.flush(), { code: 'FILE_CHANGED', message: /removed or replaced/ });
    });

    it('with file.changed=append it goes on, and never cuts foreign lines', async () => {
      const committed = await written();
      await appendFile(file, 'foreign\n');
      const first = await start({ 'file.changed': 'append' }, committed);
      await first.put('three');
      await first.kill();
      const second = await start({ 'file.changed': 'append' }, committed);
      await second.put('three');
      await appendFile(file, 'foreign 2\n');
      await second.put('four');
      await second.kill();
      const third = await start({ 'file.changed': 'append' }, committed);
      equal(await text(), 'one\ntwo\nforeign\nthree\nforeign 2\n');
      await third.put('four');
      await rename(file, `${file}.moved`);
      await third.flush();
      await third.put('five');
      equal(await text(), 'five\n');
    });

    it('a committed state that is none is refused before the file is touched', async () => {
      const committed = new CommittedSink();
      committed.set(3, { [file]: { length: -1 } });
      await rejects(start({}, committed), { code: 'STATE_INVALID', remedy: /Reset/ });
      deepEqual(await visible(), []);
    });
  });

  describe('one writer per file', () => {
    it('a second one is refused and told who writes; the end of the first one frees the file', async () => {
      const first = await start({ name: 'first' });
      await rejects(start({ name: 'second' }), { code: 'FILE_IN_USE', message: /written by connector first, task 0, in process \d+/ });
      await first.kill();
      await start({ name: 'second' });
    });

    it('S133: a former owner of the same task that still has the file is waited for: that may pass', async () => {
      const former = await start({ name: 'first' });
      await rejects(start({ name: 'first' }), { code: 'FILE_IN_USE', kind: 'retriable' });
      await rejects(start({ name: 'second' }), { code: 'FILE_IN_USE', kind: 'fatal' });
      await former.kill();
      await start({ name: 'first' });
    });

    it('also by another name of the file', async () => {
      await start();
      await symlink(file, join(folder, 'link'));
      await rejects(start({ file: join(folder, 'link'), name: 'other' }), { code: 'FILE_IN_USE' });
    });
  });

  describe('rotation', () => {
    it('by size: a file is never larger than the limit, and numbers count up', async () => {
      const run = await start({ 'file.rotate.bytes': '10' });
      await run.put('one', 'two', 'three', 'a line beyond the limit', 'x');
      await run.put('y');
      deepEqual(await visible(), ['out.txt', 'out.txt.1', 'out.txt.2', 'out.txt.3']);
      deepEqual(
        [await text(`${file}.1`), await text(`${file}.2`), await text(`${file}.3`), await text()],
        ['one\ntwo\n', 'three\n', 'a line beyond the limit\n', 'x\ny\n'],
      );
      ok(run.commitsWanted > 0, 'asks for a commit, after which rotated files are final');
    });

    it('by time: with the first record after it', async () => {
      const run = await start({ 'file.rotate.ms': '20' });
      await run.put('one');
      const untilMs = Date.now() + 21;
      while (Date.now() < untilMs) await new Promise((resolve) => setImmediate(resolve));
      await run.put('two');
      deepEqual([await text(`${file}.1`), await text()], ['one\n', 'two\n']);
    });

    it('rotations that were not committed are undone', async () => {
      const committed = new CommittedSink();
      const first = await start({ 'file.rotate.bytes': '8' }, committed);
      await first.put('one');
      await first.flush();
      first.commit();
      await first.put('two', 'three', 'four');
      deepEqual(await visible(), ['out.txt', 'out.txt.1', 'out.txt.2']);
      await first.kill();
      await start({ 'file.rotate.bytes': '8' }, committed);
      deepEqual(await visible(), ['out.txt']);
      equal(await text(), 'one\n');
    });

    it('rotated files that were moved away leave the numbers going on', async () => {
      const committed = new CommittedSink();
      const first = await start({ 'file.rotate.bytes': '4' }, committed);
      await first.put('one', 'two');
      await first.stop();
      await rm(`${file}.1`);
      const second = await start({ 'file.rotate.bytes': '4' }, committed);
      await second.put('three');
      deepEqual(await visible(), ['out.txt', 'out.txt.2']);
    });

    it('never overwrites a file that has the next number', async () => {
      const run = await start({ 'file.rotate.bytes': '4' });
      await writeFile(`${file}.1`, 'foreign');
      await run.put('one');
      await rejects(run.put('two'), { code: 'ROTATION_BLOCKED', field: 'file', remedy: /Move/ });
      deepEqual([await text(), await text(`${file}.1`)], ['one\n', 'foreign']);
    });
  });

  describe('faults', () => {
    it('a missing directory, a directory as file: refused with the field', async () => {
      await rejects(start({ file: join(folder, 'no', 'such', 'x') }), {
        kind: 'config',
        field: 'file',
        message: /^Couldn't find or create file/,
      });
      await mkdir(file);
      await rejects(start(), { kind: 'config', field: 'file', message: /is a directory/ });
    });

    it('a full disk: the put fails as a whole, may be tried again, and doubles nothing', async function () {
      const disk = join(folder, 'disk');
      await mkdir(disk);
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'ignore' });
      } catch {
        return this.skip();
      }
      try {
        const path = join(disk, 'out.txt');
        const run = await start({ file: path, 'file.rotate.bytes': '60000' });
        await run.put('one');
        const ballast = join(disk, 'ballast');
        await writeFile(ballast, 'x'.repeat(128 * 1024));
        const lines = Array.from({ length: 1_500 }, (_, item) => `line ${item} ${'x'.repeat(90)}`);
        await rejects(run.put(...lines), { kind: 'retriable', code: 'DISK_FULL', field: 'file', message: new RegExp(path) });
        equal(await text(path), 'one\n');
        await rm(ballast);
        await run.put(...lines);
        const names = (await readdir(disk)).filter((name) => name.startsWith('out.txt.')).sort();
        const all = await Promise.all([...names.map((name) => text(join(disk, name))), text(path)]);
        equal(all.join(''), `one\n${lines.join('\n')}\n`);
        ok(names.length > 1);
        await run.kill();
      } finally {
        execFileSync('umount', [disk]);
      }
    });
  });
});

const victim = join(import.meta.dirname, '../../test/support/file-sink-victim.ts');

/** Commits the victim's first flushes, so many of them; kills it at the next one, while it goes on putting. */
function commitUntilKilled(child: ChildProcess, committed: CommittedSink, commits: number): Promise<void> {
  let left = commits;
  child.on('message', (message) => {
    const { position, states } = message as { readonly position: number; readonly states: SinkState };
    if (left > 0) committed.set(position, states);
    else child.kill('SIGKILL');
    left -= 1;
  });
  return new Promise((resolve) => child.once('exit', () => resolve()));
}
