import type { FetchedMessages, MessageBatch, MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, decodeFetched, encodeProperty } from '@rocketmq-connect/message-log/message';
import { measured, type Work } from './rounds.ts';

const PROPERTIES = encodeProperty('rmqc.id', 'k3x9abcdefghijklmnop.2n9c');
const READ_BYTES = 256 * 1024;

/** A batch of records as the pipeline makes them: text of so many bytes, and an id. */
export function buildBatch(builder: BatchBuilder, body: Buffer, count: number): MessageBatch {
  for (let i = 0; i < count; i++) builder.add(body, PROPERTIES);
  return builder.take();
}

/** Builds and sends batches through the port, one in flight per queue. */
export function sendThrough(
  connect: () => MessageLog,
  queues: readonly QueueAddress[],
  body: Buffer,
  batchSize: number,
  batchesPerQueue: number,
): Promise<Work> {
  return withLog(connect, async (log) => {
    let bytes = 0;
    await Promise.all(
      queues.map(async (queue) => {
        const builder = new BatchBuilder();
        let sending: Promise<unknown> = Promise.resolve();
        for (let i = 0; i < batchesPerQueue; i++) {
          // As in the pipeline, it grows while the one before is out.
          const batch = buildBatch(builder, body, batchSize);
          bytes += batch.bytes.length;
          await sending;
          sending = log.send(queue, batch);
        }
        await sending;
      }),
    );
    await log.flush();
    return { records: queues.length * batchesPerQueue * batchSize, bytes };
  });
}

/** Reads and decodes the queues from their beginning, so many records. */
export function readThrough(connect: () => MessageLog, queues: readonly QueueAddress[], records: number, body: Buffer): Promise<Work> {
  return withLog(connect, async (log) => {
    const assignments = queues.map((queue) => ({ queue, position: 0 }));
    const reader = await log.assign('bench', assignments);
    return takeAll(() => reader.read(READ_BYTES, 1_000, new AbortController().signal), records, body);
  });
}

/** Receives, decodes and acknowledges as a member of a group. */
export function receiveThrough(connect: () => MessageLog, topic: string, group: string, records: number, body: Buffer): Promise<Work> {
  return withLog(connect, async (log) => {
    const subscription = await log.subscribe(group, [topic]);
    const next = async (): Promise<readonly FetchedMessages[]> => {
      const fetched = await subscription.read(READ_BYTES, 1_000, new AbortController().signal);
      const count = fetched.reduce((sum, messages) => sum + messages.count, 0);
      if (count > 0) await subscription.acknowledge(count);
      return fetched;
    };
    return takeAll(next, records, body);
  });
}

/** Connecting and closing count. */
function withLog(connect: () => MessageLog, work: (log: MessageLog) => Promise<Pick<Work, 'records' | 'bytes'>>): Promise<Work> {
  return measured(async () => {
    const log = connect();
    try {
      return await work(log);
    } finally {
      await log.close();
    }
  });
}

async function takeAll(
  next: () => Promise<readonly FetchedMessages[]>,
  wanted: number,
  { length }: Buffer,
): Promise<{ records: number; bytes: number }> {
  let records = 0;
  let bytes = 0;
  while (records < wanted) {
    for (const fetched of await next()) {
      records += fetched.count;
      bytes += fetched.bytes.length;
      decodeFetched(fetched, (body) => {
        if (body.length !== length) throw new Error('another body came back');
      });
    }
  }
  return { records, bytes };
}
