import type { ProcessContext, ProcessService } from '@rocketmq-connect/process';
import { checkRestExposure } from '@rocketmq-connect/process/exposure';
import { readPem } from '@rocketmq-connect/process/pem-files';
import { healthBody } from '@rocketmq-connect/process/stages';
import { ConfigError } from '@rocketmq-connect/sdk';
import { createGateway, type GatewayOptions } from './index.ts';

export async function gateway(context: ProcessContext): Promise<ProcessService & { readonly url: () => string }> {
  const { rpc, settings, version } = context;
  checkRestExposure(settings);
  const configEndpoints = await context.endpointsOf('config');
  const schedulerEndpoints = await context.endpointsOf('scheduler');
  const runners = await context.endpointsOf('runner');
  context.stages.look('config-service', () => (configEndpoints().length === 0 ? 'none is registered' : null));
  context.stages.look('scheduler', () => (schedulerEndpoints().length === 0 ? 'none is registered' : null));
  context.stages.look('task runners', () => (runners().length === 0 ? 'none is registered' : null));
  const server = createGateway({
    rpc,
    configEndpoints,
    schedulerEndpoints,
    runnerEndpoints: await context.runnerEndpoints(),
    log: context.log.child({ service: 'gateway' }),
    tracer: context.tracing.tracer,
    host: settings.rest.host === '' ? settings.bind : settings.rest.host,
    port: settings.rest.port,
    ...restTls(context),
    version,
    clusterId: settings.cluster,
    metrics: context.metrics,
    loggers: context.loggers,
    health: () => healthBody(context.stages),
  });
  let url = '';
  return {
    name: 'gateway',
    registersAs: 'gateway',
    implementations: [],
    start: async () => {
      ({ url } = await server.start());
      context.log.info('REST is ready', { url });
    },
    stop: () => server.stop(),
    url: () => url,
  };
}

function restTls({ settings, baseDirectory }: ProcessContext): Pick<GatewayOptions, 'tls'> {
  const { certFile, keyFile } = settings.restTls;
  if (certFile === '' && keyFile === '') return {};
  const missing = certFile === '' ? 'certFile' : keyFile === '' ? 'keyFile' : undefined;
  if (missing !== undefined) {
    throw new ConfigError(`restTls.${missing} is missing`, {
      field: `restTls.${missing}`,
      remedy: 'give both --rest-tls-cert-file and --rest-tls-key-file, or neither',
    });
  }
  const read = (name: 'certFile' | 'keyFile', path: string): Buffer => readPem(`restTls.${name}`, path, baseDirectory);
  return { tls: { cert: read('certFile', certFile), key: read('keyFile', keyFile) } };
}
