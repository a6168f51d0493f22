import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { appendFile, copyFile, mkdir, mkdtemp, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { SourceRecord } from '@rocketmq-connect/sdk';
import { between, CommittedOffsets, SourceRun, seededRandom, typedConfig } from '@rocketmq-connect/sdk/testing';
import { FileStreamSource } from './source.ts';

describe('FileStreamSource', () => {
  let folder: string;
  let file: string;
  let runs: SourceRun[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rmqc-source-'));
    file = join(folder, 'app.log');
    runs = [];
  });

  afterEach(async () => {
    for (const run of runs) await run.kill();
    await rm(folder, { recursive: true });
  });

  async function start(more: Record<string, string> = {}, committed?: CommittedOffsets): Promise<SourceRun> {
    const run = await SourceRun.start(
      FileStreamSource,
      { file, topic: 't', 'poll.interval.ms': '10', 'rotate.wait.ms': '40', ...more },
      committed,
    );
    runs.push(run);
    return run;
  }

  /** Polls until the texts came, and says what came. */
  async function texts(run: SourceRun, count: number): Promise<string[]> {
    await run.until((records) => records.length >= count);
    return run.records.map(textOf);
  }

  function messages(run: SourceRun): string {
    return run.logs.map(({ message }) => message).join('\n');
  }

  describe('lines', () => {
    it('offsets and partitions are as Kafka Connect has them, with the file’s name added', async () => {
      await writeFile(file, 'one\ntwo\n');
      const run = await start();
      await texts(run, 2);
      deepEqual(run.records[0]?.partition, { filename: file });
      deepEqual(
        run.records.map(({ offset }) => offset['position']),
        [4, 8],
      );
      match(String(run.records[1]?.offset['file']), /^\d+-[0-9a-f]+$/);
      deepEqual(run.records[0]?.valueSchema, { type: 'string' });
      equal(run.records[0]?.topic, 't');
    });

    it('an unfinished last line waits for its newline', async () => {
      await writeFile(file, 'one\ntw');
      const run = await start();
      deepEqual(await texts(run, 1), ['one']);
      await appendFile(file, 'o');
      const waiting = run.poll();
      await appendFile(file, '\nthree\n');
      await waiting;
      deepEqual(await texts(run, 3), ['one', 'two', 'three']);
    });

    it('empty lines, carriage returns and broken UTF-8 pass through as bytes', async () => {
      const content = Buffer.from('\n\r\nx\r\n\xff\xfe\0\n\n', 'latin1');
      await writeFile(file, content);
      const run = await start();
      await texts(run, 5);
      const copy = Buffer.concat(run.records.flatMap(({ value }) => [value as Buffer, Buffer.from('\n')]));
      deepEqual(copy, content);
    });

    it('a line longer than a chunk is one record', async () => {
      const long = 'y'.repeat(3_000_000);
      await writeFile(file, `a\n${long}\nb\n`);
      const run = await start();
      deepEqual(
        (await texts(run, 3)).map((text) => text.length),
        [1, 3_000_000, 1],
      );
    });

    it('a line longer than line.max.bytes fails the task, after the lines before it', async () => {
      await writeFile(file, `a\nb\n${'y'.repeat(101)}\nc\n`);
      const run = await start({ 'line.max.bytes': '100' });
      deepEqual(await texts(run, 2), ['a', 'b']);
      await rejects(run.poll(), { code: 'LINE_TOO_LONG', field: 'line.max.bytes', message: /byte 4 of .*app\.log/ });
    });

    it('… or is left out with a warning, also when it never fits into memory at once', async () => {
      await writeFile(file, `a\n${'y'.repeat(1_500_000)}\nb\n${'z'.repeat(100)}\n`);
      const run = await start({ 'line.max.bytes': '100', 'line.too.long': 'skip' });
      deepEqual(await texts(run, 3), ['a', 'b', 'z'.repeat(100)]);
      equal(run.records[1]?.offset['position'], 1_500_005);
      const [warning] = run.logs.filter(({ level }) => level === 'warn');
      deepEqual(warning?.fields, { file, position: 2, bytes: 1_500_000, maxBytes: 100 });
    });

    it('whatever the pieces that a file grows by, the records are its lines and positions add up', async () => {
      for (let seed = 1; seed <= 10; seed += 1) {
        const random = seededRandom(seed);
        await rm(file, { force: true });
        const content = Array.from({ length: 60 }, () => 'ab\r\n\n'[between(random, 0, 4)]?.repeat(between(random, 1, 400)) ?? '').join('');
        const text = `${content}\n`;
        const run = await start({ 'batch.size': String(between(random, 1, 50)) });
        const lines = text.split('\n').slice(0, -1);
        for (let at = 0; at < text.length; ) {
          const to = at + between(random, 1, 3_000);
          await appendFile(file, text.slice(at, to));
          at = to;
          if (random() < 0.3 && lines.length > run.records.length && text.slice(0, at).split('\n').length - 1 > run.records.length) {
            await run.poll();
          }
        }
        deepEqual(await texts(run, lines.length), lines, `seed ${seed}`);
        let position = 0;
        for (const { value, offset } of run.records) {
          position += (value as Buffer).length + 1;
          equal(offset['position'], position, `seed ${seed}`);
        }
        await run.kill();
      }
    });

    it('appended lines come at once, well before the interval', async () => {
      await writeFile(file, 'one\n');
      const run = await start({ 'poll.interval.ms': '60000' });
      await texts(run, 1);
      const waiting = run.poll();
      const writtenMs = performance.now();
      await appendFile(file, 'two\n');
      equal((await waiting).map(textOf).join(), 'two');
      ok(performance.now() - writtenMs < 900, 'later than the end of the poll');
    });
  });

  describe('files that are not there or cannot be read', () => {
    it('a file that does not exist yet is waited for, with one line in the log', async () => {
      const run = await start();
      const waiting = run.poll();
      while (run.logs.length === 0) await new Promise((resolve) => setImmediate(resolve));
      await writeFile(file, 'one\n');
      await waiting;
      equal(run.logs.length, 1);
      match(messages(run), /does not exist yet: waiting/);
      deepEqual(await texts(run, 1), ['one']);
    });

    it('a directory is refused with the field', async () => {
      await mkdir(file);
      await rejects(start(), { kind: 'config', field: 'file', message: `${file} is a directory, not a file` });
      await rejects(async () => FileStreamSource.check?.(typedConfig(FileStreamSource, { file, topic: 't' }), planContext()), {
        field: 'file',
      });
    });

    it('a file below a file is refused with the field', async () => {
      await writeFile(file, '');
      await rejects(start({ file: join(file, 'x') }), { kind: 'config', field: 'file' });
    });

    it('a file that may not be read is an error with the field and the remedy', async function () {
      if (process.getuid?.() === 0) return this.skip();
      await writeFile(file, 'one\n', { mode: 0o000 });
      await rejects(async () => (await start()).poll(), { code: 'FILE_FORBIDDEN', field: 'file' });
    });
  });

  describe('rotation', () => {
    it('while it runs: the old file is finished first, then the new one from its beginning', async () => {
      await writeFile(file, 'one\n');
      const run = await start();
      await texts(run, 1);
      await appendFile(file, 'two\n');
      await rename(file, `${file}.1`);
      await appendFile(`${file}.1`, 'three\n');
      await writeFile(file, 'four\n');
      deepEqual(await texts(run, 4), ['one', 'two', 'three', 'four']);
      deepEqual(new Set(run.records.map(({ partition }) => partition)).size, 1);
    });

    it('a writer may finish its line in the old file after the new one is there', async () => {
      await writeFile(file, 'one\ntw');
      const run = await start();
      await texts(run, 1);
      await rename(file, `${file}.1`);
      await writeFile(file, 'three\n');
      const waiting = run.until((records) => records.length >= 3);
      await appendFile(`${file}.1`, 'o\n');
      await waiting;
      deepEqual(run.records.map(textOf), ['one', 'two', 'three']);
    });

    it('an unfinished line of a rotated file is a record in the end', async () => {
      await writeFile(file, 'one\ntwo');
      const run = await start();
      await texts(run, 1);
      await rename(file, `${file}.1`);
      await writeFile(file, 'three\n');
      deepEqual(await texts(run, 3), ['one', 'two', 'three']);
      equal(run.records[1]?.offset['position'], 7);
    });

    it('while it was down: the rotated file is found by its identity and finished first', async () => {
      const committed = await readTwo();
      await appendFile(file, 'three\n');
      await rename(file, `${file}.1`);
      await writeFile(file, 'four\n');
      const run = await start({}, committed);
      deepEqual(await texts(run, 2), ['three', 'four']);
    });

    it('several times while it was down: every file in turn', async () => {
      await writeFile(`${file}.1`, 'long ago\n');
      await utimes(`${file}.1`, 1, 1);
      const committed = await readTwo();
      await appendFile(file, 'three\n');
      await rename(`${file}.1`, `${file}.4`);
      for (const [index, line] of ['four', 'five'].entries()) {
        await rename(file, `${file}.${3 - index}`);
        await utimes(`${file}.${3 - index}`, 1_000 + index, 1_000 + index);
        await writeFile(file, `${line}\n`);
      }
      const run = await start({}, committed);
      deepEqual(await texts(run, 3), ['three', 'four', 'five']);
      equal((await run.last(50)).length, 0);
    });

    it('an inode that was given to a new file does not make it the old one', async () => {
      const committed = await readTwo();
      await rename(file, `${file}.1`);
      // The same inode with other content, as after rm and create.
      await copyFile(`${file}.1`, `${file}.2`);
      await rename(`${file}.1`, file);
      await writeFile(file, 'new 1\nnew 2\nnew 3\n');
      await rm(`${file}.2`);
      const run = await start({}, committed);
      deepEqual(await texts(run, 3), ['new 1', 'new 2', 'new 3']);
      match(messages(run), /is gone: starting with what is there now/);
    });

    it('a rotated file that was compressed meanwhile is finished too', async () => {
      const lines = Array.from({ length: 100 }, (_, item) => `line ${item} ${'x'.repeat(20)}`);
      await writeFile(file, `${lines.slice(0, 60).join('\n')}\n`);
      const committed = new CommittedOffsets();
      const first = await start({}, committed);
      await texts(first, 60);
      await first.stop();
      await writeFile(`${file}.1.gz`, gzipSync(`${lines.join('\n')}\n`));
      await rm(file);
      await writeFile(file, 'next\n');
      const run = await start({}, committed);
      deepEqual(await texts(run, 41), [...lines.slice(60), 'next']);
    });

    it('records keep partition, position and name when they come again out of the rotated file', async () => {
      await writeFile(file, 'one\n');
      const committed = new CommittedOffsets();
      const first = await start({}, committed);
      await texts(first, 1);
      await first.commit();
      await appendFile(file, 'two\nthree\n');
      await texts(first, 3);
      await first.kill();
      await rename(file, `${file}.1`);
      await writeFile(file, 'four\n');
      const second = await start({}, committed);
      await texts(second, 3);
      deepEqual(second.records.slice(0, 2), first.records.slice(1));
    });

    it('killed and rotated at random, with any number of restarts, nothing is lost or doubled', async () => {
      for (let seed = 1; seed <= 6; seed += 1) await rotateAtRandom(seed);
    });

    async function rotateAtRandom(seed: number): Promise<void> {
      const random = seededRandom(seed);
      file = join(folder, `random-${seed}.log`);
      const committed = new CommittedOffsets();
      const done: string[] = [];
      let written = 0;
      const append = async (): Promise<void> => {
        for (let count = between(random, 1, 30); count > 0; count -= 1) await appendFile(file, `line ${written++}\n`);
      };
      let rotations = 0;
      const rotate = async (): Promise<void> => {
        for (let number = rotations; number > 0; number -= 1) await rename(`${file}.${number}`, `${file}.${number + 1}`);
        await rename(file, `${file}.1`);
        // The order of times that writing takes in the field.
        rotations += 1;
        await utimes(`${file}.1`, 1_000 + rotations, 1_000 + rotations);
        await append();
      };
      await append();
      for (let life = 0; life < 4; life += 1) {
        const run = await start({ 'batch.size': '10' }, committed);
        for (let polls = between(random, 1, 4); polls > 0; polls -= 1) {
          if (done.length + run.records.length < written) await run.poll();
          if (random() < 0.3) await append();
        }
        // Before the first commit nothing tells that a rotated file was begun.
        const some = life === 0 ? Math.max(1, run.uncommitted) : between(random, 0, run.uncommitted);
        done.push(...(await run.commit(some)).map(textOf));
        await run.kill();
        if (random() < 0.5) await rotate();
      }
      const last = await start({}, committed);
      await last.until((records) => done.length + records.length >= written);
      done.push(...(await last.commit()).map(textOf));
      await last.kill();
      deepEqual(
        done,
        Array.from({ length: written }, (_, item) => `line ${item}`),
        `seed ${seed}`,
      );
    }
  });

  describe('truncation', () => {
    it('a file that is cut begins anew, and the log says so', async () => {
      await writeFile(file, 'one\ntwo\n');
      const run = await start();
      await texts(run, 2);
      await truncate(file, 0);
      await appendFile(file, 'three\n');
      deepEqual(await texts(run, 3), ['one', 'two', 'three']);
      match(messages(run), /was truncated/);
    });

    it('also when it grew beyond the old length before anybody looked', async () => {
      await writeFile(file, 'one\ntwo\n');
      const run = await start();
      await texts(run, 2);
      deepEqual(await run.poll(), []);
      await writeFile(file, 'a new first line\nand a second\n');
      deepEqual((await texts(run, 4)).slice(2), ['a new first line', 'and a second']);
    });

    it('also while it was down', async () => {
      const committed = await readTwo();
      await writeFile(file, 'x\n');
      const run = await start({}, committed);
      deepEqual(await texts(run, 1), ['x']);
    });

    it('what only the copy of copytruncate holds is read from it, running or down', async () => {
      await writeFile(file, 'one\ntwo\n');
      const committed = new CommittedOffsets();
      const first = await start({}, committed);
      await texts(first, 2);
      await first.commit();
      await appendFile(file, 'three\n');
      await copyTruncate();
      await appendFile(file, '4\n');
      deepEqual(await texts(first, 4), ['one', 'two', 'three', '4']);
      await first.kill();
      const second = await start({}, committed);
      deepEqual(await texts(second, 2), ['three', '4']);
    });

    async function copyTruncate(): Promise<void> {
      await copyFile(file, `${file}.1`);
      await truncate(file, 0);
    }
  });

  describe('offsets', () => {
    it('with only a position, as Kafka Connect and users write them, are taken', async () => {
      await writeFile(file, 'one\ntwo\nthree\n');
      const committed = new CommittedOffsets();
      committed.set({ filename: file }, { position: 4 });
      deepEqual(await texts(await start({}, committed), 2), ['two', 'three']);
    });

    it('a position beyond the end of the file begins it anew, with a warning', async () => {
      await writeFile(file, 'one\n');
      const committed = new CommittedOffsets();
      committed.set({ filename: file }, { position: 400 });
      const run = await start({}, committed);
      deepEqual(await texts(run, 1), ['one']);
      equal(run.logs.filter(({ level }) => level === 'warn').length, 1);
    });

    it('S081: altered ones are refused with a clear text unless they are {filename} and {position}', () => {
      const config = typedConfig(FileStreamSource, { file, topic: 't' });
      const alter = (partition: object, offset: object | null) => () =>
        FileStreamSource.alterOffsets?.(config, [{ partition: partition as never, offset: offset as never }]);
      throws(alter({ foo: 1 }, { position: 1 }), { kind: 'config', message: "Partition objects should contain the key 'filename'" });
      throws(alter({ filename: file }, {}), { message: "Offset objects should either be null or contain the key 'position'" });
      throws(alter({ filename: file }, { position: 'x' }), { field: 'offset.position' });
      throws(alter({ filename: file }, { position: -1 }), { message: /non-negative/ });
      throws(alter({ filename: file }, { position: 1.5 }), { field: 'offset.position' });
      alter({ filename: file }, { position: 0 })();
      alter({ anything: 1 }, null)();
      const stdin = typedConfig(FileStreamSource, { topic: 't' });
      throws(() => FileStreamSource.alterOffsets?.(stdin, []), { field: 'file', message: /stdin/ });
    });
  });

  describe('several files', () => {
    it('a glob is dealt to the tasks, without the rotated files of its matches', async () => {
      for (const name of ['a.log', 'a.log.1', 'b.log', 'b.log-20260131', 'c.log', 'old.log.7']) await writeFile(join(folder, name), '');
      await mkdir(join(folder, 'd.log'));
      const config = typedConfig(FileStreamSource, { file: join(folder, '*.log*'), topic: 't' });
      const plan = await FileStreamSource.plan?.(config, planContext(2));
      deepEqual(
        plan?.map(({ files }) => (JSON.parse(files ?? '') as string[]).map((path) => basename(path))),
        [
          ['a.log', 'c.log'],
          ['b.log', 'old.log.7'],
        ],
      );
    });

    it('a file that has glob characters in its own name is one file', async () => {
      file = join(folder, 'a[1].log');
      await writeFile(file, 'one\n');
      deepEqual(await texts(await start(), 1), ['one']);
    });

    it('a glob without matches is one idle task', async () => {
      const run = await start({ file: join(folder, '*.none') });
      deepEqual(await run.last(30), []);
    });

    it('asks for a new plan when a file appears, and not when one vanishes', async () => {
      await writeFile(join(folder, 'a.log'), '');
      const config = typedConfig(FileStreamSource, { file: join(folder, '*.log'), topic: 't', 'refresh.interval.ms': '10' });
      const abort = new AbortController();
      let replans = 0;
      let replanned = (): void => undefined;
      const next = (): Promise<void> =>
        new Promise((resolve) => {
          replanned = resolve;
        });
      let wanted = next();
      const ended = FileStreamSource.watch?.(
        config,
        () => {
          replans += 1;
          replanned();
        },
        abort.signal,
      );
      await wanted;
      wanted = next();
      await rm(join(folder, 'a.log'));
      await writeFile(join(folder, 'b.log'), '');
      await wanted;
      equal(replans, 2);
      abort.abort();
      await ended;
    });

    it('an error in one file takes no lines of another with it', async () => {
      await writeFile(join(folder, 'a.log'), 'one\n');
      await writeFile(join(folder, 'b.log.gz'), 'damaged');
      const run = await start({ file: join(folder, '*.{log,gz}') });
      deepEqual(await texts(run, 1), ['one']);
      await rejects(run.poll(), { code: 'FILE_DAMAGED' });
    });

    it('a busy file does not starve another', async () => {
      await writeFile(join(folder, 'a.log'), 'x\n'.repeat(100_000));
      await writeFile(join(folder, 'b.log'), 'y\n');
      const run = await start({ file: join(folder, '*.log'), 'batch.size': '100' });
      await run.poll();
      await run.poll();
      ok(run.records.some((record) => textOf(record) === 'y'));
    });
  });

  describe('gzip', () => {
    it('positions count uncompressed bytes, and the last line needs no newline', async () => {
      file = join(folder, 'app.log.gz');
      await writeFile(file, gzipSync('one\ntwo'));
      const run = await start();
      deepEqual(await texts(run, 2), ['one', 'two']);
      deepEqual(
        run.records.map(({ offset }) => offset['position']),
        [4, 7],
      );
    });

    it('one that is still being written gives its lines as they come', async () => {
      file = join(folder, 'app.log.gz');
      const whole = gzipSync(Array.from({ length: 20_000 }, (_, item) => `line ${item * 7919}\n`).join(''));
      await writeFile(file, whole.subarray(0, whole.length / 2));
      const run = await start();
      await run.until((records) => records.length > 0);
      await appendFile(file, whole.subarray(whole.length / 2));
      const lines = await texts(run, 20_000);
      equal(lines.at(-1), `line ${19_999 * 7919}`);
      equal(lines.length, 20_000);
    });

    it('one that is none, or damaged, fails with a clear text', async () => {
      file = join(folder, 'app.log.gz');
      await writeFile(file, 'this is no gzip file\n');
      await rejects((await start()).poll(), { code: 'FILE_DAMAGED', field: 'file' });
    });
  });

  describe('what is no regular file', () => {
    it('a named pipe gives its lines, over several writers', async function () {
      if (process.platform === 'win32') return this.skip();
      execFileSync('mkfifo', [file]);
      const run = await start();
      const reading = run.poll();
      for (const line of ['one', 'two']) await appendFile(file, `${line}\n`);
      await reading;
      deepEqual(await texts(run, 2), ['one', 'two']);
    });

    it('without a file it reads the standard input', async () => {
      const script = `
        import { FileStreamSource } from '@rocketmq-connect/connector-file';
        import { SourceRun } from '@rocketmq-connect/sdk/testing';
        const run = await SourceRun.start(FileStreamSource, { topic: 't', 'poll.interval.ms': '10' });
        await run.until((records) => records.length === 3);
        console.log(JSON.stringify(run.records.map(({ partition, value }) => [partition, String(value)])));
        await run.kill();`;
      // A pipe of the shell: one by spawn would be a socket.
      const command = `(printf 'one\\ntwo\\n'; printf three) | "$0" --input-type=module -e "$1"`;
      const child = spawn('sh', ['-c', command, process.execPath, script], { cwd: import.meta.dirname });
      let output = '';
      child.stdout.on('data', (data) => {
        output += data;
      });
      let errors = '';
      child.stderr.on('data', (data) => {
        errors += data;
      });
      await new Promise((resolve) => child.once('close', resolve));
      equal(errors, '');
      deepEqual(
        JSON.parse(output),
        ['one', 'two', 'three'].map((line) => [{ filename: '-' }, line]),
      );
    });
  });

  it('the lag is the bytes not read yet', async () => {
    await writeFile(file, 'one\ntwo\nthree\n');
    const run = await start({ 'batch.size': '1' });
    await run.poll();
    equal(run.lag, 10);
    await texts(run, 3);
    equal(run.lag, 0);
  });

  it('the lag is told per file, also of those that were not begun and of what comes while nothing is polled', async () => {
    const [first, second] = [join(folder, '1.log'), join(folder, '2.log')];
    await writeFile(first, 'one\ntwo\n');
    await writeFile(second, 'three\n');
    const run = await start({ file: join(folder, '*.log'), 'batch.size': '1', 'tasks.max': '1' });
    const lags = (): Record<string, number> =>
      Object.fromEntries(run.lags.map(({ partition, lag }) => [String(partition['filename']), lag] as const));
    const seen = async (expected: Record<string, number>): Promise<void> => {
      const limitMs = performance.now() + 2_000;
      while (!isDeepStrictEqual(lags(), expected) && performance.now() < limitMs) await turn();
      deepEqual(lags(), expected);
    };
    await seen({ [first]: 8, [second]: 6 });
    await run.poll();
    await appendFile(first, 'four\n');
    await appendFile(second, 'five\n');
    await seen({ [first]: 9, [second]: 11 });
    equal(run.lag, 20);
    await texts(run, 5);
    deepEqual(lags(), { [first]: 0, [second]: 0 });
  });

  it('a write and a rename in one tick are seen in order', async () => {
    await writeFile(file, 'one\n');
    equal((await stat(file)).size, 4);
    const run = await start();
    await texts(run, 1);
    for (let turn = 2; turn <= 4; turn += 1) {
      await rename(file, `${file}.${turn}`);
      await writeFile(file, `${turn}\n`);
      await texts(run, turn);
    }
    deepEqual(run.records.map(textOf), ['one', '2', '3', '4']);
  });

  async function readTwo(): Promise<CommittedOffsets> {
    await writeFile(file, 'one\ntwo\n');
    const committed = new CommittedOffsets();
    const run = await start({}, committed);
    await texts(run, 2);
    await run.stop();
    return committed;
  }
});

function textOf({ value }: SourceRecord): string {
  return String(value);
}

function planContext(maxTasks = 1): { maxTasks: number; signal: AbortSignal } {
  return { maxTasks, signal: new AbortController().signal };
}
