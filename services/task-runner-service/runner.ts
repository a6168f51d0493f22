import type { OpenLease } from '@rocketmq-connect/cluster/lease-keeper';
import { openSession, type Session } from '@rocketmq-connect/cluster/session';
import type { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import type { TaskStats } from '@rocketmq-connect/proto/runner';
import { ConnectError, sleep } from '@rocketmq-connect/sdk';
import type { Registration } from './claims.ts';
import { ClusterCaches } from './cluster-caches.ts';
import type { RunnerPlugins } from './plugin-host.ts';
import { SessionUnits, type UnitSummary, type UnitTools } from './session-units.ts';

export interface RunnerOptions {
  readonly id: string;
  readonly endpoint: () => string;
  readonly labels: Readonly<Record<string, string>>;
  readonly zone: string;
  readonly capacity: number;
  readonly logKeepsPositions?: boolean;
  readonly leaseTtlMs: number;
  readonly handOverTimeoutMs: number;
  readonly deadline: DeadlineWord;
  /** How the lease of the session is kept, if not in this thread. */
  readonly openLease?: OpenLease;
  readonly tools: Omit<UnitTools, 'view' | 'canRun'>;
  /** What its hosts can load. */
  readonly plugins: () => Promise<RunnerPlugins>;
  readonly stages: RunnerStages;
}

/** Something that a runner needs, for whoever asks what it waits for. */
export interface RunnerStage {
  ready(): void;
  trouble(detail: string): void;
}

export interface RunnerStages {
  readonly plugins: RunnerStage;
  /** What is wanted and who owns what, as the metadata store has it. */
  readonly clusterState: RunnerStage;
  /** The lease under which the runner is a member. */
  readonly membership: RunnerStage;
}

const REOPEN_AFTER_MS = 1_000;
/** That are up when it joins a cluster, where it may have as many. */
const HOSTS_AT_FIRST = 2;

/** A runner's membership: opens a session, lets units follow the target while it lasts, ends everything with it, and joins again. */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #caches: ClusterCaches;
  readonly #stopping = new AbortController();
  #plugins: RunnerPlugins = { plugins: [], brokenPlugins: [] };
  #session: Session | null = null;
  #units: SessionUnits | null = null;
  #ending: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | null = null;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { store, keys, clock, log } = options.tools;
    this.#caches = new ClusterCaches({
      store,
      keys,
      runner: options.id,
      clock,
      log,
      onChange: () => this.#follow(),
      onSetBack: (error) => void this.#refuse(error),
    });
  }

  /** '' without a session. */
  get session(): string {
    return this.#session?.session ?? '';
  }

  /** Resolves when the runner is registered. Rejects with `ConfigError` when its id is taken by another process. */
  async start(): Promise<void> {
    const { tools, handOverTimeoutMs, stages } = this.#options;
    // Others give it their surplus as soon as it has joined.
    if (handOverTimeoutMs > 0) tools.pool.prepare({ kind: 'thread', group: '' }, HOSTS_AT_FIRST);
    this.#plugins = await this.#options.plugins();
    stages.plugins.ready();
    await this.#caches.start();
    stages.clusterState.ready();
    await this.#join();
  }

  /** Hands every unit over or, where nobody takes it, stops, commits and releases it; and leaves. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { pool, commitStream, log } = this.#options.tools;
    if (this.#stopping.signal.aborted) return;
    await this.#handOver();
    this.#stopping.abort(new ConnectError('unavailable', 'the runner stops', { code: 'RUNNER_STOPPED' }));
    await this.#units?.stop();
    await this.#ending;
    this.#caches.stop();
    this.#units?.close();
    await pool.killAll();
    commitStream.close();
    await this.#session?.close().catch((error: unknown) => log.debug('the session could not be closed', { error: String(error) }));
  }

  units(): UnitSummary[] {
    return this.#units?.list() ?? [];
  }

  stats(): TaskStats[] {
    return this.#units?.stats() ?? [];
  }

  /**
   * Lets others take the units over one by one while all still run here: who takes one waits for it ready to run, so that it pauses for a moment only.
   * Whatever nobody takes in time is stopped without.
   */
  async #handOver(): Promise<void> {
    const { tools, handOverTimeoutMs } = this.#options;
    const { store, keys, clock, log } = tools;
    const [session, units] = [this.#session, this.#units];
    if (session === null || units === null || units.isEmpty || handOverTimeoutMs === 0) return;
    const late = new AbortController();
    const handOver = async (): Promise<void> => {
      const { kv: leader } = await store.get(keys.leader);
      if (leader === null) return;
      await session.leave();
      await units.emptied();
    };
    const handedOver = handOver().catch((error: unknown) => log.debug('nothing could be handed over', { error: String(error) }));
    await Promise.race([handedOver, sleep(clock, handOverTimeoutMs, late.signal).catch(() => undefined)]);
    late.abort(new Error('it is handed over'));
  }

  #follow(): void {
    if (this.#stopping.signal.aborted || this.#session === null || !this.#session.live) return;
    this.#units?.follow(this.#caches.target());
  }

  async #join(): Promise<void> {
    const { id, endpoint, labels, zone, capacity, logKeepsPositions = false, leaseTtlMs, deadline, openLease, tools } = this.#options;
    const { store, keys, clock, random, log, version } = tools;
    const name = `${id}-${Math.floor(random() * 2 ** 48).toString(16)}`;
    const session = await openSession({
      store,
      keys,
      clock,
      runner: {
        id,
        session: name,
        endpoint: endpoint(),
        labels: { ...labels },
        zone,
        capacity,
        logKeepsPositions,
        leaving: false,
        ...this.#plugins,
        version,
      },
      ttlMs: leaseTtlMs,
      deadline,
      ...(openLease === undefined ? {} : { openLease }),
      onEnding: (reason) => this.#end(reason),
      onTrouble: (error) => {
        this.#options.stages.membership.trouble(`cannot join the cluster yet: ${error.message}`);
        log.warn('cannot join the cluster yet, trying on', { error: error.message });
      },
      signal: this.#stopping.signal,
    });
    this.#session = session;
    this.#units = new SessionUnits({ ...tools, view: this.#caches, canRun: (plugin) => this.#has(plugin) }, registrationOf(session), () => {
      // Finds out for certain, and ends the session if it is so.
      session.reregister().catch((error: unknown) => log.debug('the registration is gone', { error: String(error) }));
    });
    tools.figures.joined();
    this.#options.stages.membership.ready();
    log.info('joined the cluster', { session: name });
    this.#follow();
  }

  #has(plugin: string): boolean {
    return this.#plugins.plugins.some(({ name, aliases }) => name === plugin || aliases.includes(plugin));
  }

  /** The session is over, or nearly: everything ends now; when it has, all that was owned is given free (invariant 6). */
  #end(reason: string): void {
    const { pool, log } = this.#options.tools;
    const session = this.#session;
    this.#session = null;
    this.#options.stages.membership.trouble(`the lease is lost: ${reason}`);
    log.error('the session is over: every task of this runner ends', { reason });
    this.#units?.close();
    this.#units = null;
    this.#ending = (async () => {
      await pool.killAll();
      await session?.confirmEnded().catch((error: unknown) => log.debug('the session could not be given up', { error: String(error) }));
      void this.#joinAgain();
    })();
  }

  async #joinAgain(): Promise<void> {
    const { clock, log } = this.#options.tools;
    while (!this.#stopping.signal.aborted) {
      try {
        return await this.#join();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        log.error('cannot join the cluster again, trying on', { error: (error as Error).message });
        await sleep(clock, REOPEN_AFTER_MS, this.#stopping.signal).catch(() => undefined);
      }
    }
  }

  /** The store went back in time: what was committed since may be forgotten, and tokens may come again. Nothing goes on by itself. */
  async #refuse(error: ConnectError): Promise<void> {
    const { pool, log } = this.#options.tools;
    log.error('every task of this runner ends, and none starts until it is restarted', { error: error.message, remedy: error.remedy });
    this.#stopping.abort(error);
    this.#options.stages.membership.trouble(error.message);
    this.#caches.stop();
    this.#units?.close();
    this.#units = null;
    await pool.killAll();
    await this.#session?.close().catch((thrown: unknown) => log.debug('the session could not be closed', { error: String(thrown) }));
  }
}

function registrationOf(session: Session): Registration {
  return {
    runner: session.runner,
    session: session.session,
    leaseId: session.leaseId,
    get modRevision() {
      return session.registration().modRevision;
    },
    renew: async () => {
      await session.reregister();
    },
  };
}
