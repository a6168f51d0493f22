import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { createGateway } from './index.ts';

export async function gateway(context: ProcessContext): Promise<ProcessService & { readonly url: () => string }> {
  const { rpc, configEndpoints, schedulerEndpoints, runnerEndpoints, settings, version } = context;
  const server = createGateway({
    rpc,
    configEndpoints,
    schedulerEndpoints,
    runnerEndpoints,
    log: context.log.child({ service: 'gateway' }),
    host: settings.rest.host,
    port: settings.rest.port,
    version,
    clusterId: settings.cluster,
  });
  let url = '';
  return {
    name: 'gateway',
    implementations: [],
    start: async () => {
      ({ url } = await server.start());
      context.log.info('REST is ready', { url });
    },
    stop: () => server.stop(),
    url: () => url,
  };
}
