import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type ClusterKeys, checkLayout, checkPermissions, clusterKeys } from '@rocketmq-connect/cluster';
import type { Settings } from '@rocketmq-connect/configuration';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { Endpoints, Implementation, Rpc, RpcServer } from '@rocketmq-connect/mesh';
import { splitAddress } from '@rocketmq-connect/mesh/address';
import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import type { EtcdConnection } from '@rocketmq-connect/metadata-store/connection';
import { EmbeddedStore } from '@rocketmq-connect/metadata-store/embedded';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { type Clock, ConfigError, ConnectError, type Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { createLogger } from '@rocketmq-connect/telemetry/pino';
import { secretOf } from './secrets.ts';
import { listenForEnd } from './signals.ts';

/** What every service of a process shares: one store, one gRPC port, one clock, one logger. */
export interface ProcessContext {
  readonly settings: Settings;
  /** Plugins of the configuration are relative to this folder. */
  readonly baseDirectory: string;
  readonly dataDirectory: string;
  readonly version: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: MetadataStore;
  /** Where the store is, for threads that connect by themselves; undefined for the embedded one. */
  readonly etcd: EtcdConnection | undefined;
  readonly keys: ClusterKeys;
  readonly rpc: Rpc;
  /** Where this process serves gRPC; known once every service is created. */
  readonly address: () => string;
  readonly configEndpoints: Endpoints;
  readonly schedulerEndpoints: Endpoints;
  readonly runnerEndpoints: Endpoints;
}

/** One service as its main file composes it. `start` runs when the gRPC port is open, `stop` in reverse order of the starts. */
export interface ProcessService {
  readonly name: string;
  readonly implementations: readonly Implementation[];
  start(): Promise<void>;
  stop(): Promise<void>;
}

export type ServiceFactory = (context: ProcessContext) => Promise<ProcessService>;

export interface RunningProcess {
  readonly context: ProcessContext;
  stop(): Promise<void>;
}

const VERSION = '0.1.0';
const STOP_GRACE_MS = 2_000;

/** Opens the adapters, creates the services, opens the gRPC port and starts the services in order. */
export async function startProcess(
  settings: Settings,
  baseDirectory: string,
  factories: readonly ServiceFactory[],
): Promise<RunningProcess> {
  const dataDirectory = openDataDirectory(settings.dataDir);
  const terminal = process.stdout.isTTY === true;
  const log = createLogger({
    level: settings.log.level,
    pretty: settings.log.format === 'auto' ? terminal : settings.log.format === 'pretty',
    // A live line may stand where the log line is to go: it is cleared, and drawn again below.
    ...(terminal ? { destination: { write: (line: string) => process.stdout.write(`\r\x1b[2K${line}`) } } : {}),
  });
  const undo: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse())
      await step().catch((error: unknown) => log.error('stopping failed', { error: String(error) }));
  };
  try {
    const etcd = settings.etcd.length === 0 ? undefined : etcdConnection(settings, baseDirectory);
    const store = await openStore(etcd, dataDirectory, log);
    undo.push(() => store.close());
    const rpc = new GrpcRpc();
    undo.push(() => rpc.close());
    let server: RpcServer | undefined;
    const address = (): string => server?.address ?? '';
    const own =
      (configured: readonly string[]): Endpoints =>
      () =>
        configured.length > 0 ? configured : server === undefined ? [] : [server.address];
    const context: ProcessContext = {
      settings,
      baseDirectory,
      dataDirectory,
      version: VERSION,
      log,
      clock: systemClock,
      random: Math.random,
      store,
      etcd,
      keys: clusterKeys(settings.cluster),
      rpc,
      address,
      configEndpoints: own(settings.peers.config),
      schedulerEndpoints: own(settings.peers.scheduler),
      runnerEndpoints: own(settings.peers.runner),
    };
    await checkLayout(store, context.keys);
    const services: ProcessService[] = [];
    for (const factory of factories) services.push(await factory(context));
    await checkPermissions(
      store,
      context.keys,
      services.map(({ name }) => name),
    );
    const opened = await rpc.serve(
      `${settings.grpc.host}:${settings.grpc.port}`,
      services.flatMap((service) => service.implementations),
    );
    server = opened;
    undo.push(() => opened.stop(STOP_GRACE_MS));
    for (const service of services) {
      undo.push(() => service.stop());
      await service.start();
    }
    return { context, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs services until the process is asked to end (SIGINT, SIGTERM), then stops them in order. A second signal ends at once. */
export async function runProcess(settings: Settings, baseDirectory: string, factories: readonly ServiceFactory[]): Promise<void> {
  const end = listenForEnd();
  try {
    const running = await startProcess(settings, baseDirectory, factories);
    running.context.log.info('ready', { grpc: running.context.address() });
    await end.asked;
    await running.stop();
  } finally {
    end.dispose();
  }
}

async function openStore(etcd: EtcdConnection | undefined, dataDirectory: string, log: Logger): Promise<MetadataStore> {
  if (etcd === undefined) return EmbeddedStore.open(join(dataDirectory, 'metadata'));
  return EtcdStore.open({
    ...etcd,
    onTrouble: (error) => log.warn(error.message, error instanceof ConnectError ? { code: error.code, remedy: error.remedy } : {}),
  });
}

function etcdConnection({ etcd, etcdTls, etcdAuth }: Settings, baseDirectory: string): EtcdConnection {
  for (const address of etcd) checkAddress(address);
  const files = { ca: etcdTls.caFile, cert: etcdTls.certFile, key: etcdTls.keyFile };
  const named = Object.entries(files).filter(([, path]) => path !== '');
  const tls = Object.fromEntries(named.map(([name, path]) => [name, readPem(`etcdTls.${name}File`, resolve(baseDirectory, path))]));
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

function readPem(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError(`cannot read ${path} (${(error as NodeJS.ErrnoException).code})`, {
      field: setting,
      remedy: 'name a PEM file that can be read',
    });
  }
}

function openDataDirectory(directory: string): string {
  const path = resolve(directory);
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

export { secretOf } from './secrets.ts';
export { type EndRequest, listenForEnd } from './signals.ts';
