import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { Settings } from '@rocketmq-connect/configuration';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import type { ProxyLogConnection } from '@rocketmq-connect/message-log/proxy/client';
import type { RemotingLogConnection } from '@rocketmq-connect/message-log/remoting/client';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { type ProcessContext, type ProcessService, secretOf } from '@rocketmq-connect/process';
import { ConfigError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { type LogConnection, ThreadHosts } from './hosts/thread-hosts.ts';
import { createTaskRunner } from './index.ts';
import { LeaseThread } from './lease/lease-thread.ts';

export async function taskRunner(context: ProcessContext): Promise<ProcessService> {
  const { store, keys, clock, random, rpc, configEndpoints, settings, version, dataDirectory, baseDirectory } = context;
  const { tasks } = settings;
  const log = context.log.child({ service: 'task-runner' });
  const messages = await openMessages(settings, baseDirectory, dataDirectory, log);
  const deadline = new DeadlineWord();
  const leaseThread = context.etcd && new LeaseThread({ connection: context.etcd, deadline, clock });
  const service = createTaskRunner({
    store,
    keys,
    clock,
    random,
    rpc,
    configEndpoints,
    log,
    version,
    id: settings.runner.id,
    endpoint: context.address,
    labels: {},
    zone: settings.runner.zone,
    capacity: settings.runner.capacity,
    logKeepsPositions: messages.keepsPositions,
    deadline,
    ...(leaseThread === undefined ? {} : { openLease: (ttlMs, options) => leaseThread.open(ttlMs, options) }),
    hosts: new ThreadHosts({
      connectLog: messages.connect,
      deadline,
      plugins: settings.plugins,
      baseDirectory,
      maxHeapMb: settings.runner.hostHeapMb,
      blockedAfterMs: tasks.blockedTimeoutMs,
    }),
    foreignPlugins: settings.plugins.length > 0,
    settings: {
      leaseTtlMs: settings.runner.leaseTtlMs,
      commitIntervalMs: settings.offsets.commitIntervalMs,
      taskStartTimeoutMs: tasks.startTimeoutMs,
      taskStopTimeoutMs: tasks.stopTimeoutMs,
      planTimeoutMs: tasks.planTimeoutMs,
      askTimeoutMs: tasks.askTimeoutMs,
      hookLimits: { pollMs: tasks.pollTimeoutMs, putMs: tasks.putTimeoutMs, flushMs: tasks.flushTimeoutMs },
      hostCount: settings.runner.hosts === 0 ? availableParallelism() : settings.runner.hosts,
    },
    onUnkillable: (message) => {
      log.error(`${message}: the process ends`);
      // process.exit waits for threads; what one of them does now cannot be waited for.
      process.kill(process.pid, 'SIGKILL');
    },
    rssBytes: () => process.memoryUsage.rss(),
  });
  return {
    name: 'task-runner-service',
    implementations: service.implementations,
    start: () => service.start(),
    stop: async () => {
      await service.stop();
      await leaseThread?.close();
      await messages.close();
    },
  };
}

interface Messages {
  readonly connect: () => LogConnection;
  /** Those of sinks, instead of the metadata store. */
  readonly keepsPositions: boolean;
  close(): Promise<void>;
}

async function openMessages(settings: Settings, baseDirectory: string, dataDirectory: string, log: Logger): Promise<Messages> {
  const { namesrv, proxy } = settings.rocketmq;
  if (namesrv.length > 0 && proxy.length > 0) {
    throw new ConfigError('rocketmq.namesrv and rocketmq.proxy are both given', {
      field: 'rocketmq.proxy',
      remedy:
        'Give one of them: the name servers where brokers can be reached (faster, and sinks keep positions of their own), else the proxies.',
    });
  }
  if (namesrv.length > 0) return remotingLog(settings, baseDirectory);
  if (proxy.length > 0) return proxyLog(settings, baseDirectory);
  return embeddedLog(settings, dataDirectory, log);
}

async function embeddedLog(settings: Settings, dataDirectory: string, log: Logger): Promise<Messages> {
  const { flush, segmentBytes, retentionMs, retentionBytes } = settings.messageLog;
  const messages = await EmbeddedLog.open(join(dataDirectory, 'messages'), { flush, segmentBytes, retentionMs, retentionBytes });
  for (const finding of messages.findings) log.warn('the message log was repaired', { ...finding });
  return { connect: () => messages.connect(), keepsPositions: false, close: () => messages.close() };
}

/** Hosts connect by themselves; here is only what they are told. */
function remotingLog(settings: Settings, baseDirectory: string): Messages {
  const base = { kind: 'remoting' as const, nameServers: settings.rocketmq.namesrv, ...access(settings, baseDirectory) };
  return told(settings, false, (clientId) => ({ ...base, clientId }) satisfies RemotingLogConnection);
}

function proxyLog(settings: Settings, baseDirectory: string): Messages {
  const base = { kind: 'proxy' as const, proxies: settings.rocketmq.proxy, ...access(settings, baseDirectory) };
  return told(settings, true, (clientId) => ({ ...base, clientId }) satisfies ProxyLogConnection);
}

function access({ rocketmq }: Settings, baseDirectory: string) {
  const { accessKey, namespace, tls } = rocketmq;
  const secretKey = secretOf('rocketmq.secretKey', rocketmq.secretKey);
  return {
    ...(namespace === '' ? {} : { namespace }),
    ...(accessKey === '' ? {} : { credentials: { accessKey, secretKey } }),
    ...(tls ? { tls: tlsSettings(rocketmq, baseDirectory) } : {}),
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
  if (file === '') return {};
  const path = resolve(baseDirectory, file);
  try {
    return { [name]: readFileSync(path, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`${field}: cannot read ${path} (${code})`, {
      field,
      remedy: 'Give the path of a readable PEM file.',
      cause: error,
    });
  }
}

function told({ runner }: Settings, keepsPositions: boolean, connection: (clientId: string) => LogConnection['connection']): Messages {
  let hosts = 0;
  return {
    connect: () => ({ connection: connection(`${runner.id}@${process.pid}#${++hosts}`), transferList: [], release: () => {} }),
    keepsPositions,
    close: async () => {},
  };
}
