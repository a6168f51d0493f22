import { type Implementation, implement } from '@rocketmq-connect/mesh';
import { RunnerServiceDefinition, type TaskStats } from '@rocketmq-connect/proto/runner';
import { type Clock, ConfigError, ConnectError, sleep } from '@rocketmq-connect/sdk';
import { type Loggers, setLevel } from '@rocketmq-connect/telemetry/loggers';
import type { HostPool } from './host-pool.ts';

export interface RunnerServiceOptions {
  readonly id: string;
  readonly version: string;
  readonly clock: Clock;
  readonly pool: HostPool;
  readonly loggers: Loggers;
  readonly session: () => string;
  readonly stats: () => TaskStats[];
  /** Of this process; injected, since it is the process's and not the service's. */
  readonly rssBytes: () => number;
  /** The unit as users name it. */
  readonly nameOf: (hostUnit: string) => string;
}

const INTERVAL_DEFAULT_MS = 1000;
const INTERVAL_MIN_MS = 100;

/** One runner asked directly: who it is, what its tasks have done, how much its hosts say. */
export function runnerService(options: RunnerServiceOptions): Implementation {
  const { id, version, clock, pool } = options;
  const startedAtMs = clock.monotonic();
  /** Addresses outlive runners: at one of them there may be another runner than its caller means. */
  const checkIsMeant = (runner: string): void => {
    if (runner === '' || runner === id) return;
    throw new ConnectError('notFound', `there is no runner ${runner} here: this is ${id}`, { code: 'OTHER_RUNNER', field: 'runner' });
  };
  return implement(RunnerServiceDefinition, {
    describe: async ({ runner }) => {
      checkIsMeant(runner);
      return {
        id,
        session: options.session(),
        version,
        uptimeMs: BigInt(Math.floor(clock.monotonic() - startedAtMs)),
        rssBytes: BigInt(options.rssBytes()),
        hosts: pool.list().map(({ id: host, kind, units, loopDelayMs, heapBytes }) => {
          return {
            id: host,
            isolation: kind,
            units: units.map(options.nameOf),
            loopDelayMs: BigInt(Math.round(loopDelayMs)),
            heapBytes: BigInt(heapBytes),
          };
        }),
      };
    },
    taskStats: async function* ({ intervalMs, runner }, { signal }) {
      checkIsMeant(runner);
      if (intervalMs !== 0 && intervalMs < INTERVAL_MIN_MS) {
        throw new ConfigError(`interval_ms is ${intervalMs}`, {
          field: 'interval_ms',
          remedy: `at least ${INTERVAL_MIN_MS}, or 0 for 1000`,
        });
      }
      while (!signal.aborted) {
        yield { tasks: options.stats() };
        await sleep(clock, intervalMs === 0 ? INTERVAL_DEFAULT_MS : intervalMs, signal).catch(() => undefined);
      }
    },
    setLogLevel: async ({ logger, level, runner }) => {
      checkIsMeant(runner);
      setLevel(options.loggers, logger, level);
      return {};
    },
  });
}
