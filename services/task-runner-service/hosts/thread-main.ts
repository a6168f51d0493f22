import { parentPort, workerData } from 'node:worker_threads';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { runHost } from './host-main.ts';
import type { ThreadHostData } from './thread-hosts.ts';

// The entry of a host thread.
if (parentPort === null) throw new Error('thread-main.ts runs in a worker thread only');
const port = parentPort;
const { log, deadline, pulse, plugins, baseDirectory, sampler } = workerData as ThreadHostData;
const word = new Int32Array(pulse);

const runtime = await runHost({
  log,
  deadline: new DeadlineWord(deadline),
  plugins,
  baseDirectory,
  sampler,
  post: (event) => port.postMessage(event),
  onBeat: () => void Atomics.add(word, 0, 1),
  onHook: (unitNumber) => void Atomics.store(word, 1, unitNumber),
  // Thrown where nobody listens, it ends this thread, and its text becomes the reason that everybody sees.
  crash: (error) => {
    throw error;
  },
});
// A port without a listener keeps what it gets: nothing sent before this moment is lost.
port.on('message', (command: HostCommand) => runtime.handle(command));
port.postMessage({ type: 'ready' } satisfies HostEvent);
