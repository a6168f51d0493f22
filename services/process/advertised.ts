import type { Settings } from '@rocketmq-connect/configuration';
import { joinAddress, splitAddress } from '@rocketmq-connect/mesh/address';
import { ConfigError } from '@rocketmq-connect/sdk';

/** The address under which others reach a process that listens on `port`. Throws `ConfigError` where it cannot be known. */
export function advertisedAddress({ advertise, bind, etcd }: Pick<Settings, 'advertise' | 'bind' | 'etcd'>, port: number): string {
  if (advertise !== '') return hasPort(advertise) ? advertise : joinAddress(advertise, port);
  if (!isWildcard(bind)) return joinAddress(bind, port);
  // Nobody else looks for it.
  if (etcd.length === 0) return joinAddress(bind === '0.0.0.0' ? '127.0.0.1' : '::1', port);
  throw new ConfigError(`others cannot be told where this process is: it listens on every address (${bind})`, {
    field: 'advertise',
    remedy: 'give the host name or address that the other processes reach it by, with --advertise',
  });
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function hasPort(address: string): boolean {
  try {
    splitAddress(address);
    return true;
  } catch {
    return false;
  }
}
