import { type Transferable, Worker } from 'node:worker_threads';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import type { DeadlineWord, HostExit, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';

/** A host's own connection to the message log, as plain data that a thread can be given. */
export interface LogConnection {
  /** `kind` names the adapter. */
  readonly connection: { readonly kind: string };
  readonly transferList: readonly Transferable[];
  /** The host is gone: frees what it held in the log. */
  release(): void;
}

export interface ThreadHostsOptions {
  readonly connectLog: () => LogConnection;
  readonly deadline: DeadlineWord;
  /** The configuration's `plugins`, relative to `baseDirectory`. */
  readonly plugins: readonly string[];
  readonly baseDirectory: string;
  /** Heap of one host: beyond it the host ends with `outOfMemory`, and no other. */
  readonly maxHeapMb: number;
}

/** What `thread-main.ts` is started with. */
export interface ThreadHostData {
  readonly log: { readonly kind: string };
  readonly deadline: SharedArrayBuffer;
  readonly plugins: readonly string[];
  readonly baseDirectory: string;
}

/** Young objects die young on the data path: a small nursery keeps a host's memory low at no measurable cost. */
const MAX_YOUNG_MB = 16;

/** Task hosts in worker threads: each has the whole data path of its tasks, so that records cross no thread. */
export class ThreadHosts implements TaskHosts {
  readonly #options: ThreadHostsOptions;
  #opened = 0;

  constructor(options: ThreadHostsOptions) {
    this.#options = options;
  }

  open(listener: TaskHostListener): TaskHost {
    const id = `thread-${++this.#opened}`;
    const { connectLog, deadline, plugins, baseDirectory, maxHeapMb } = this.#options;
    const log = connectLog();
    const data: ThreadHostData = { log: log.connection, deadline: deadline.buffer, plugins, baseDirectory };
    const worker = new Worker(new URL('./thread-main.ts', import.meta.url), {
      name: id,
      workerData: data,
      transferList: [...log.transferList],
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: MAX_YOUNG_MB },
    });
    let killed = false;
    let failure: Error | null = null;
    worker.on('message', (event: HostEvent) => listener.onEvent(event));
    worker.on('error', (error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    // 'exit' is the last event of a worker: no code of it runs any more.
    worker.on('exit', (code) => {
      log.release();
      listener.onExit(exitOf(code, failure, killed, maxHeapMb));
    });
    return {
      id,
      send: (command: HostCommand) => worker.postMessage(command),
      kill: () => {
        killed = true;
        void worker.terminate();
      },
    };
  }
}

function exitOf(code: number, failure: Error | null, killed: boolean, maxHeapMb: number): HostExit {
  if (failure !== null && 'code' in failure && failure.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return { reason: 'outOfMemory', message: `it needed more than ${maxHeapMb} MB of heap` };
  }
  if (failure !== null) return { reason: 'crashed', message: failure.stack ?? failure.message };
  if (killed) return { reason: 'killed', message: 'ended by the runner' };
  return { reason: 'crashed', message: `it called process.exit(${code})` };
}
