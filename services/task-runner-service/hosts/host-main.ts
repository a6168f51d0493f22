import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { getHeapStatistics } from 'node:v8';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog } from '@rocketmq-connect/message-log';
import type { EmbeddedLogConnection } from '@rocketmq-connect/message-log/embedded/client';
import type { ProxyLogConnection } from '@rocketmq-connect/message-log/proxy/client';
import type { RemotingLogConnection } from '@rocketmq-connect/message-log/remoting/client';
import { createHostRuntime, type HostRuntime, type Owner } from '@rocketmq-connect/pipeline/host/host-runtime';
import type { HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import { loadCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import type { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { FatalError } from '@rocketmq-connect/sdk';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import { builtInConnectors } from './built-in.ts';
import { hideInText } from './hide-in-text.ts';

/** What a host is made of, whatever it is. */
export interface HostMainOptions {
  readonly log: { readonly kind: string };
  readonly deadline: DeadlineWord;
  readonly plugins: readonly string[];
  readonly baseDirectory: string;
  /** How batches are sampled; null: nothing is traced. */
  readonly sampler: SamplerSettings | null;
  readonly post: (event: HostEvent) => void;
  /** Called as long as the event loop turns, every 200 ms. */
  readonly onBeat: () => void;
  readonly onHook?: (unitNumber: number) => void;
  /** Ends the host for an error that nobody knows the owner of; it has no secrets. */
  readonly crash: (error: unknown) => void;
}

const BEAT_MS = 200;
const BEATS_PER_PULSE = 5;

/** The inside of a host thread or process. It imports the data path only: each host pays for what is imported here. */
export async function runHost(options: HostMainOptions): Promise<HostRuntime> {
  const { deadline, plugins, baseDirectory, sampler, post, onHook, crash } = options;
  const running = new AsyncLocalStorage<Owner>();
  const importing = <T>(plugin: string, load: () => Promise<T>): Promise<T> => running.run({ plugin }, load);
  let runtime: HostRuntime | undefined;
  // Until there is a runtime, only modules run that are being loaded.
  const early: [Owner | undefined, unknown][] = [];
  const onUncaught = (error: unknown): void => {
    if (runtime === undefined) early.push([running.getStore(), error]);
    else if (!runtime.blame(error)) crash(runtime.hideSecrets(error));
  };
  process.on('uncaughtException', onUncaught);
  refuseExit((error) => runtime?.blame(error));
  const catalogue = await loadCatalogue({ builtIn: builtInConnectors, plugins, baseDirectory, importing });
  runtime = createHostRuntime({
    log: await connectLog(options.log as EmbeddedLogConnection | RemotingLogConnection | ProxyLogConnection),
    catalogue,
    clock: systemClock,
    random: Math.random,
    deadline,
    sampler,
    running,
    references: { env: process.env, readFile: (path) => readFileSync(path, 'utf8') },
    post,
    ...(onHook === undefined ? {} : { onHook }),
  });
  const { hideSecrets } = runtime;
  for (const stream of [process.stdout, process.stderr]) hideInText(stream, (text) => String(hideSecrets(text)));
  for (const [owner, error] of early) {
    if (owner === undefined) onUncaught(error);
    else running.run(owner, () => onUncaught(error));
  }
  beat(options);
  // A host that is ended from outside writes no cache: without this every host would strip all types anew.
  flushCompileCache();
  return runtime;
}

/** A plugin that wants to end the process ends its task only: thrown, it is known whose it is. */
function refuseExit(blame: (error: unknown) => void): void {
  process.exit = (code) => {
    const error = new FatalError(`it called process.exit(${code ?? ''})`, {
      code: 'PROCESS_EXIT',
      remedy: 'This is an error of the plugin: it must throw.',
    });
    blame(error);
    throw error;
  };
}

function beat({ post, onBeat }: HostMainOptions): void {
  let beats = 0;
  let latestMs = 0;
  let dueMs = performance.now() + BEAT_MS;
  onBeat();
  setInterval(() => {
    onBeat();
    latestMs = Math.max(latestMs, performance.now() - dueMs);
    dueMs = performance.now() + BEAT_MS;
    if (++beats % BEATS_PER_PULSE !== 0) return;
    post({ type: 'pulse', loopDelayMs: Math.round(latestMs), heapBytes: getHeapStatistics().used_heap_size });
    latestMs = 0;
  }, BEAT_MS);
}

/** Imports the one adapter that is used. */
async function connectLog(connection: EmbeddedLogConnection | RemotingLogConnection | ProxyLogConnection): Promise<MessageLog> {
  switch (connection.kind) {
    case 'embedded':
      return (await import('@rocketmq-connect/message-log/embedded/client')).connectEmbeddedLog(connection);
    case 'remoting': {
      const { connectRemotingLog } = await import('@rocketmq-connect/message-log/remoting/client');
      return connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    }
    case 'proxy': {
      const { connectProxyLog } = await import('@rocketmq-connect/message-log/proxy/client');
      return connectProxyLog(connection, { clock: systemClock, random: Math.random, pid: process.pid });
    }
  }
}
