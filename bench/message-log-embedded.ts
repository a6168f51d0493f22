/**
 * Records/s of the embedded log in one thread, with its own batches: `node bench/message-log-embedded.ts [records] [body bytes] [batch]`.
 * Prints one line per step; steps build on each other.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectEmbeddedLog } from '@rocketmq-connect/message-log/embedded/client';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { BatchBuilder, decodeMessages, encodeProperty } from '@rocketmq-connect/message-log/message';

const [records = 2_000_000, bodyBytes = 137, batchSize = 1_000] = process.argv.slice(2).map(Number);
const body = Buffer.alloc(bodyBytes, 'x');
const properties = encodeProperty('rmqc.id', 'quickstart:3f2a9c:1234567:0');
const directory = mkdtempSync(join(tmpdir(), 'rmqc-bench-log-'));
const log = await EmbeddedLog.open(directory);
const client = connectEmbeddedLog(log.connect().connection);
const { queues } = await client.createTopic('bench', { queues: 4 });
const batches = Math.ceil(records / batchSize);

const built = await step('build batches', async () => {
  const builder = new BatchBuilder();
  for (let batch = 0; batch < batches; batch++) {
    for (let index = 0; index < batchSize; index++) builder.add(body, properties);
    builder.take();
  }
});
const builder = new BatchBuilder();
for (let index = 0; index < batchSize; index++) builder.add(body, properties);
const ready = builder.take();
const appended = await step('append', async () => {
  for (let batch = 0; batch < batches; batch++) await client.send(queues[batch % queues.length] as (typeof queues)[0], ready);
});
await step('flush', () => client.flush());
const fetched = await step('read', () => readAll(() => {}));
const decoded = await step('read and decode', () =>
  readAll((bytes) =>
    decodeMessages(bytes, (found) => {
      if (found.length !== bodyBytes) throw new Error('another body came back');
    }),
  ),
);
await client.close();
await log.close();
rmSync(directory, { recursive: true });
console.log(
  `RSS ${Math.round(process.memoryUsage.rss() / 1e6)} MB; slowest step ${Math.round(Math.min(built, appended, fetched, decoded) / 1e3)} k records/s`,
);

async function readAll(visit: (bytes: Buffer) => void): Promise<void> {
  const reader = await client.assign(
    'bench',
    queues.map((queue) => ({ queue, position: 0 })),
  );
  const { signal } = new AbortController();
  for (let seen = 0; seen < batches * batchSize; ) {
    for (const { count, bytes } of await reader.read(1024 * 1024, 1_000, signal)) {
      seen += count;
      visit(bytes);
    }
  }
  await reader.close();
}

async function step(name: string, work: () => Promise<void>): Promise<number> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const rate = (batches * batchSize * 1_000) / ms;
  console.log(
    `${name.padEnd(16)} ${Math.round(rate / 1e3).toLocaleString('en')} k records/s, ${Math.round((user + system) / 1e3)} ms CPU of ${Math.round(ms)} ms, RSS ${Math.round(process.memoryUsage.rss() / 1e6)} MB`,
  );
  return rate;
}
