import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { createSchedulerService } from './index.ts';

export async function schedulerService(context: ProcessContext): Promise<ProcessService> {
  const { keys, clock, random, id, settings } = context;
  const service = createSchedulerService({
    store: await context.openStore(),
    keys,
    clock,
    random,
    log: context.log.child({ service: 'scheduler' }),
    id,
    leaseTtlMs: settings.leaseTtlMs,
    graceMs: settings.scheduler.graceDelayMs,
    storeTroubledAtMs: context.storeTroubledAtMs,
    metrics: context.metrics,
  });
  return { name: 'scheduler-service', registersAs: 'scheduler', ...service };
}
