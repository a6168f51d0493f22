import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog } from '@rocketmq-connect/message-log';
import type { EmbeddedLogConnection } from '@rocketmq-connect/message-log/embedded/client';
import type { ProxyLogConnection } from '@rocketmq-connect/message-log/proxy/client';
import type { RemotingLogConnection } from '@rocketmq-connect/message-log/remoting/client';
import { createHostRuntime } from '@rocketmq-connect/pipeline/host/host-runtime';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import { loadCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { builtInConnectors } from './built-in.ts';
import { hideInText } from './hide-in-text.ts';
import type { ThreadHostData } from './thread-hosts.ts';

const PULSE_MS = 200;

// The entry of a host thread. It imports the data path only: each host pays for what is imported here.
if (parentPort === null) throw new Error('thread-main.ts runs in a worker thread only');
const port = parentPort;
const { log, deadline, pulse, plugins, baseDirectory } = workerData as ThreadHostData;

const runtime = createHostRuntime({
  log: await connectLog(log as EmbeddedLogConnection | RemotingLogConnection | ProxyLogConnection),
  catalogue: await loadCatalogue({ builtIn: builtInConnectors, plugins, baseDirectory }),
  clock: systemClock,
  random: Math.random,
  deadline: new DeadlineWord(deadline),
  references: { env: process.env, readFile: (path) => readFileSync(path, 'utf8') },
  post: (event) => port.postMessage(event),
});
// Thrown where nobody listens, it ends this thread, and its text becomes the reason that everybody sees.
process.on('uncaughtException', (error) => {
  throw runtime.hideSecrets(error);
});
for (const stream of [process.stdout, process.stderr]) hideInText(stream, (text) => String(runtime.hideSecrets(text)));
const beats = new Int32Array(pulse);
const beat = (): void => void Atomics.add(beats, 0, 1);
beat();
setInterval(beat, PULSE_MS);
// A port without a listener keeps what it gets: nothing sent before this moment is lost.
port.on('message', (command: HostCommand) => runtime.handle(command));
port.postMessage({ type: 'ready' } satisfies HostEvent);
// A thread that is ended from outside writes no cache: without this every host would strip all types anew.
flushCompileCache();

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
