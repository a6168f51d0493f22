import type { Client } from '@rocketmq-connect/mesh';
import type { QueueAddress } from '@rocketmq-connect/message-log';
import type { CommitServiceDefinition, TaskSetServiceDefinition } from '@rocketmq-connect/proto/commit';
import { ConnectorType, TargetState } from '@rocketmq-connect/proto/common';
import type { StoredSpec, StoredStatus, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import { type Failure, toFailure, UnitFailed } from './failure.ts';
import type { HostPool } from './host-pool.ts';
import { HostedRun } from './hosted-run.ts';
import { homeOf } from './isolation.ts';
import type { Questions } from './questions.ts';
import { type CodeEvents, type Owned, Unable, type UnitCode } from './unit.ts';

export interface ConnectorUnitOptions {
  readonly owned: Owned;
  readonly events: CodeEvents;
  readonly hostUnit: string;
  readonly pool: HostPool;
  readonly questions: Questions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly taskSets: Client<TaskSetServiceDefinition>;
  readonly commits: Client<CommitServiceDefinition>;
  readonly spec: () => StoredSpec | undefined;
  /** The published task set as this runner sees it now, and the revision up to which it has seen. */
  readonly taskSet: () => { readonly pointer: StoredTaskSet | undefined; readonly revision: bigint };
  readonly canRun: (plugin: string) => boolean;
  readonly releaseUncommitted: (status: StoredStatus, signal: AbortSignal) => Promise<void>;
  readonly settings: {
    readonly taskStartTimeoutMs: number;
    readonly taskStopTimeoutMs: number;
    readonly planTimeoutMs: number;
  };
}

/** One owned connector instance: runs its watch in a host and sees to it that its task set is planned and published. */
export class ConnectorUnit implements UnitCode {
  readonly #options: ConnectorUnitOptions;
  readonly #session = new AbortController();
  #run: HostedRun | null = null;
  /** Of the present incarnation; a plan of an earlier one counts for nothing. */
  #incarnation = new AbortController();
  #planning = false;
  #replan = false;
  /** Planned to a digest that equals the published one. */
  #plannedRevision = -1n;
  /** Of our last publication: until it is seen here, an absent pointer says nothing. */
  #publishedRevision = 0n;
  #failures = 0;
  #cancelRetry: () => void = () => undefined;

  constructor(options: ConnectorUnitOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { pool, clock, hostUnit, settings, events, owned } = this.#options;
    const spec = this.#options.spec();
    if (spec === undefined) throw new ConnectError('conflict', 'the connector is deleted');
    if (!this.#options.canRun(spec.plugin)) throw new Unable(`plugin ${spec.plugin} is not on this runner`);
    this.#incarnation = new AbortController();
    this.#replan = false;
    this.#run = new HostedRun({
      pool,
      clock,
      unit: hostUnit,
      weight: 0,
      home: homeOf(owned.unit.connector, spec.config),
      startTimeoutMs: settings.taskStartTimeoutMs,
      stopTimeoutMs: settings.taskStopTimeoutMs,
      onFailed: (failure) => {
        this.#cease();
        this.#run = null;
        events.onFailed(failure);
      },
      onEvent: (event) => {
        if (event.type !== 'replan') return;
        this.#replan = true;
        this.planIfDue();
      },
      onFigures: () => undefined,
    });
    const start = { connector: owned.unit.connector, connectorConfig: spec.config };
    try {
      await this.#run.start({ type: 'startConnector', unit: hostUnit, start });
    } catch (error) {
      this.#cease();
      this.#run = null;
      throw error;
    }
  }

  setPaused(paused: boolean): void {
    this.#run?.send({ type: paused ? 'pause' : 'resume', unit: this.#options.hostUnit });
    this.planIfDue();
  }

  /**
   * Plans by level, not by event: whenever no task set is published, or the configuration is neither the published one nor one that planned
   * to the same. A PAUSED connector plans when it is resumed.
   */
  planIfDue(): void {
    const spec = this.#options.spec();
    if (
      this.#run === null ||
      this.#incarnation.signal.aborted ||
      this.#planning ||
      spec === undefined ||
      spec.targetState !== TargetState.RUNNING
    )
      return;
    const { pointer, revision } = this.#options.taskSet();
    if (revision < this.#publishedRevision) return; // comes again when the publication is seen
    const planned = pointer?.configRevision === spec.configRevision || this.#plannedRevision === spec.configRevision;
    if (pointer !== undefined && planned && !this.#replan) return;
    this.#planning = true;
    this.#replan = false;
    void this.#plan(spec, this.#incarnation.signal);
  }

  async stop(): Promise<void> {
    this.#cease();
    await this.#run?.stop();
    this.#run = null;
  }

  async kill(): Promise<void> {
    this.#cease();
    await this.#run?.kill();
    this.#run = null;
  }

  async release(status: StoredStatus): Promise<void> {
    this.#options.pool.forget(this.#options.hostUnit);
    await this.#options.releaseUncommitted(status, this.#session.signal);
  }

  close(): void {
    this.#session.abort(new Error('the session is over'));
    this.#cease();
  }

  #cease(): void {
    this.#cancelRetry();
    this.#incarnation.abort(new Error('the connector stops'));
    this.#planning = false;
  }

  async #plan(spec: StoredSpec, signal: AbortSignal): Promise<void> {
    const { owned, questions, taskSets, settings, log, events } = this.#options;
    const connector = owned.unit.connector;
    try {
      const sink = spec.type === ConnectorType.SINK;
      const positions = sink ? await this.#positions(connector) : [];
      const question = { ask: 'plan', connectorConfig: spec.config, positions } as const;
      // A sink has no plan hook: its queues are divided by our own code.
      const { tasks } = await questions.ask(question, { timeoutMs: settings.planTimeoutMs, signal, sharing: sink }).catch((error) => {
        // It is the log that is away: the connector waits for it, as its tasks do.
        if (sink && error instanceof ConnectError && error.kind === 'retriable') throw error;
        throw new UnitFailed(planFailure(error));
      });
      if (signal.aborted) return;
      const { generation, changed } = await taskSets.publish({
        connector,
        plannerToken: owned.token,
        configRevision: spec.configRevision,
        connectorConfig: spec.config,
        tasks: tasks.map(({ config, queues }) => ({ config: { ...config }, queues: [...queues] })),
      });
      if (signal.aborted) return;
      this.#publishedRevision = BigInt(`0x${generation}`);
      this.#plannedRevision = spec.configRevision;
      this.#failures = 0;
      events.onHindered('');
      log.info(changed ? `published a task set of ${tasks.length} tasks` : 'planned the same task set as before', { generation });
      this.#planning = false;
      this.planIfDue();
    } catch (error) {
      if (signal.aborted) return;
      this.#planning = false;
      if (error instanceof ConnectError && error.code === 'FENCED') return events.onFenced();
      if (passes(error)) return this.#planAgainLater(error);
      await this.stop();
      events.onFailed(toFailure(error));
    }
  }

  /** Something else is in the way: a service or the log is away, or a change of the connector will be seen here soon. */
  #planAgainLater(error: unknown): void {
    const { clock, log, events } = this.#options;
    if (error instanceof ConnectError && error.kind === 'retriable') events.onHindered(toFailure(error).message);
    log.warn('there is no new task set yet, trying again', { error: (error as Error).message });
    const delayMs = Math.min(5000, 200 * 2 ** Math.min(this.#failures++, 10));
    this.#replan = true;
    this.#cancelRetry = clock.after(delayMs, () => this.planIfDue());
  }

  async #positions(connector: string): Promise<QueueAddress[]> {
    const { offsets } = await this.#options.commits.read({ connector, task: 0 });
    return offsets.flatMap(({ queue }) => (queue === undefined ? [] : [queue]));
  }
}

/** That a plan hangs or ends its host may pass by itself, as with a task: what it asks may be slow or away. */
function planFailure(error: unknown): Failure {
  const failure = toFailure(error);
  const passes = error instanceof ConnectError && (error.code === 'PLUGIN_CRASHED' || error.code === 'TIMEOUT');
  return passes ? { ...failure, kind: 'host' } : failure;
}

function passes(error: unknown): boolean {
  return error instanceof ConnectError && ['unavailable', 'retriable', 'conflict', 'notFound'].includes(error.kind);
}
