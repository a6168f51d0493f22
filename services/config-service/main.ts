import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { createConfigService } from './index.ts';

export async function configService(context: ProcessContext): Promise<ProcessService> {
  const { store, keys, clock, random, rpc, runnerEndpoints, settings } = context;
  const service = createConfigService({
    store,
    keys,
    clock,
    random,
    rpc,
    runnerEndpoints,
    log: context.log.child({ service: 'config' }),
    allowLiteralSecrets: settings.secrets.allowLiteral,
  });
  return { name: 'config-service', ...service };
}
