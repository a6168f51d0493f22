import { mkdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Settings } from '@rocketmq-connect/configuration';
import { splitAddress } from '@rocketmq-connect/mesh/address';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import type { EtcdConnection } from '@rocketmq-connect/metadata-store/connection';
import { EmbeddedStore } from '@rocketmq-connect/metadata-store/embedded';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { EtcdFigures } from '@rocketmq-connect/metadata-store/etcd/figures';
import { ConfigError, ConnectError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { Emit, Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { readPem } from './pem-files.ts';
import { secretOf } from './secrets.ts';

/** The metadata store of the settings. The embedded one serves a single process, so it is for standalone only. */
export async function openStore(
  etcd: EtcdConnection | undefined,
  settings: Settings,
  standalone: boolean,
  log: Logger,
  metrics: Metrics,
  onTrouble: (trouble: string) => void = () => undefined,
): Promise<MetadataStore> {
  if (etcd !== undefined) {
    const figures = new EtcdFigures();
    metrics.from((emit) => emitEtcd(emit, figures, etcd.endpoints));
    return EtcdStore.open({
      ...etcd,
      figures,
      onTrouble: (error) => {
        log.warn(error.message, error instanceof ConnectError ? { code: error.code, remedy: error.remedy } : {});
        onTrouble(error.message);
      },
    });
  }
  if (standalone) return EmbeddedStore.open(join(dataDirectory(settings), 'metadata'));
  throw new ConfigError('no etcd is given, and processes of a cluster meet there', {
    field: 'etcd',
    code: 'ETCD_MISSING',
    remedy: 'give --etcd host:port[,…] (RMQC_ETCD, or etcd in the file); `rocketmq-connect standalone` needs none',
  });
}

function emitEtcd(emit: Emit, figures: EtcdFigures, members: readonly string[]): void {
  emit('rocketmq_connect_metadata_store_connected_watches', {}, figures.connectedWatches);
  emit('rocketmq_connect_metadata_store_watch_reconnects_total', {}, figures.watchReconnects);
  for (const member of members) {
    emit('rocketmq_connect_metadata_store_member_preferred', { member }, figures.preferredMember === member ? 1 : 0);
    emit('rocketmq_connect_metadata_store_member_failures_total', { member }, figures.memberFailures.get(member) ?? 0);
  }
}

/** The folder of the embedded store and the embedded log, created if it is not there. */
export function dataDirectory({ dataDir }: Settings): string {
  const path = resolve(dataDir);
  try {
    makeFolder(path);
  } catch (error) {
    throw new ConfigError(`cannot create the data folder ${path} (${(error as NodeJS.ErrnoException).code})`, {
      field: 'dataDir',
      code: 'DATA_DIR_UNUSABLE',
      remedy: 'give a folder that can be written with --data-dir',
    });
  }
  return path;
}

/** Like `mkdirSync` with `recursive`, which never ends where a file system answers ENOENT to a new entry, as /proc does. */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path);
}

/** How to reach the etcd of the settings; undefined when none is given. Throws `ConfigError`. */
export function etcdConnection({ etcd, etcdTls, etcdAuth }: Settings, baseDirectory: string): EtcdConnection | undefined {
  if (etcd.length === 0) return undefined;
  for (const address of etcd) checkAddress(address);
  const files = { ca: etcdTls.caFile, cert: etcdTls.certFile, key: etcdTls.keyFile };
  const named = Object.entries(files).filter(([, path]) => path !== '');
  const tls = Object.fromEntries(named.map(([name, path]) => [name, readPem(`etcdTls.${name}File`, path, baseDirectory)]));
  return {
    endpoints: etcd,
    ...(etcdTls.enabled || named.length > 0 ? { tls } : {}),
    ...(etcdAuth.username === ''
      ? {}
      : { auth: { username: etcdAuth.username, password: secretOf('etcdAuth.password', etcdAuth.password) } }),
  };
}

function checkAddress(address: string): void {
  try {
    splitAddress(address);
  } catch {
    throw new ConfigError(`'${address}' is not an address of etcd of the form host:port`, {
      field: 'etcd',
      remedy: 'write e.g. 127.0.0.1:2379, without http://, several separated by commas',
    });
  }
}
