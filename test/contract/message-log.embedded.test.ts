import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectEmbeddedLog } from '@rocketmq-connect/message-log/embedded/client';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { messageLogContract } from './message-log.ts';

for (const [name, options] of [
  ['embedded', {}],
  ['embedded, small segments, each batch forced to disk', { segmentBytes: 500, flush: 'batch' }],
] as const) {
  messageLogContract(
    name,
    { assign: true, subscribe: false, createTopic: true, delay: false, processes: false, dottedTopics: true },
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'message-log-'));
      const log = await EmbeddedLog.open(directory, options);
      const clients: { close(): Promise<void> }[] = [];
      let clock = Date.now();
      return {
        connect: () => {
          const client = connectEmbeddedLog(log.connect().connection, { now: () => clock });
          clients.push(client);
          return client;
        },
        now: () => clock,
        wait: async (ms) => {
          clock += ms;
        },
        close: async () => {
          for (const client of clients) await client.close();
          await log.close();
          rmSync(directory, { recursive: true });
        },
      };
    },
  );
}
