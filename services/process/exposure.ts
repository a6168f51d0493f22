import type { Settings } from '@rocketmq-connect/configuration';
import { isLoopback, splitAddress } from '@rocketmq-connect/mesh/address';
import { ConfigError } from '@rocketmq-connect/sdk';
import { advertisedAddress } from './advertised.ts';

/**
 * Refuses what would cross a network in clear without having been asked for by name (`insecure`), and a process that could tell nobody where
 * it is. Throws `ConfigError` with the setting at fault.
 */
export function checkExposure(settings: Settings): void {
  advertisedAddress(settings, settings.grpc.port);
  const { insecure, bind, etcd, etcdTls, meshTls, peers } = settings;
  if (insecure) return;
  if (meshTls.certFile === '') {
    refuse([bind], 'bind', 'gRPC would be open to the network in clear', MESH_FLAGS);
    for (const [kind, addresses] of Object.entries(peers))
      refuse(addresses.map(hostOf), `peers.${kind}`, 'calls would cross the network in clear', MESH_FLAGS);
  }
  if (!etcdTls.enabled && etcdTls.caFile === '' && etcdTls.certFile === '')
    refuse(etcd.map(hostOf), 'etcd', 'metadata would cross the network in clear', '--etcd-tls-enabled or --etcd-tls-ca-file');
}

/** The same for the REST port of a gateway. */
export function checkRestExposure({ insecure, bind, rest, restTls }: Settings): void {
  if (insecure || restTls.certFile !== '') return;
  const flags = '--rest-tls-cert-file and --rest-tls-key-file, or --rest-host 127.0.0.1';
  if (rest.host === '') refuse([bind], 'bind', 'REST would be open to the network in clear', flags);
  else refuse([rest.host], 'rest.host', 'REST would be open to the network in clear', flags);
}

/** The same for the records of a task runner. */
export function checkLogExposure({ insecure, rocketmq }: Settings): void {
  if (insecure || isEncrypted(rocketmq)) return;
  for (const kind of ['namesrv', 'proxy'] as const)
    refuse(rocketmq[kind].map(hostOf), `rocketmq.${kind}`, 'records would cross the network in clear', '--rocketmq-tls');
}

/** Whoever names one of the files wants TLS. */
export function isEncrypted({ tls, tlsCaFile, tlsCertFile, tlsKeyFile }: Settings['rocketmq']): boolean {
  return tls || [tlsCaFile, tlsCertFile, tlsKeyFile].some((file) => file !== '');
}

const MESH_FLAGS = '--mesh-tls-ca-file, --mesh-tls-cert-file and --mesh-tls-key-file';

function refuse(hosts: readonly string[], field: string, what: string, flags: string): void {
  const host = hosts.find((each) => !isLoopback(each));
  if (host === undefined) return;
  throw new ConfigError(`${field} names ${host}, which is no loopback address: ${what}`, {
    code: 'INSECURE',
    field,
    remedy: `give ${flags}; or, where the network is trusted, accept it with --insecure`,
  });
}

function hostOf(address: string): string {
  return splitAddress(address).host;
}
