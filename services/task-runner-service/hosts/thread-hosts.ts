import { setFlagsFromString } from 'node:v8';
import { type Transferable, Worker } from 'node:worker_threads';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import type { DeadlineWord, HostExit, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import { blockedCode } from './blocked-code.ts';
import { watchPulse } from './pulse.ts';

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
  /** How batches are sampled; null: nothing is traced. */
  readonly sampler: SamplerSettings | null;
  /** Heap of one host: beyond it the host ends with `outOfMemory`, and no other. */
  readonly maxHeapMb: number;
  /** A host whose event loop turns no more for about this long is ended: code in it blocks it, and the neighbours with it. */
  readonly blockedAfterMs: number;
}

/** What `thread-main.ts` is started with. */
export interface ThreadHostData {
  readonly log: { readonly kind: string };
  readonly deadline: SharedArrayBuffer;
  /** Two Int32: one that the host raises as long as its event loop turns, and the number of the unit whose hook it runs. */
  readonly pulse: SharedArrayBuffer;
  readonly plugins: readonly string[];
  readonly baseDirectory: string;
  readonly sampler: SamplerSettings | null;
}

/** Young objects die young on the data path: a small nursery keeps a host's memory low at no measurable cost. */
const MAX_YOUNG_MB = 3;
/** For without it V8, having seen a few records survive, makes all later ones among the old from the start: two to three times the CPU per record. */
const NO_PRETENURING = '--no-allocation-site-pretenuring';

/** Task hosts in worker threads: each has the whole data path of its tasks, so that records cross no thread. */
export class ThreadHosts implements TaskHosts {
  readonly #options: ThreadHostsOptions;
  #opened = 0;

  constructor(options: ThreadHostsOptions) {
    this.#options = options;
    // Of the whole process, but in effect from the next thread on.
    setFlagsFromString(NO_PRETENURING);
  }

  open(listener: TaskHostListener): TaskHost {
    const id = `thread-${++this.#opened}`;
    const { connectLog, deadline, plugins, baseDirectory, sampler, maxHeapMb, blockedAfterMs } = this.#options;
    const log = connectLog();
    const pulse = new SharedArrayBuffer(8);
    const word = new Int32Array(pulse);
    const numbers = new Map<string, number>();
    let starts = 0;
    const data: ThreadHostData = { log: log.connection, deadline: deadline.buffer, pulse, plugins, baseDirectory, sampler };
    const worker = new Worker(new URL('./thread-main.ts', import.meta.url), {
      name: id,
      workerData: data,
      transferList: [...log.transferList],
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: MAX_YOUNG_MB },
    });
    let killed = false;
    let failure: Error | null = null;
    let culprit: string | undefined;
    const stopWatching = watchPulse(
      () => Atomics.load(word, 0),
      blockedAfterMs,
      async () => {
        const number = Atomics.load(word, 1);
        culprit = [...numbers].find(([, each]) => each === number)?.[0];
        const code = await blockedCode(worker);
        failure ??= new Error(`its event loop was blocked for about ${blockedAfterMs} ms${code === undefined ? '' : ` by ${code}`}`);
        void worker.terminate();
      },
    );
    worker.on('message', (event: HostEvent) => {
      if (event.type === 'stopped' || event.type === 'failed') numbers.delete(event.unit);
      listener.onEvent(event);
    });
    worker.on('error', (error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    // 'exit' is the last event of a worker: no code of it runs any more.
    worker.on('exit', (code) => {
      stopWatching();
      log.release();
      listener.onExit({ ...exitOf(code, failure, killed, maxHeapMb), ...(culprit === undefined ? {} : { unit: culprit }) });
    });
    return {
      id,
      send: (command: HostCommand) => {
        // The host numbers its units in the order in which they come.
        if (command.type === 'startTask' || command.type === 'startConnector') numbers.set(command.unit, ++starts);
        worker.postMessage(command);
      },
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
  if (failure !== null) return { reason: 'crashed', message: failure.message };
  if (killed) return { reason: 'killed', message: 'ended by the runner' };
  return { reason: 'crashed', message: `it called process.exit(${code})` };
}
