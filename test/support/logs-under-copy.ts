import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { connectEmbeddedLog } from '@rocketmq-connect/message-log/embedded/client';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { decodeFetched } from '@rocketmq-connect/message-log/message';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import type { JavaClient } from './java-client.ts';
import type { LogUnderCopy } from './line-copy.ts';

export const embeddedUnderCopy: LogUnderCopy = {
  args: [],
  async topic(topic, dataDir) {
    const opened = await EmbeddedLog.open(join(dataDir, 'messages'));
    const { connection, release } = opened.connect();
    const log = await connectEmbeddedLog(connection);
    try {
      const { queues } = await log.describeTopic(topic);
      const all: string[][] = [];
      for (const queue of queues) {
        const bodies: string[] = [];
        const reader = await log.assign('test', [{ queue, position: 0 }]);
        const end = await log.maxOffset(queue);
        while (bodies.length < end) {
          for (const fetched of await reader.read(1 << 20, 1000, new AbortController().signal)) {
            checkPosition(topic, queue.queue, fetched.offset, bodies.length);
            decodeFetched(fetched, (body) => bodies.push(body.toString()));
          }
        }
        await reader.close();
        all.push(bodies);
      }
      return all;
    } finally {
      await log.close();
      release();
      await opened.close();
    }
  },
};

/** A RocketMQ cluster; its topics are read by the official client. */
export function rocketmqUnderCopy(nameServer: string, java: () => JavaClient): LogUnderCopy {
  return {
    args: ['--rocketmq-namesrv', nameServer],
    async topic(topic) {
      const folder = mkdtempSync(join(tmpdir(), 'rmqc-dump-'));
      try {
        const file = join(folder, 'dump');
        await java().dump(topic, file);
        const queues: string[][] = [];
        for (const line of readFileSync(file, 'latin1').split('\n')) {
          if (line === '') continue;
          const [queue = '', offset = '', body = ''] = line.split(' ');
          const index = Number(queue);
          while (queues.length <= index) queues.push([]);
          const bodies = queues[index] ?? [];
          checkPosition(topic, index, Number(offset), bodies.length);
          bodies.push(Buffer.from(body, 'base64').toString());
        }
        return queues;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/** Those whose names begin so: what stays in a broker makes each of its starts after a kill longer. */
export async function removeTopics(nameServer: string, prefix: string): Promise<void> {
  const connection = { kind: 'remoting', nameServers: [nameServer], clientId: `${prefix}remove` } as const;
  const log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
  for (const topic of await log.listTopics()) if (topic.startsWith(prefix)) await log.deleteTopic(topic);
  await log.close();
}

function checkPosition(topic: string, queue: number, position: number, expected: number): void {
  if (position !== expected) throw new Error(`queue ${queue} of ${topic} goes on at ${position} instead of ${expected}`);
}
