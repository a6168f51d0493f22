import { hostname } from 'node:os';
import { type ClusterKeys, checkLayout, checkPermissions, clusterKeys } from '@rocketmq-connect/cluster';
import type { Settings } from '@rocketmq-connect/configuration';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { type Endpoints, type Implementation, type Rpc, type RpcServer, ServingState } from '@rocketmq-connect/mesh';
import { joinAddress, splitAddress } from '@rocketmq-connect/mesh/address';
import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import type { EtcdConnection } from '@rocketmq-connect/metadata-store/connection';
import { tracedStore } from '@rocketmq-connect/metadata-store/traced';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import { type Emit, Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { createLogger } from '@rocketmq-connect/telemetry/pino';
import type { TraceContext } from '@rocketmq-connect/tracing';
import { advertisedAddress } from './advertised.ts';
import { followClusterLevels } from './cluster-levels.ts';
import { checkExposure } from './exposure.ts';
import { loggerService } from './logger-service.ts';
import { measuredRpc } from './measured-rpc.ts';
import { measuredStore } from './measured-store.ts';
import { openObservability } from './observability-server.ts';
import { createTelemetry, type Tracing } from './opentelemetry.ts';
import { Peers, type Registrations } from './peers.ts';
import { meshTls } from './pem-files.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { listenForEnd } from './signals.ts';
import { Stages } from './stages.ts';
import { dataDirectory, etcdConnection, openStore } from './store.ts';
import { StoreWatch } from './store-watch.ts';

/** What every service of a process shares. The store and the data folder are opened when a service first asks for them. */
export interface ProcessContext {
  readonly settings: Settings;
  /** All four services are in this process, on embedded storage unless told. */
  readonly standalone: boolean;
  /** Of this process; unique in the cluster among those of its kind. */
  readonly id: string;
  /** Plugins and files of the configuration are relative to this folder. */
  readonly baseDirectory: string;
  readonly version: string;
  readonly log: Logger;
  readonly loggers: Loggers;
  readonly metrics: Metrics;
  /** What the process needs to serve, and what of it is there. */
  readonly stages: Stages;
  readonly clock: Clock;
  readonly random: Random;
  readonly keys: ClusterKeys;
  readonly rpc: Rpc;
  readonly tracing: Tracing;
  /** Where others reach this process by gRPC; known once every service is created. */
  readonly address: () => string;
  /** The folder of embedded storage. */
  readonly dataDirectory: () => string;
  readonly openStore: () => Promise<MetadataStore>;
  /** Where the store is, for threads that connect by themselves; undefined for the embedded one. */
  readonly etcd: EtcdConnection | undefined;
  /** When the store was last seen not to answer, monotonic ms: at the latest when the process was started. */
  readonly storeTroubledAtMs: () => number;
  /** The present addresses of a kind of service: given ones, or those that are registered. */
  readonly endpointsOf: (kind: SoughtKind) => Promise<Endpoints>;
  /** The same of the runner with an id: its own address where that is known, else all of runners. */
  readonly runnerEndpoints: () => Promise<(runner: string) => readonly string[]>;
}

/** What others look for. */
export type SoughtKind = 'config' | 'scheduler' | 'runner';

/** What others find. */
export type PeerKind = SoughtKind | 'gateway';

/** One service as its main file composes it. `start` runs when the gRPC port is open, `stop` in reverse order of the starts. */
export interface ProcessService {
  readonly name: string;
  /** Under which kind the process registers it, so that others find it; a runner registers itself. */
  readonly registersAs?: 'config' | 'scheduler' | 'gateway';
  readonly implementations: readonly Implementation[];
  start(): Promise<void>;
  /** Before its registration is taken back: resolves when nobody who is about to stop needs it any more. */
  drain?(): Promise<void>;
  stop(): Promise<void>;
}

export type ServiceFactory = (context: ProcessContext) => Promise<ProcessService>;

export interface ProcessPlan {
  readonly settings: Settings;
  readonly baseDirectory: string;
  readonly standalone: boolean;
  /** A gateway is among the services. */
  readonly hasRest: boolean;
  /** In the order of their start. */
  readonly services: readonly ServiceFactory[];
}

export interface RunningProcess {
  readonly context: ProcessContext;
  stop(): Promise<void>;
}

const VERSION = '0.1.0';
const STOP_GRACE_MS = 2_000;

/** Opens the adapters, creates the services, opens the gRPC port, starts the services in order and registers them. */
export async function startProcess(plan: ProcessPlan): Promise<RunningProcess> {
  const { settings, baseDirectory, standalone, hasRest, services: factories } = plan;
  checkExposure(settings);
  const metrics = new Metrics();
  const telemetry = createTelemetry(process.env, systemClock, Math.random, metrics);
  const loggers = new Loggers(settings.log.level, () => systemClock.now());
  const log = processLogger(settings, loggers, metrics, () => telemetry.tracer.active());
  const undo: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse())
      await step().catch((error: unknown) => log.error('stopping failed', { error: String(error) }));
  };
  try {
    const serving = new ServingState(false);
    const stages = new Stages(systemClock, () => serving.set(stages.serves));
    const starting = stages.add('start', 'the process is starting');
    const processMetrics = new ProcessMetrics();
    undo.push(async () => processMetrics.stop());
    metrics.from(processMetrics.source);
    metrics.from((emit) => emitStages(emit, stages));
    const observability = await openObservability({ settings: settings.metrics, hasRest, log, metrics, stages });
    undo.push(async () => observability?.close());
    const etcd = etcdConnection(settings, baseDirectory);
    let store: Promise<MetadataStore> | undefined;
    let toClose: MetadataStore | undefined;
    undo.push(async () => toClose?.close());
    // The last of all: what ends in a trace is still sent.
    undo.push(() => telemetry.close());
    const rpc = measuredRpc(new GrpcRpc(meshTls(settings, baseDirectory), telemetry.tracer), systemClock, metrics);
    undo.push(() => rpc.close());
    let server: RpcServer | undefined;
    const address = (): string => (server === undefined ? '' : advertisedAddress(settings, splitAddress(server.address).port));
    const keys = clusterKeys(settings.cluster);
    let watch: StoreWatch | undefined;
    const startedAtMs = systemClock.monotonic();
    const open = async (): Promise<MetadataStore> => {
      const reachable = stages.add('metadata store', 'it is being connected to');
      /** Since the epoch; 0: it does not answer. */
      let reachesSinceMs = 0;
      metrics.from((emit) => {
        emit('rocketmq_connect_metadata_store_reachable', {}, reachesSinceMs > 0 ? 1 : 0);
        emit('rocketmq_connect_metadata_store_reachable_since_timestamp_seconds', {}, reachesSinceMs / 1000);
      });
      const onChange = (trouble: string | null): void => {
        if (trouble !== null) reachesSinceMs = 0;
        else if (reachesSinceMs === 0) reachesSinceMs = systemClock.now();
        if (trouble === null) reachable.ready();
        else reachable.trouble(trouble);
      };
      const plain = await openStore(etcd, settings, standalone, log, metrics, onChange);
      toClose = plain;
      const measured = measuredStore(plain, systemClock, metrics);
      const found = telemetry.sampler === null ? measured : tracedStore(measured, telemetry.tracer, etcd === undefined ? 'sqlite' : 'etcd');
      await checkLayout(found, keys);
      onChange(null);
      // The embedded one answers as long as the process lives.
      if (etcd !== undefined) watch = new StoreWatch({ store: found, keys, clock: systemClock, log, onChange });
      watch?.start();
      return found;
    };
    undo.push(async () => watch?.stop());
    const opened = (): Promise<MetadataStore> => (store ??= open());
    const peers = new Peers({ openStore: opened, keys, clock: systemClock, log, own: standalone ? address : null, settings });
    undo.push(async () => peers.close());
    const context: ProcessContext = {
      settings,
      standalone,
      id: idOf(settings, standalone),
      baseDirectory,
      version: VERSION,
      log,
      loggers,
      metrics,
      stages,
      clock: systemClock,
      random: Math.random,
      keys,
      rpc,
      tracing: telemetry,
      address,
      dataDirectory: () => dataDirectory(settings),
      openStore: opened,
      etcd,
      storeTroubledAtMs: () => watch?.troubledAtMs ?? startedAtMs,
      endpointsOf: (kind) => peers.endpointsOf(kind),
      runnerEndpoints: () => peers.runnerEndpoints(),
    };
    const services: ProcessService[] = [];
    for (const factory of factories) services.push(await factory(context));
    const identity = { service: serviceName(services), id: context.id, cluster: settings.cluster, version: VERSION };
    await telemetry.open(identity, log);
    if (store !== undefined || etcd !== undefined) {
      const found = await opened();
      await checkPermissions(
        found,
        keys,
        services.map(({ name }) => name),
      );
      const unfollow = followClusterLevels({ store: found, keys, clock: systemClock, log, loggers });
      undo.push(async () => unfollow());
    }
    const [version, names] = [VERSION, services.map(({ name }) => name)];
    metrics.from((emit) => emit('rocketmq_connect_build_info', { version, services: names.join(','), id: context.id }, 1));
    const bound = await rpc.serve(
      joinAddress(settings.bind, settings.grpc.port),
      [...services.flatMap((service) => service.implementations), loggerService(loggers)],
      serving,
    );
    server = bound;
    undo.push(() => bound.stop(STOP_GRACE_MS));
    let registrations: Registrations = new Map();
    for (const service of services) {
      undo.push(() => service.stop());
      // Nobody comes any more while a service stops; but services that stop before it, here or elsewhere, may need it.
      undo.push(async () => registrations.get(service)?.stop());
      undo.push(async () => {
        if (registrations.has(service)) await service.drain?.();
      });
      starting.trouble(`${service.name} is starting`);
      await service.start();
    }
    starting.trouble('the services are being registered');
    if (watch !== undefined) registrations = await peers.register(services, context);
    starting.ready();
    undo.push(async () => starting.trouble('the process is stopping'));
    return { context, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs services until the process is asked to end (SIGINT, SIGTERM), then stops them in order. A second signal ends at once. */
export async function runProcess(plan: ProcessPlan): Promise<void> {
  const end = listenForEnd();
  try {
    const { context, stop } = await startProcess(plan);
    context.log.info('ready', { id: context.id, grpc: context.address() });
    await end.asked;
    context.log.info('stopping');
    await stop();
    context.log.info('stopped');
  } finally {
    end.dispose();
  }
}

/** For a backend of traces, where programs of others are, too. */
function serviceName([first, ...others]: readonly ProcessService[]): string {
  return first === undefined || others.length > 0 ? 'rocketmq-connect' : `rocketmq-connect-${first.name}`;
}

function emitStages(emit: Emit, stages: Stages): void {
  emit('rocketmq_connect_ready', {}, stages.serves ? 1 : 0);
  for (const { stage, state } of stages.list()) emit('rocketmq_connect_stage_ready', { stage }, state === 'ready' ? 1 : 0);
}

function processLogger({ log }: Settings, loggers: Loggers, metrics: Metrics, activeSpan: () => TraceContext | undefined): Logger {
  const terminal = process.stdout.isTTY === true;
  return createLogger({
    loggers,
    activeSpan,
    onLine: (level) => metrics.add('rocketmq_connect_log_lines_total', { level }),
    pretty: log.format === 'auto' ? terminal : log.format === 'pretty',
    // A live line may stand where the log line is to go: it is cleared, and drawn again below.
    ...(terminal ? { destination: { write: (line: string) => process.stdout.write(`\r\x1b[2K${line}`) } } : {}),
  });
}

/** The same after a restart where that can be: what a runner had comes back to it. */
function idOf({ id, grpc }: Settings, standalone: boolean): string {
  if (id !== '') return id;
  return standalone ? 'runner-1' : `${hostname()}-${grpc.port === 0 ? process.pid : grpc.port}`;
}

export { secretOf } from './secrets.ts';
export { type EndRequest, listenForEnd } from './signals.ts';
