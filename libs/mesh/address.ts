import { ConfigError, type ConnectError } from '@rocketmq-connect/sdk';

export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(address);
  const port = Number(match?.groups?.['port']);
  const host = match?.groups?.['v6'] ?? match?.groups?.['host'];
  if (host === undefined || port > 65_535) {
    throw new ConfigError(`'${address}' is not an address of the form host:port`, { remedy: 'write e.g. 127.0.0.1:9083 or [::1]:9083' });
  }
  return { host, port };
}

export function joinAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach a host of that name. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What to tell when a port cannot be listened on. `setting` is the path in the configuration, e.g. `grpc.port`. */
export function cannotListen(address: string, reason: string, setting: string, cause?: unknown): ConnectError {
  const flag = `--${setting.replace('.', '-')}`;
  if (/EADDRINUSE|in use/.test(reason)) {
    return new ConfigError(`port ${splitAddress(address).port} of ${splitAddress(address).host} is in use by another process`, {
      code: 'PORT_IN_USE',
      field: setting,
      remedy: `stop that process (is another instance running?) or choose another port with ${flag}; 0 picks a free one`,
      cause,
    });
  }
  return new ConfigError(`cannot listen on ${address}: ${reason}`, {
    code: 'CANNOT_LISTEN',
    field: setting,
    remedy: `check ${flag} and --bind: it must be an address of this machine, and ports below 1024 need rights`,
    cause,
  });
}
