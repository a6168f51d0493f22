import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { ThreadHosts } from './hosts/thread-hosts.ts';
import { createTaskRunner } from './index.ts';

/** Two hosts share little on one core; more than two seldom pay for their memory. */
const HOSTS_MAX = 2;
const HOST_HEAP_MB = 512;

export async function taskRunner(context: ProcessContext): Promise<ProcessService> {
  const { settings, store, keys, clock, random, rpc, configEndpoints } = context;
  const log = context.log.child({ service: 'runner' });
  const messageLog = await EmbeddedLog.open(join(context.dataDirectory, 'log'), settings.messageLog);
  for (const finding of messageLog.findings) log.warn('the message log was not as it should be', { ...finding });
  const deadline = new DeadlineWord();
  const runner = createTaskRunner({
    store,
    keys,
    clock,
    random,
    log,
    rpc,
    configEndpoints,
    id: settings.runner.id,
    endpoint: context.address,
    labels: {},
    zone: settings.runner.zone,
    capacity: settings.runner.capacity,
    version: context.version,
    deadline,
    hosts: new ThreadHosts({
      connectLog: () => messageLog.connect(),
      deadline,
      plugins: settings.plugins,
      baseDirectory: context.baseDirectory,
      maxHeapMb: HOST_HEAP_MB,
    }),
    settings: {
      leaseTtlMs: settings.runner.leaseTtlMs,
      commitIntervalMs: settings.offsets.commitIntervalMs,
      taskStartTimeoutMs: settings.tasks.startTimeoutMs,
      taskStopTimeoutMs: settings.tasks.stopTimeoutMs,
      hostCount: settings.runner.hosts === 0 ? Math.min(HOSTS_MAX, availableParallelism()) : settings.runner.hosts,
    },
    onUnkillable: (message) => {
      log.error(message);
      process.kill(process.pid, 'SIGKILL');
    },
    rssBytes: () => process.memoryUsage.rss(),
  });
  return {
    name: 'task-runner-service',
    implementations: runner.implementations,
    start: () => runner.start(),
    stop: async () => {
      await runner.stop();
      await messageLog.close();
    },
  };
}
