import type { ProcessContext } from '@rocketmq-connect/process';
import { ConnectorType } from '@rocketmq-connect/proto/common';
import { RunnerServiceDefinition, type TaskStats } from '@rocketmq-connect/proto/runner';
import { sleep } from '@rocketmq-connect/sdk';

export interface LiveLine {
  stop(): void;
}

const TERMINAL_INTERVAL_MS = 1_000;
const LOG_INTERVAL_MS = 10_000;

/** Shows records a second, lag and states of this process's tasks: one line rewritten in place on a terminal, else a line every 10 s. */
export async function startLiveLine(context: ProcessContext, terminal: boolean): Promise<LiveLine> {
  const stopping = new AbortController();
  const intervalMs = terminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
  const runner = context.rpc.client(RunnerServiceDefinition, await context.endpointsOf('runner'));
  const follow = async (): Promise<void> => {
    let before: Sample | undefined;
    for await (const { tasks } of runner.taskStats({ intervalMs, runner: '' }, { signal: stopping.signal })) {
      const now: Sample = {
        atMs: context.clock.monotonic(),
        read: sum(tasks, ConnectorType.SOURCE),
        written: sum(tasks, ConnectorType.SINK),
      };
      const text = describe(tasks, before, now);
      process.stdout.write(terminal ? `\r\x1b[2K${text}` : `${text}\n`);
      before = now;
    }
  };
  void (async () => {
    while (!stopping.signal.aborted) {
      await follow().catch((error: unknown) => {
        if (!stopping.signal.aborted) context.log.debug('the live line lost its runner', { error: String(error) });
      });
      await sleep(context.clock, intervalMs, stopping.signal).catch(() => {});
    }
  })();
  return {
    stop: () => {
      stopping.abort();
      if (terminal) process.stdout.write('\n');
    },
  };
}

interface Sample {
  readonly atMs: number;
  readonly read: bigint;
  readonly written: bigint;
}

function sum(tasks: readonly TaskStats[], type: ConnectorType): bigint {
  return tasks.filter((task) => task.type === type).reduce((total, task) => total + task.acknowledged, 0n);
}

/** One line of text for a moment. */
export function describe(tasks: readonly TaskStats[], before: Sample | undefined, now: Sample): string {
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000;
  const rate = (total: bigint, earlier: bigint | undefined): string =>
    seconds === 0 || earlier === undefined ? '0' : Math.max(0, Math.round(Number(total - earlier) / seconds)).toLocaleString('en');
  const states = new Map<string, number>();
  for (const task of tasks) {
    const state = task.state.replace('UNIT_STATE_', '');
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  const lag = tasks.filter((task) => task.type === ConnectorType.SINK && task.lag > 0n).reduce((total, task) => total + task.lag, 0n);
  const summary = [...states].map(([state, count]) => `${count} ${state}`).join(', ') || 'no tasks';
  return `in ${rate(now.read, before?.read)}/s  out ${rate(now.written, before?.written)}/s  lag ${lag.toLocaleString('en')}  tasks ${summary}`;
}
