import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '@rocketmq-connect/configuration';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import type { ProxyLogConnection } from '@rocketmq-connect/message-log/proxy/client';
import type { RemotingLogConnection } from '@rocketmq-connect/message-log/remoting/client';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { type ProcessContext, type ProcessService, secretOf } from '@rocketmq-connect/process';
import { checkLogExposure, isEncrypted } from '@rocketmq-connect/process/exposure';
import { readPem } from '@rocketmq-connect/process/pem-files';
import { ReachWatch } from '@rocketmq-connect/process/reach';
import { ConfigError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { ProcessHosts } from './hosts/process-hosts.ts';
import { type LogConnection, ThreadHosts } from './hosts/thread-hosts.ts';
import { createTaskRunner } from './index.ts';
import { LeaseThread } from './lease/lease-thread.ts';

export async function taskRunner(context: ProcessContext): Promise<ProcessService> {
  const { keys, clock, random, rpc, tracing, settings, version, baseDirectory, id } = context;
  const { tasks } = settings;
  const log = context.log.child({ service: 'task-runner' });
  checkLogExposure(settings);
  const labels = parseLabels(settings.labels);
  const store = await context.openStore();
  const messages = await openMessages(context, log);
  const configEndpoints = await context.endpointsOf('config');
  context.stages.look('config-service', () => (configEndpoints().length === 0 ? 'none is registered' : null));
  const servers = [...settings.rocketmq.namesrv, ...settings.rocketmq.proxy];
  const reachable = new ReachWatch(servers, clock);
  if (servers.length > 0) context.stages.look('RocketMQ', () => reachable.trouble);
  const deadline = new DeadlineWord();
  const leaseThread = context.etcd && new LeaseThread({ connection: context.etcd, deadline, clock });
  const hosts = {
    connectLog: messages.connect,
    deadline,
    plugins: settings.plugins,
    baseDirectory,
    sampler: tracing.sampler,
    maxHeapMb: settings.runner.hostHeapMb,
    blockedAfterMs: tasks.blockedTimeoutMs,
  };
  const service = createTaskRunner({
    store,
    keys,
    clock,
    random,
    rpc,
    configEndpoints,
    log,
    version,
    id,
    endpoint: context.address,
    labels,
    zone: settings.runner.zone,
    capacity: settings.runner.capacity,
    logKeepsPositions: messages.keepsPositions,
    deadline,
    ...(leaseThread === undefined ? {} : { openLease: (ttlMs, options) => leaseThread.open(ttlMs, options) }),
    hosts: new ThreadHosts(hosts),
    // The embedded log is this process's alone (ADR 0001).
    ...(messages.forProcesses ? { processHosts: new ProcessHosts({ ...hosts, maxMemoryMb: settings.runner.hostMemoryMb }) } : {}),
    foreignPlugins: settings.plugins.length > 0,
    settings: {
      leaseTtlMs: settings.leaseTtlMs,
      commitIntervalMs: settings.offsets.commitIntervalMs,
      taskStartTimeoutMs: tasks.startTimeoutMs,
      taskStopTimeoutMs: tasks.stopTimeoutMs,
      planTimeoutMs: tasks.planTimeoutMs,
      askTimeoutMs: tasks.askTimeoutMs,
      hookLimits: { pollMs: tasks.pollTimeoutMs, putMs: tasks.putTimeoutMs, flushMs: tasks.flushTimeoutMs },
      ...(context.etcd === undefined ? { handOverTimeoutMs: 0 } : {}),
      hostCount: settings.runner.hosts === 0 ? availableParallelism() : settings.runner.hosts,
    },
    onSpans: (spans, dropped) => tracing.take(spans, dropped),
    onUnkillable: (message) => {
      log.error(`${message}: the process ends`);
      // process.exit waits for threads; what one of them does now cannot be waited for.
      process.kill(process.pid, 'SIGKILL');
    },
    rssBytes: () => process.memoryUsage.rss(),
    metrics: context.metrics,
    addStage: (stage, detail) => context.stages.add(stage, detail),
    loggers: context.loggers,
  });
  return {
    name: 'task-runner-service',
    implementations: service.implementations,
    start: async () => {
      if (servers.length > 0) reachable.start();
      await service.start();
    },
    stop: async () => {
      await service.stop();
      reachable.stop();
      await leaseThread?.close();
      await messages.close();
    },
  };
}

interface Messages {
  readonly connect: () => LogConnection;
  /** Those of sinks, instead of the metadata store. */
  readonly keepsPositions: boolean;
  readonly forProcesses: boolean;
  close(): Promise<void>;
}

async function openMessages(context: ProcessContext, log: Logger): Promise<Messages> {
  const { namesrv, proxy } = context.settings.rocketmq;
  if (namesrv.length > 0 && proxy.length > 0) {
    throw new ConfigError('rocketmq.namesrv and rocketmq.proxy are both given', {
      field: 'rocketmq.proxy',
      remedy:
        'Give one of them: the name servers where brokers can be reached (faster, and sinks keep positions of their own), else the proxies.',
    });
  }
  if (namesrv.length > 0) return remotingLog(context);
  if (proxy.length > 0) return proxyLog(context);
  return embeddedLog(context, log);
}

/** It is of one process, so it is for standalone only. */
async function embeddedLog({ settings, standalone, dataDirectory }: ProcessContext, log: Logger): Promise<Messages> {
  if (!standalone) {
    throw new ConfigError('no RocketMQ is given, and the embedded message log serves a single process', {
      field: 'rocketmq.namesrv',
      code: 'ROCKETMQ_MISSING',
      remedy: 'give --rocketmq-namesrv host:port[,…] (RMQC_ROCKETMQ_NAMESRV, or rocketmq.namesrv in the file), or --rocketmq-proxy',
    });
  }
  const { flush, segmentBytes, retentionMs, retentionBytes } = settings.messageLog;
  const messages = await EmbeddedLog.open(join(dataDirectory(), 'messages'), { flush, segmentBytes, retentionMs, retentionBytes });
  for (const finding of messages.findings) log.warn('the message log was repaired', { ...finding });
  return { connect: () => messages.connect(), keepsPositions: false, forProcesses: false, close: () => messages.close() };
}

/** Hosts connect by themselves; here is only what they are told. */
function remotingLog(context: ProcessContext): Messages {
  const base = {
    kind: 'remoting' as const,
    nameServers: context.settings.rocketmq.namesrv,
    ...rocketmqAccess(context.settings, context.baseDirectory),
  };
  return told(context, false, (clientId) => ({ ...base, clientId }) satisfies RemotingLogConnection);
}

function proxyLog(context: ProcessContext): Messages {
  const base = {
    kind: 'proxy' as const,
    proxies: context.settings.rocketmq.proxy,
    ...rocketmqAccess(context.settings, context.baseDirectory),
  };
  return told(context, true, (clientId) => ({ ...base, clientId }) satisfies ProxyLogConnection);
}

/** How the settings have us connect to RocketMQ. Throws `ConfigError`. */
export function rocketmqAccess({ rocketmq }: Settings, baseDirectory: string) {
  const { accessKey, namespace } = rocketmq;
  const secretKey = secretOf('rocketmq.secretKey', rocketmq.secretKey);
  if ((accessKey === '') !== (secretKey === '')) {
    throw new ConfigError('an access key for RocketMQ needs its secret, and a secret its access key', {
      field: accessKey === '' ? 'rocketmq.accessKey' : 'rocketmq.secretKey',
      remedy: 'Give both accessKey and secretKey (a reference such as ${env:NAME} that has a value), or none.',
    });
  }
  return {
    ...(namespace === '' ? {} : { namespace }),
    ...(accessKey === '' ? {} : { credentials: { accessKey, secretKey } }),
    ...(isEncrypted(rocketmq) ? { tls: tlsSettings(rocketmq, baseDirectory) } : {}),
  };
}

function tlsSettings({ tlsCaFile, tlsCertFile, tlsKeyFile }: Settings['rocketmq'], baseDirectory: string) {
  if ((tlsCertFile === '') !== (tlsKeyFile === '')) {
    throw new ConfigError('a certificate for RocketMQ needs its key, and a key its certificate', {
      field: tlsCertFile === '' ? 'rocketmq.tlsCertFile' : 'rocketmq.tlsKeyFile',
      remedy: 'Give both tlsCertFile and tlsKeyFile, or none.',
    });
  }
  return {
    ...pem('ca', 'rocketmq.tlsCaFile', tlsCaFile, baseDirectory),
    ...pem('cert', 'rocketmq.tlsCertFile', tlsCertFile, baseDirectory),
    ...pem('key', 'rocketmq.tlsKeyFile', tlsKeyFile, baseDirectory),
  };
}

function pem(name: 'ca' | 'cert' | 'key', field: string, file: string, baseDirectory: string): { readonly [name: string]: string } {
  return file === '' ? {} : { [name]: readPem(field, file, baseDirectory).toString() };
}

function told({ id }: ProcessContext, keepsPositions: boolean, connection: (clientId: string) => LogConnection['connection']): Messages {
  let hosts = 0;
  return {
    connect: () => ({ connection: connection(`${id}@${process.pid}#${++hosts}`), transferList: [], release: () => {} }),
    keepsPositions,
    forProcesses: true,
    close: async () => {},
  };
}

function parseLabels(labels: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    labels.map((text) => {
      const [, label = '', value = ''] = /^([^=\s]+)=(\S*)$/.exec(text) ?? [];
      if (label === '')
        throw new ConfigError(`'${text}' is no label`, {
          field: 'labels',
          remedy: 'write --labels label=value[,label=value…], without blanks',
        });
      return [label, value];
    }),
  );
}
