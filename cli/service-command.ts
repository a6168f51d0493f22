import { ConfigError } from '@rocketmq-connect/sdk';

/** Services of their own need a metadata store that processes share. */
export function refuseToRunAlone(service: string): never {
  throw new ConfigError(`${service} cannot run alone on the embedded metadata store: it is one process's own`, {
    code: 'STORE_NOT_SHARED',
    remedy: 'run all services in one process: rocketmq-connect standalone',
  });
}
