import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { createConfigService } from './index.ts';

export async function configService(context: ProcessContext): Promise<ProcessService> {
  const { keys, clock, random, rpc, settings } = context;
  const service = createConfigService({
    store: await context.openStore(),
    keys,
    clock,
    random,
    rpc,
    tracer: context.tracing.tracer,
    runnerEndpoints: await context.endpointsOf('runner'),
    log: context.log.child({ service: 'config' }),
    allowLiteralSecrets: settings.secrets.allowLiteral,
  });
  return { name: 'config-service', registersAs: 'config', ...service };
}
