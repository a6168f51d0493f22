import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { createSchedulerService } from './index.ts';

export async function schedulerService(context: ProcessContext): Promise<ProcessService> {
  const { store, keys, clock, random } = context;
  const service = createSchedulerService({
    store,
    keys,
    clock,
    random,
    log: context.log.child({ service: 'scheduler' }),
    id: context.settings.runner.id,
  });
  return { name: 'scheduler-service', ...service };
}
