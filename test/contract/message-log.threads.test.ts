import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { connectEmbeddedLog } from '@rocketmq-connect/message-log/embedded/client';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { between, seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import type { ThreadTask } from '../support/message-log-thread.ts';
import { batchOf, bodiesOf } from './message-log.ts';

const MIB = 1024 * 1024;

describe('The embedded log, shared by threads', function () {
  this.timeout(60_000);
  let directory: string;
  let log: EmbeddedLog;
  let client: MessageLog;
  let queues: readonly QueueAddress[];
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'log-threads-'));
    log = await EmbeddedLog.open(directory, { segmentBytes: MIB });
    client = connectEmbeddedLog(log.connect().connection);
    ({ queues } = await client.createTopic('shared', { queues: 4 }));
  });
  afterEach(async () => {
    await client.close();
    await log.close();
    rmSync(directory, { recursive: true });
  });

  function start(task: ThreadTask): { worker: Worker; ended: Promise<unknown>; kill(): Promise<void> } {
    const { connection, transferList, release } = log.connect();
    const worker = new Worker(new URL('../support/message-log-thread.ts', import.meta.url), {
      workerData: { connection, task },
      transferList: [...transferList],
    });
    let answer: unknown;
    worker.on('message', (message) => {
      answer = message;
    });
    const ended = new Promise<unknown>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => {
        release();
        resolve(answer);
      });
    });
    const kill = async (): Promise<void> => {
      await worker.terminate();
      await ended;
    };
    return { worker, ended, kill };
  }

  it('keeps the order of each writer, without gap or tear, while several write and read the same queues and different ones', async () => {
    const [shared, alsoShared, ...own] = queues as [QueueAddress, QueueAddress, ...QueueAddress[]];
    const [batches, batchSize] = [150, 7];
    const writers = own.map((queue, index) =>
      start({
        does: 'write',
        name: `w${index}`,
        queues: [shared, alsoShared, queue],
        batches,
        batchSize,
        bodyBytes: 200,
        acknowledged: new SharedArrayBuffer(12),
      }),
    );
    const each = batches * batchSize;
    const readers = [
      start({ does: 'read', queues: [shared, ...own], count: each * 4 }),
      start({ does: 'read', queues: [shared, alsoShared], count: each * 4 }),
    ];
    await Promise.all(writers.map(({ ended }) => ended));
    const [left, right] = (await Promise.all(readers.map(({ ended }) => ended))) as Record<number, string[]>[];
    assert.deepEqual(left?.[0], right?.[0], 'both read the same');
    for (const [bodies, names] of [
      [left?.[0], ['w0', 'w1']],
      [right?.[1], ['w0', 'w1']],
      [left?.[2], ['w0']],
      [left?.[3], ['w1']],
    ] as const) {
      assert.equal(bodies?.length, each * names.length);
      for (const name of names) inOrder(bodies ?? [], name, each);
    }
  });

  it('loses nothing that was acknowledged when writers are killed at random moments, and frees their locks', async () => {
    const random = seededRandom(20_261_123);
    const [queue] = queues as [QueueAddress];
    const acknowledged = new Map<string, Int32Array>();
    for (let round = 0; round < 8; round++) {
      const doomed = [0, 1].map((index) => {
        const counts = new SharedArrayBuffer(4);
        const name = `r${round}w${index}`;
        acknowledged.set(name, new Int32Array(counts));
        // Large batches: most of the time is spent inside the lock.
        return start({
          does: 'write',
          name,
          queues: [queue],
          batches: 1_000_000,
          batchSize: between(random, 1, 20),
          bodyBytes: 5_000,
          acknowledged: counts,
        });
      });
      const counts = [0, 1].map((index) => acknowledged.get(`r${round}w${index}`) as Int32Array);
      await until(() => counts.every((count) => Atomics.load(count, 0) > 0));
      const spins = between(random, 0, 200_000);
      for (let spin = 0; spin < spins; spin++);
      await Promise.all(doomed.map(({ kill }) => kill()));
      await client.send(queue, batchOf([`main:0:${round}`]));
    }
    const verify = async (from: MessageLog): Promise<void> => {
      const bodies = await readAll(from, queue);
      inOrder(bodies, 'main', 8);
      for (const [name, counts] of acknowledged) {
        const stored = bodies.filter((body) => body.startsWith(`${name}:`)).length;
        assert.ok(stored >= (counts[0] ?? 0), `${name}: ${counts[0]} acknowledged, ${stored} stored`);
        inOrder(bodies, name, stored);
      }
    };
    await verify(client);

    // The same after an end of the whole process without a word: nobody closed this log.
    const again = await EmbeddedLog.open(directory, { segmentBytes: MIB });
    const reopened = connectEmbeddedLog(again.connect().connection);
    await verify(reopened);
    await reopened.close();
    await again.close();
  });

  it('frees the lock that a killed thread held: a send that waits for it goes through', async () => {
    const flag = new SharedArrayBuffer(4);
    const holder = start({ does: 'holdLock', slot: 0, acknowledged: flag });
    await until(() => Atomics.load(new Int32Array(flag), 0) === 1);
    let done = false;
    const sending = client.send(queues[0] as QueueAddress, batchOf(['waits'])).then((result) => {
      done = true;
      return result;
    });
    // Another queue is not concerned.
    await client.send(queues[1] as QueueAddress, batchOf(['does not wait']));
    assert.equal(done, false);
    await holder.kill();
    assert.deepEqual(await sending, { offset: 0 });
  });

  it('wakes a reader in another thread', async () => {
    const reader = start({ does: 'read', queues: [queues[2] as QueueAddress], count: 2 });
    await client.send(queues[2] as QueueAddress, batchOf(['one']));
    await client.send(queues[2] as QueueAddress, batchOf(['two']));
    assert.deepEqual(await reader.ended, { 2: ['one', 'two'] });
  });

  it('refuses clients once it is closed', async () => {
    const reader = await client.assign('test', [{ queue: queues[0] as QueueAddress, position: 0 }]);
    const waiting = reader.read(MIB, 600_000, new AbortController().signal);
    const ended = assert.rejects(waiting, { code: 'LOG_CLOSED' });
    await log.close();
    await ended;
    await assert.rejects(client.send(queues[0] as QueueAddress, batchOf(['late'])), { code: 'LOG_CLOSED' });
    await assert.rejects(client.listTopics(), { code: 'LOG_CLOSED' });
  });
});

/** All messages of a writer, numbered from 0 to `count`, each once. */
function inOrder(bodies: readonly string[], name: string, count: number): void {
  const own = bodies.filter((body) => body.startsWith(`${name}:`)).map((body) => Number(body.split(':')[2]));
  assert.deepEqual(
    own,
    Array.from({ length: count }, (_, n) => n),
    `messages of ${name}`,
  );
}

async function readAll(client: MessageLog, queue: QueueAddress): Promise<string[]> {
  const reader = await client.assign('all', [{ queue, position: 0 }]);
  const bodies: string[] = [];
  const max = await client.maxOffset(queue);
  while (bodies.length < max) {
    for (const fetched of await reader.read(4 * MIB, 1_000, new AbortController().signal)) {
      bodies.push(...bodiesOf(fetched).map((body) => body.trimEnd()));
    }
  }
  await reader.close();
  return bodies;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
