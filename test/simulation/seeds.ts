import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Profile } from './faults.ts';
import { run } from './run.ts';

export interface Seeds {
  readonly from: number;
  readonly count: number;
  readonly profile: Profile;
}

export interface SeedsResult {
  readonly failed: readonly FailedSeed[];
  readonly records: number;
  readonly virtualMs: number;
}

export interface FailedSeed {
  readonly seed: number;
  readonly violation: string;
  /** The end of its trace. */
  readonly trace: readonly string[];
}

interface Share extends Seeds {
  readonly every: number;
}

const TRACE_LINES = 60;

/** Runs many seeds, on as many threads as there are cores: each is a world of its own. `onFailed` hears of each failure at once. */
export async function runSeeds(seeds: Seeds, onFailed: (failed: FailedSeed) => void = () => undefined): Promise<SeedsResult> {
  const threads = Math.min(seeds.count, availableParallelism());
  const shares = Array.from({ length: threads }, (_, index): Share => ({ ...seeds, from: seeds.from + index, every: threads }));
  const failed: FailedSeed[] = [];
  const totals = await Promise.all(
    shares.map((share) =>
      inThread(share, seeds.from + seeds.count, (one) => {
        failed.push(one);
        onFailed(one);
      }),
    ),
  );
  return {
    failed: failed.sort((a, b) => a.seed - b.seed),
    records: totals.reduce((sum, { records }) => sum + records, 0),
    virtualMs: totals.reduce((sum, { virtualMs }) => sum + virtualMs, 0),
  };
}

type Totals = Pick<SeedsResult, 'records' | 'virtualMs'>;
type Message = { readonly type: 'failed'; readonly failed: FailedSeed } | ({ readonly type: 'done' } & Totals);

function inThread(share: Share, end: number, onFailed: (failed: FailedSeed) => void): Promise<Totals> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { share, end } });
  return new Promise((resolve, reject) => {
    worker.on('message', (message: Message) => {
      if (message.type === 'failed') onFailed(message.failed);
      else resolve(message);
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('a thread of the simulation ended early')));
  });
}

async function work({ share, end }: { readonly share: Share; readonly end: number }): Promise<void> {
  const { from, every, profile } = share;
  let records = 0;
  let virtualMs = 0;
  for (let seed = from; seed < end; seed += every) {
    const result = await run({ seed, profile });
    records += result.records;
    virtualMs += result.virtualMs;
    if (result.violation === '') continue;
    const failed = { seed, violation: result.violation, trace: result.trace.slice(-TRACE_LINES) };
    parentPort?.postMessage({ type: 'failed', failed } satisfies Message);
  }
  parentPort?.postMessage({ type: 'done', records, virtualMs } satisfies Message);
}

if (!isMainThread) await work(workerData);
