import type { ClusterKeys } from '@rocketmq-connect/cluster';
import type { OpenLease } from '@rocketmq-connect/cluster/lease-keeper';
import type { Endpoints, Implementation, Rpc } from '@rocketmq-connect/mesh';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import type { DeadlineWord, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { CommitServiceDefinition, TaskSetServiceDefinition } from '@rocketmq-connect/proto/commit';
import type { TaskStats } from '@rocketmq-connect/proto/runner';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import type { SpanData } from '@rocketmq-connect/tracing';
import { CommitStream } from './commit-stream.ts';
import { unitOfLife } from './desired.ts';
import { HostPool } from './host-pool.ts';
import { TaskLedgers } from './ledger.ts';
import { loadPluginRefs, pluginHostService } from './plugin-host.ts';
import { Questions } from './questions.ts';
import { defaultRestartPolicy, type RestartPolicy } from './restart-policy.ts';
import { Runner, type RunnerStage } from './runner.ts';
import { runnerMetrics } from './runner-metrics.ts';
import { runnerService } from './runner-service.ts';
import { defaultRunnerSettings, type RunnerSettings } from './settings.ts';
import { UnitFigures } from './unit-figures.ts';

export type { RunnerSettings } from './settings.ts';

export interface TaskRunnerDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Default: loggers of its own, at level info. */
  readonly loggers?: Loggers;
  readonly rpc: Rpc;
  readonly configEndpoints: Endpoints;
  /** Unique in the cluster. */
  readonly id: string;
  /** Where its gRPC services are reached; asked when it joins. */
  readonly endpoint: () => string;
  readonly labels: Readonly<Record<string, string>>;
  readonly zone: string;
  /** Units at most; 0: no limit. */
  readonly capacity: number;
  /** The message log of its hosts keeps the positions of sinks. */
  readonly logKeepsPositions?: boolean;
  readonly version: string;
  readonly hosts: TaskHosts;
  /** For `tasks.isolation=process`; absent: it is refused. */
  readonly processHosts?: TaskHosts;
  /** Whether there are plugins but those that every runner has; default true. */
  readonly foreignPlugins?: boolean;
  /** Shared with the hosts. */
  readonly deadline: DeadlineWord;
  /** How the lease of the session is kept, if not in this thread. */
  readonly openLease?: OpenLease;
  readonly settings?: Partial<RunnerSettings>;
  readonly restartPolicy?: RestartPolicy;
  /** Finished spans of hosts, and how many they dropped; absent: they trace nothing. */
  readonly onSpans?: (spans: readonly SpanData[], dropped: number) => void;
  /** A host cannot be ended: the process must, at once, for what the host does cannot be bounded otherwise. */
  readonly onUnkillable: (message: string) => void;
  readonly rssBytes: () => number;
  readonly metrics?: Metrics;
  /** A stage of the process that holds it up, by name and what it waits for; default: nobody is told. */
  readonly addStage?: (stage: string, detail: string) => RunnerStage;
}

export interface TaskRunner {
  readonly implementations: readonly Implementation[];
  /** Resolves when it is registered; its gRPC port must be open by then. */
  start(): Promise<void>;
  /** Stops every unit, commits and releases it. */
  stop(): Promise<void>;
  stats(): readonly TaskStats[];
}

/** Runs connectors and tasks: claims what it was given, runs it in task hosts, reports status, commits through config-service. */
export function createTaskRunner(deps: TaskRunnerDeps): TaskRunner {
  const { store, keys, clock, random, rpc, id, version } = deps;
  const settings = { ...defaultRunnerSettings, ...deps.settings };
  const log = deps.log.child({ runner: id });
  const loggers = deps.loggers ?? new Loggers('info', () => clock.now());
  const pool = new HostPool({
    hosts: { thread: deps.hosts, ...(deps.processHosts === undefined ? {} : { process: deps.processHosts }) },
    clock,
    log,
    loggers,
    hostCount: settings.hostCount,
    idleMs: settings.hostIdleMs,
    killTimeoutMs: settings.hostKillTimeoutMs,
    pingTimeoutMs: settings.hostPingTimeoutMs,
    foreignPlugins: deps.foreignPlugins ?? true,
    onSpans: deps.onSpans ?? (() => undefined),
    onUnkillable: deps.onUnkillable,
  });
  const ledgers = new TaskLedgers();
  const figures = new UnitFigures(clock);
  const questions = new Questions(pool, clock, settings.asksMax);
  const commits = rpc.client(CommitServiceDefinition, deps.configEndpoints);
  const addStage = deps.addStage ?? (() => ({ ready: () => undefined, trouble: () => undefined }));
  const runner = new Runner({
    ...deps,
    stages: {
      plugins: addStage('plugins', 'a task host is loading them'),
      clusterState: addStage('cluster state', 'it is not read yet'),
      membership: addStage('membership', 'the runner has not joined yet'),
    },
    leaseTtlMs: settings.leaseTtlMs,
    handOverTimeoutMs: settings.handOverTimeoutMs,
    plugins: () => loadPluginRefs(questions, settings.taskStartTimeoutMs, log),
    tools: {
      store,
      keys,
      clock,
      random,
      log,
      version,
      settings,
      restartPolicy: deps.restartPolicy ?? defaultRestartPolicy,
      pool,
      questions,
      commits,
      taskSets: rpc.client(TaskSetServiceDefinition, deps.configEndpoints),
      commitStream: new CommitStream(commits, clock, settings.commitAnswerTimeoutMs),
      ledgers,
      figures,
    },
  });
  deps.metrics?.from(
    runnerMetrics({ clock, pool, ledgers, figures, deadline: deps.deadline, session: () => runner.session, units: () => runner.units() }),
  );
  return {
    implementations: [
      pluginHostService(questions, id, settings.askTimeoutMs),
      runnerService({
        id,
        version,
        clock,
        pool,
        loggers,
        session: () => runner.session,
        stats: () => runner.stats(),
        rssBytes: deps.rssBytes,
        nameOf: unitOfLife,
      }),
    ],
    start: () => runner.start(),
    stop: () => runner.stop(),
    stats: () => runner.stats(),
  };
}
