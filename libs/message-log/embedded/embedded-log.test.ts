import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { MessageBatch, MessageLog, QueueAddress, QueueReader } from '../index.ts';
import { BatchBuilder, decodeMessages } from '../message.ts';
import { connectEmbeddedLog } from './client.ts';
import { ControlMemory, MAX_QUEUES } from './control.ts';
import { EmbeddedLog, type EmbeddedLogOptions } from './log.ts';
import { type WriteAt, writeAt } from './writer.ts';

const { signal } = new AbortController();
const queue: QueueAddress = { topic: 'lines', broker: 'embedded', queue: 0 };

describe('EmbeddedLog', () => {
  let directory: string;
  let opened: EmbeddedLog[];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'embedded-log-'));
    opened = [];
  });
  afterEach(async () => {
    for (const log of opened) await log.close().catch(() => {});
    rmSync(directory, { recursive: true, force: true });
  });

  /** A log whose upkeep is done only when asked. */
  async function open(options: EmbeddedLogOptions = {}, at = directory): Promise<EmbeddedLog> {
    const log = await EmbeddedLog.open(at, { upkeepMs: 0, segmentBytes: 500, ...options });
    opened.push(log);
    return log;
  }

  async function openWithTopic(options: EmbeddedLogOptions = {}): Promise<{ log: EmbeddedLog; client: MessageLog }> {
    const log = await open(options);
    const client = connectEmbeddedLog(log.connect().connection);
    await client.createTopic('lines', { queues: 1 });
    return { log, client };
  }

  it('keeps topics and messages over a clean end and over an abrupt one', async () => {
    const { log, client } = await openWithTopic();
    await client.createTopic('a|b%c', { queues: 3 });
    await client.createTopic('gone', { queues: 1 });
    await client.deleteTopic('gone');
    for (let at = 0; at < 20; at++) await client.send(queue, batchOf([`${at}`]));
    await client.close();
    await log.close();
    // The second time it is opened without a close before.
    for (let round = 0; round < 2; round++) {
      const again = await open();
      assert.deepEqual(again.findings, []);
      const reader = connectEmbeddedLog(again.connect().connection);
      assert.deepEqual(await reader.listTopics(), ['a|b%c', 'lines']);
      assert.equal((await reader.describeTopic('a|b%c')).queues.length, 3);
      assert.deepEqual(
        await contentOf(reader),
        Array.from({ length: 20 + round }, (_, at) => `${at}`),
      );
      await reader.send(queue, batchOf([`${20 + round}`]));
    }
  });

  it('holds exactly what was acknowledged, through any sequence of appends, crashes, torn writes, flushes, deletions and retention', async () => {
    const operation = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), messages: fc.integer({ min: 1, max: 9 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'close' as const, 'flush' as const, 'upkeep' as const) }) },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant('tornWrite' as const), bytes: fc.nat(300), messages: fc.integer({ min: 1, max: 9 }) }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('deadThread' as const, 'recreate' as const, 'expire' as const) }) },
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
        const at = join(directory, `run-${run++}`);
        const clock = { nowMs: 1_000_000 };
        let fault: number | undefined;
        const write: WriteAt = (fd, buffers, position) => {
          if (fault === undefined) return writeAt(fd, buffers, position);
          const whole = Buffer.concat(buffers);
          const part = Math.min(fault, whole.length - 1);
          return part === 0 ? 0 : writeAt(fd, [whole.subarray(0, part)], position);
        };
        const options = { retentionMs: 5_000, now: () => clock.nowMs };
        let log = await open(options, at);
        const connect = () => connectEmbeddedLog(log.connect().connection, { write, now: () => clock.nowMs });
        let client = connect();
        await client.createTopic('lines', { queues: 1 });
        let acknowledged: string[] = [];
        let made = 0;
        for (const step of operations) {
          clock.nowMs += 10;
          if (step.do === 'append') {
            const bodies = Array.from({ length: step.messages }, () => `message ${made++}`);
            assert.deepEqual(await client.send(queue, batchOf(bodies)), { offset: acknowledged.length });
            acknowledged.push(...bodies);
          } else if (step.do === 'tornWrite') {
            fault = step.bytes;
            // No two alike: the head of one torn write before the rest of another would be a whole batch if they held the same.
            const bodies = Array.from({ length: step.messages }, () => `never acknowledged ${made++}`);
            await assert.rejects(client.send(queue, batchOf(bodies)), { kind: 'retriable', code: 'DISK_FULL' });
            fault = undefined;
          } else if (step.do === 'flush') {
            await client.flush();
          } else if (step.do === 'upkeep') {
            await log.upkeep();
          } else if (step.do === 'expire') {
            clock.nowMs += 5_000;
            await log.upkeep();
          } else if (step.do === 'recreate') {
            await client.deleteTopic('lines');
            await client.createTopic('lines', { queues: 1 });
            acknowledged = [];
          } else if (step.do === 'deadThread') {
            const dead = log.connect();
            const control = new ControlMemory(dead.connection.control);
            const slot = [0, 1].find((candidate) => control.topic(candidate) !== 0) ?? 0;
            assert.ok(control.tryLock(slot, dead.connection.id));
            const bodies = [`message ${made++}`];
            const sending = client.send(queue, batchOf(bodies));
            dead.release();
            assert.deepEqual(await sending, { offset: acknowledged.length });
            acknowledged.push(...bodies);
          } else {
            await client.close();
            if (step.do === 'close') await log.close();
            log = await open(options, at);
            client = connect();
          }
          const min = await client.minOffset(queue);
          assert.ok(step.do === 'expire' || step.do !== 'append' || min <= acknowledged.length);
          assert.deepEqual(await contentOf(client, min), acknowledged.slice(min));
          assert.equal(await client.maxOffset(queue), acknowledged.length);
        }
        await client.close();
        await log.close();
      }),
      { numRuns: 40 },
    );
  }).timeout(60_000);

  describe('on a full disk', () => {
    for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG']) {
      it(`refuses with a retriable error (${code}), stores nothing, and goes on when there is room`, async () => {
        const log = await open();
        let full = false;
        const client = connectEmbeddedLog(log.connect().connection, {
          write: (fd, buffers, position) => {
            if (full) throw Object.assign(new Error('no space'), { code });
            return writeAt(fd, buffers, position);
          },
        });
        await client.createTopic('lines', { queues: 1 });
        await client.send(queue, batchOf(['a']));
        full = true;
        for (let attempt = 0; attempt < 3; attempt++) {
          await assert.rejects(client.send(queue, batchOf(['b'])), { kind: 'retriable', code: 'DISK_FULL', field: 'dataDir' });
        }
        assert.equal(await client.maxOffset(queue), 1);
        full = false;
        await client.send(queue, batchOf(['c']));
        assert.deepEqual(await contentOf(client), ['a', 'c']);
      });
    }
  });

  it('keeps what was appended after a roll to a new segment had failed', async () => {
    const log = await open();
    let torn = false;
    const client = connectEmbeddedLog(log.connect().connection, {
      write: (fd, buffers, position) => (torn ? 0 : writeAt(fd, buffers, position)),
    });
    await client.createTopic('lines', { queues: 1 });
    const large = (letter: string): MessageBatch => batchOf([letter.repeat(300)]);
    await client.send(queue, large('a'));
    torn = true;
    await assert.rejects(client.send(queue, large('b')), { code: 'DISK_FULL' });
    torn = false;
    // It would fit into the first segment; the file of the second one is there.
    for (const body of ['c', 'd']) await client.send(queue, batchOf([body]));
    const content = ['a'.repeat(300), 'c', 'd'];
    assert.deepEqual(await contentOf(client), content);
    const again = await open();
    assert.deepEqual(await contentOf(connectEmbeddedLog(again.connect().connection)), content);
  });

  describe('retention', () => {
    it('deletes closed segments by age, never the one written to, and tells readers that fall behind', async () => {
      const clock = { nowMs: 1_000_000 };
      const log = await open({ retentionMs: 60_000, now: () => clock.nowMs });
      const client = connectEmbeddedLog(log.connect().connection, { now: () => clock.nowMs });
      await client.createTopic('lines', { queues: 1 });
      for (let at = 0; at < 30; at++) await client.send(queue, batchOf([`${at}`.padEnd(50)]));
      const behind = await client.assign('test', [{ queue, position: 0 }]);
      await log.upkeep();
      assert.equal(await client.minOffset(queue), 0);
      clock.nowMs += 60_000;
      await log.upkeep();
      const min = await client.minOffset(queue);
      assert.ok(min > 0 && min < 30, `${min}`);
      assert.equal((await contentOf(client, min)).length, 30 - min);
      await assert.rejects(behind.read(1_000, 0, signal), { code: 'POSITION_BELOW_MINIMUM', position: 0, resumeAt: min });
      behind.seek(queue, min);
      assert.equal((await behind.read(1, 0, signal))[0]?.offset, min);
    });

    it('lets a reader finish the segment that it is in', async () => {
      const { log, client } = await openWithTopic({ retentionBytes: 1 });
      for (let at = 0; at < 30; at++) await client.send(queue, batchOf([`${at}`.padEnd(50)]));
      const reader = await client.assign('test', [{ queue, position: 0 }]);
      assert.equal((await reader.read(100, 0, signal))[0]?.offset, 0);
      await log.upkeep();
      assert.equal((await reader.read(100, 0, signal))[0]?.offset, 1);
      await assert.rejects(
        async () => {
          for (;;) await reader.read(100, 0, signal);
        },
        { code: 'POSITION_BELOW_MINIMUM' },
      );
    });

    it('keeps as many bytes as asked for, rounded up to segments; 0 keeps all', async () => {
      const { log, client } = await openWithTopic({ retentionMs: 0 });
      for (let at = 0; at < 30; at++) await client.send(queue, batchOf([`${at}`.padEnd(50)]));
      await log.upkeep();
      assert.equal(await client.minOffset(queue), 0);
      await client.close();
      await log.close();
      const again = await open({ retentionMs: 0, retentionBytes: 1_000 });
      await again.upkeep();
      const bytes = segmentFiles(directory).reduce((sum, path) => sum + readFileSync(path).length, 0);
      assert.ok(bytes >= 1_000 && bytes < 1_500, `${bytes}`);
      assert.ok((await connectEmbeddedLog(again.connect().connection).minOffset(queue)) > 0);
    });
  });

  describe('refuses clearly', () => {
    it('a newer layout', async () => {
      await (await open()).close();
      writeFileSync(join(directory, 'layout'), '2\n');
      await assert.rejects(open(), { kind: 'fatal', code: 'LAYOUT_NEWER', field: 'dataDir' });
      writeFileSync(join(directory, 'layout'), 'what');
      await assert.rejects(open(), { kind: 'fatal', code: 'LAYOUT_INVALID' });
    });

    it('a registry with a flipped bit, cut short, or gone', async () => {
      const { log, client } = await openWithTopic();
      await client.close();
      await log.close();
      const path = join(directory, 'topics.json');
      const good = readFileSync(path);
      const corrupt = { kind: 'fatal', code: 'REGISTRY_CORRUPT', field: 'dataDir' };
      for (let at = 0; at < good.length; at += 7) {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] ?? 0) ^ 4;
        writeFileSync(path, bad);
        await assert.rejects(open(), corrupt);
      }
      writeFileSync(path, good.subarray(0, good.length / 2));
      await assert.rejects(open(), corrupt);
      rmSync(path);
      await assert.rejects(open(), corrupt);
      writeFileSync(path, good);
      await open();
    });

    it('a directory that is a file, or cannot be written', async () => {
      writeFileSync(join(directory, 'file'), '');
      await assert.rejects(open({}, join(directory, 'file')), { kind: 'fatal', field: 'dataDir' });
      if (process.getuid?.() === 0) return;
      mkdirSync(join(directory, 'locked'), { mode: 0o500 });
      await assert.rejects(open({}, join(directory, 'locked')), { kind: 'fatal', code: 'STORAGE_DENIED', field: 'dataDir' });
      chmodSync(join(directory, 'locked'), 0o700);
    });

    it('to say that something is safe on a directory that was moved away', async () => {
      const { client } = await openWithTopic();
      await client.send(queue, batchOf(['a']));
      renameSync(join(directory, 'topics'), join(directory, 'elsewhere'));
      await assert.rejects(client.flush(), { kind: 'fatal', code: 'STORAGE_GONE', field: 'dataDir' });
      await assert.rejects(client.send(queue, batchOf(['b'])), { kind: 'fatal', code: 'STORAGE_FAILED' });
    });

    it('a message that is to be delivered later', async () => {
      const { client } = await openWithTopic();
      const refused = { kind: 'config', code: 'DELAY_NOT_SUPPORTED', field: 'rocketmq.delay.ms' };
      await assert.rejects(client.send(queue, { ...batchOf(['a']), delayMs: 1_000 }), refused);
      assert.equal(await client.maxOffset(queue), 0);
    });

    it('more queues than it has room for', async () => {
      const { client } = await openWithTopic();
      for (let topic = 0; topic < 15; topic++) await client.createTopic(`t${topic}`, { queues: 1024 });
      await assert.rejects(client.createTopic('last', { queues: 1024 }), { kind: 'config', code: 'TOO_MANY_QUEUES', field: 'queues' });
      assert.equal(MAX_QUEUES, 16_384);
      await client.createTopic('last', { queues: 1023 });
      await client.deleteTopic('t0');
      await client.createTopic('t0', { queues: 1024 });
    }).timeout(30_000);
  });

  it('goes on without a checkpoint that cannot be read, and says so', async () => {
    const { log, client } = await openWithTopic();
    for (let at = 0; at < 20; at++) await client.send(queue, batchOf([`${at}`]));
    await client.close();
    await log.close();
    appendFileSync(join(directory, 'checkpoint.json'), 'x');
    const again = await open();
    assert.deepEqual(again.findings, [{ kind: 'checkpointCorrupt' }]);
    assert.equal((await contentOf(connectEmbeddedLog(again.connect().connection))).length, 20);
  });

  it('says where and in which queue it found a torn tail', async () => {
    const { log, client } = await openWithTopic();
    await client.send(queue, batchOf(['a']));
    await client.close();
    await log.close();
    const [path = ''] = segmentFiles(directory);
    const size = readFileSync(path).length;
    appendFileSync(path, 'half a frame');
    const again = await open();
    assert.deepEqual(again.findings, [{ kind: 'tornTail', topic: 'lines', queue: 0, path, at: size, offset: 1, bytes: 12 }]);
  });

  it('removes what a crash left of a deleted topic', async () => {
    await (await open()).close();
    mkdirSync(join(directory, 'topics', '77-old', '0'), { recursive: true });
    await open();
    assert.equal(existsSync(join(directory, 'topics', '77-old')), false);
  });

  it('flushes what a client has only read: positions may rely on it', async () => {
    const { log, client } = await openWithTopic();
    await client.send(queue, batchOf(['a']));
    const connected = log.connect();
    const control = new ControlMemory(connected.connection.control);
    const sink = connectEmbeddedLog(connected.connection);
    assert.deepEqual(await contentOf(sink), ['a']);
    assert.equal(control.flushed(0), 0);
    await sink.flush();
    assert.equal(control.flushed(0), 1);
  });
});

async function contentOf(client: MessageLog, from = 0): Promise<string[]> {
  const reader = await client.assign('content', [{ queue, position: from }]);
  const content: string[] = [];
  for (let lag = lagOf(reader); lag > 0; lag = lagOf(reader)) {
    for (const { bytes } of await reader.read(64 * 1024, 0, signal)) decodeMessages(bytes, (body) => content.push(body.toString()));
    assert.ok(lagOf(reader) < lag);
  }
  await reader.close();
  return content;
}

function batchOf(bodies: readonly string[]): MessageBatch {
  const builder = new BatchBuilder(256);
  for (const body of bodies) builder.add(Buffer.from(body), '');
  return builder.take();
}

function segmentFiles(directory: string): string[] {
  return readdirSync(join(directory, 'topics'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.log'))
    .map((name) => join(directory, 'topics', name));
}

function lagOf(reader: QueueReader): number {
  return reader.lags().reduce((sum, { lag }) => sum + lag, 0);
}
