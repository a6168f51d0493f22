import { parentPort, workerData } from 'node:worker_threads';
import type { QueueAddress } from '@rocketmq-connect/message-log';
import { connectEmbeddedLog, type EmbeddedLogConnection } from '@rocketmq-connect/message-log/embedded/client';
import { ControlMemory } from '@rocketmq-connect/message-log/embedded/control';
import { BatchBuilder, decodeFetched } from '@rocketmq-connect/message-log/message';

/** What a thread of the embedded log's tests does. */
export type ThreadTask =
  /** Sends batches `<name>:<queue>:<n>` to each queue in turn; counts acknowledged messages of each queue in `acknowledged`. */
  | {
      readonly does: 'write';
      readonly name: string;
      readonly queues: readonly QueueAddress[];
      readonly batches: number;
      readonly batchSize: number;
      readonly bodyBytes: number;
      readonly acknowledged: SharedArrayBuffer;
    }
  /** Reads queues until `count` messages came; answers their bodies by queue. */
  | { readonly does: 'read'; readonly queues: readonly QueueAddress[]; readonly count: number }
  /** Takes the lock of a slot, writes that into `acknowledged` and never gives it back. */
  | { readonly does: 'holdLock'; readonly slot: number; readonly acknowledged: SharedArrayBuffer };

const { connection, task } = workerData as { readonly connection: EmbeddedLogConnection; readonly task: ThreadTask };

if (task.does === 'write') {
  const log = connectEmbeddedLog(connection);
  const counts = new Int32Array(task.acknowledged);
  for (let batch = 0; batch < task.batches; batch++) {
    for (const [index, queue] of task.queues.entries()) {
      const builder = new BatchBuilder();
      const first = batch * task.batchSize;
      for (let n = first; n < first + task.batchSize; n++)
        builder.add(Buffer.from(`${task.name}:${queue.queue}:${n}`.padEnd(task.bodyBytes)), '');
      await log.send(queue, builder.take());
      Atomics.store(counts, index, first + task.batchSize);
    }
    // Lets the thread be a neighbour: others of this process get their turn on a small machine.
    if (batch % 50 === 49) await new Promise(setImmediate);
  }
  await log.close();
} else if (task.does === 'read') {
  const log = connectEmbeddedLog(connection);
  const reader = await log.assign(
    'threads',
    task.queues.map((queue) => ({ queue, position: 0 })),
  );
  const bodies: Record<number, string[]> = {};
  const next: Record<number, number> = {};
  const { signal } = new AbortController();
  for (let seen = 0; seen < task.count; ) {
    for (const fetched of await reader.read(256 * 1024, 60_000, signal)) {
      const { queue } = fetched.queue;
      if (fetched.offset !== (next[queue] ?? 0)) throw new Error(`a gap in queue ${queue} at ${fetched.offset}`);
      next[queue] = fetched.offset + fetched.count;
      bodies[queue] ??= [];
      decodeFetched(fetched, (body) => bodies[queue]?.push(body.toString().trimEnd()));
      seen += fetched.count;
    }
  }
  await log.close();
  parentPort?.postMessage(bodies);
} else {
  const control = new ControlMemory(connection.control);
  if (!control.tryLock(task.slot, connection.id)) throw new Error('the lock is held');
  Atomics.store(new Int32Array(task.acknowledged), 0, 1);
  for (;;);
}
