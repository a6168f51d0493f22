import type { Rpc } from '@rocketmq-connect/mesh';
import type { TaskStats } from '@rocketmq-connect/proto/runner';
import { type RunnerEndpoints, runnerClient } from '../v1/runner-client.ts';

const DEADLINE_MS = 2_000;

/** What became of the records that a task has polled, as its runner counts them since its process was started. */
export interface TaskLedgerJson {
  readonly polled: number;
  readonly acknowledged: number;
  readonly deduplicated: number;
  readonly filtered: number;
  readonly dead_lettered: number;
  readonly skipped: number;
  readonly in_flight: number;
  /** Anything but 0 is an error of RocketMQ Connect. */
  readonly imbalance: number;
  readonly bytes: number;
  /** Null: unknown. */
  readonly lag: number | null;
}

/** The ledgers of a connector's tasks, by task, from the runners that they are on. One that does not answer tells none. */
export async function taskLedgers(
  rpc: Rpc,
  endpointsOf: RunnerEndpoints,
  connector: string,
  runners: Iterable<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, TaskLedgerJson>> {
  const ledgers = new Map<number, TaskLedgerJson>();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const ask = async (runner: string): Promise<void> => {
    const client = await runnerClient(rpc, endpointsOf, runner);
    for await (const { tasks } of client.taskStats({ runner, intervalMs: 0 }, { signal: limit })) {
      for (const stats of tasks) if (stats.id?.connector === connector) ledgers.set(stats.id.task, ledgerJson(stats));
      return;
    }
  };
  await Promise.allSettled([...new Set(runners)].filter((runner) => runner !== '').map(ask));
  return ledgers;
}

function ledgerJson(stats: TaskStats): TaskLedgerJson {
  return {
    polled: Number(stats.polled),
    acknowledged: Number(stats.acknowledged),
    deduplicated: Number(stats.deduplicated),
    filtered: Number(stats.filtered),
    dead_lettered: Number(stats.deadLettered),
    skipped: Number(stats.skipped),
    in_flight: Number(stats.inFlight),
    imbalance: Number(stats.imbalance),
    bytes: Number(stats.bytes),
    lag: stats.lag < 0n ? null : Number(stats.lag),
  };
}
