import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { ThreadHosts } from './hosts/thread-hosts.ts';
import { createTaskRunner } from './index.ts';

/** Beyond this a host ends with `outOfMemory`; record bodies are buffers and do not count. */
const MAX_HEAP_MB = 512;
const BLOCKED_AFTER_MS = 30_000;

export async function taskRunner(context: ProcessContext): Promise<ProcessService> {
  const { store, keys, clock, random, rpc, configEndpoints, settings, version, dataDirectory, baseDirectory } = context;
  const log = context.log.child({ service: 'task-runner' });
  const { flush, segmentBytes, retentionMs, retentionBytes } = settings.messageLog;
  const messages = await EmbeddedLog.open(join(dataDirectory, 'messages'), { flush, segmentBytes, retentionMs, retentionBytes });
  for (const finding of messages.findings) log.warn('the message log was repaired', { ...finding });
  const deadline = new DeadlineWord();
  const service = createTaskRunner({
    store,
    keys,
    clock,
    random,
    rpc,
    configEndpoints,
    log,
    version,
    id: settings.runner.id,
    endpoint: context.address,
    labels: {},
    zone: settings.runner.zone,
    capacity: settings.runner.capacity,
    deadline,
    hosts: new ThreadHosts({
      connectLog: () => messages.connect(),
      deadline,
      plugins: settings.plugins,
      baseDirectory,
      maxHeapMb: MAX_HEAP_MB,
      blockedAfterMs: BLOCKED_AFTER_MS,
    }),
    settings: {
      leaseTtlMs: settings.runner.leaseTtlMs,
      commitIntervalMs: settings.offsets.commitIntervalMs,
      taskStartTimeoutMs: settings.tasks.startTimeoutMs,
      taskStopTimeoutMs: settings.tasks.stopTimeoutMs,
      hostCount: settings.runner.hosts === 0 ? availableParallelism() : settings.runner.hosts,
    },
    onUnkillable: (message) => {
      log.error(`${message}: the process ends`);
      // process.exit waits for threads; what one of them does now cannot be waited for.
      process.kill(process.pid, 'SIGKILL');
    },
    rssBytes: () => process.memoryUsage.rss(),
  });
  return {
    name: 'task-runner-service',
    implementations: service.implementations,
    start: () => service.start(),
    stop: async () => {
      await service.stop();
      await messages.close();
    },
  };
}
