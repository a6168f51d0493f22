import { type ClusterKeys, clusterKeys, generationOf, lastSegment, unitId } from '@rocketmq-connect/cluster';
import { createConfigService } from '@rocketmq-connect/config-service';
import type { Client } from '@rocketmq-connect/mesh';
import { SimulatedNetwork, SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import { keyRange, type Lease } from '@rocketmq-connect/metadata-store';
import { type SimulatedClient, SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { CommitServiceDefinition, TaskSetServiceDefinition } from '@rocketmq-connect/proto/commit';
import { TargetState } from '@rocketmq-connect/proto/common';
import { ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { PluginKind } from '@rocketmq-connect/proto/plugin';
import { StoredOffset, StoredOwner, StoredRunner, StoredSpec, StoredTarget, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import type { Registration } from '@rocketmq-connect/task-runner-service/claims';
import { CommitStream } from '@rocketmq-connect/task-runner-service/commit-stream';
import type { ClusterView, Versioned } from '@rocketmq-connect/task-runner-service/desired';
import { HostPool } from '@rocketmq-connect/task-runner-service/host-pool';
import { TaskLedgers } from '@rocketmq-connect/task-runner-service/ledger';
import { pluginHostService } from '@rocketmq-connect/task-runner-service/plugin-host';
import { Questions } from '@rocketmq-connect/task-runner-service/questions';
import { defaultRestartPolicy } from '@rocketmq-connect/task-runner-service/restart-policy';
import { SessionUnits } from '@rocketmq-connect/task-runner-service/session-units';
import { UnitFigures } from '@rocketmq-connect/task-runner-service/unit-figures';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import { noTracer } from '@rocketmq-connect/tracing';
import { quietLogger, recordingLogger } from './quiet-logger.ts';
import { ScriptedHosts } from './scripted-hosts.ts';
import { VirtualClock } from './virtual-clock.ts';

/**
 * Units of some runners on virtual time: a simulated store, the real config-service behind a simulated network, scripted hosts. The
 * runners see every change of the store at once; the test places units.
 */
export class UnitsWorld {
  readonly clock = new VirtualClock();
  readonly store = new SimulatedStore(this.clock);
  readonly network = new SimulatedNetwork({ clock: this.clock });
  readonly keys: ClusterKeys = clusterKeys('test');
  readonly runners = new Map<string, { readonly name: string; follow(): void }>();
  /** Which runner a unit is placed on. */
  placeOn: (unit: string) => string = () => 'r1';
  readonly connectors: Client<ConnectorServiceDefinition>;
  #placing = false;

  private constructor() {
    this.connectors = new SimulatedRpc(this.network, 'test').client(ConnectorServiceDefinition, () => ['config:1']);
  }

  static async open(...runners: string[]): Promise<UnitsWorld> {
    const world = new UnitsWorld();
    const { clock, network, keys, store } = world;
    const rpc = new SimulatedRpc(network, 'config');
    const config = createConfigService({
      store: store.client('config'),
      keys,
      clock,
      random: seededRandom(1),
      log: quietLogger,
      rpc,
      tracer: noTracer,
      runnerEndpoints: () => [...world.runners.keys()].map((name) => `${name}:1`),
      allowLiteralSecrets: true,
    });
    await rpc.serve('config:1', config.implementations);
    for (const name of runners) world.runners.set(name, await TestRunner.open(world, name));
    store.observe(() => world.#place());
    return world;
  }

  runner(name = 'r1'): TestRunner {
    const runner = this.runners.get(name);
    if (!(runner instanceof TestRunner)) throw new Error(`there is no runner ${name}`);
    return runner;
  }

  async create(name: string, config: Readonly<Record<string, string>> = {}): Promise<void> {
    const request = { name, config: { name, 'connector.class': 'Scripted', ...config }, initialState: TargetState.RUNNING };
    await this.clock.resolve(this.connectors.create(request));
  }

  /** Waits until the shown states of connector and tasks are these. */
  async shows(name: string, expected: string): Promise<void> {
    let shown = '';
    try {
      for (let round = 0; round < 20_000; round++) {
        shown = await this.shown(name);
        if (shown === expected) return;
        await this.clock.advance(10);
      }
    } catch (error) {
      shown = String(error);
    }
    throw new Error(`${name} shows ${shown}, not ${expected}`);
  }

  /** `RUNNING: RUNNING FAILED`: the connector, then its tasks. */
  async shown(name: string): Promise<string> {
    const { status } = await this.clock.resolve(this.connectors.getStatus({ name }));
    const text = (state: string): string => state.replace('UNIT_STATE_', '');
    const tasks = (status?.tasks ?? []).map((task) => text(task.status?.state ?? '?'));
    return [`${text(status?.connector?.state ?? '?')}:`, ...tasks].join(' ');
  }

  /** Committed source offsets of a connector by task. */
  positions(connector: string): Record<string, number> {
    const stored = this.store.peek(this.keys.offsets(connector)).map(({ value }) => StoredOffset.fromJSON(JSON.parse(value)));
    return Object.fromEntries(
      stored.map(({ partitionJson, offsetJson }) => [JSON.parse(partitionJson).task, JSON.parse(offsetJson).position]),
    );
  }

  /** Owner keys: unit → runner and token. */
  owners(): Record<string, string> {
    return Object.fromEntries(
      this.store.peek(this.keys.owners).map(({ key, value, createRevision }) => {
        const { runner } = StoredOwner.fromJSON(JSON.parse(value));
        return [key.slice(this.keys.owners.start.length), `${runner} ${createRevision}`];
      }),
    );
  }

  spec(connector: string): StoredSpec | undefined {
    const [kv] = this.store.peek(keyRange(this.keys.spec(connector)));
    return kv === undefined ? undefined : StoredSpec.fromJSON(JSON.parse(kv.value));
  }

  #place(): void {
    if (this.#placing) return;
    this.#placing = true;
    this.clock.after(1, () => {
      this.#placing = false;
      this.place();
      for (const runner of this.runners.values()) runner.follow();
    });
  }

  /** What the scheduler would do, without its reasons. */
  place(): void {
    const targets = new Map([...this.runners.keys()].map((name) => [name, {} as { [unit: string]: string }]));
    const put = (unit: string, generation: string): void => {
      const target = targets.get(this.placeOn(unit));
      if (target !== undefined) target[unit] = generation;
    };
    for (const { key, value } of this.store.peek(this.keys.specs)) {
      const connector = lastSegment(key);
      if (StoredSpec.fromJSON(JSON.parse(value)).targetState === TargetState.STOPPED) continue;
      put(unitId({ connector }), '');
      const [pointer] = this.store.peek(keyRange(this.keys.taskSet(connector)));
      if (pointer === undefined) continue;
      const { tasks } = StoredTaskSet.fromJSON(JSON.parse(pointer.value));
      for (let task = 0; task < tasks; task++) put(unitId({ connector, task }), generationOf(pointer.modRevision));
    }
    for (const [name, units] of targets) {
      const key = this.keys.target(name);
      const value = JSON.stringify(StoredTarget.toJSON({ units }));
      if (this.store.peek(keyRange(key))[0]?.value !== value) this.store.txn({ compare: [], then: [{ op: 'put', key, value }] });
    }
  }
}

/** The units of one runner, with a session made by hand. */
export class TestRunner {
  readonly name: string;
  readonly world: UnitsWorld;
  readonly store: SimulatedClient;
  readonly hosts: ScriptedHosts;
  readonly pool: HostPool;
  readonly ledgers = new TaskLedgers();
  readonly figures: UnitFigures;
  readonly unkillable: string[] = [];
  /** What its units logged. */
  readonly lines: string[] = [];
  sessionsLost = 0;
  units: SessionUnits;
  lease: Lease;
  #deaf = false;

  static async open(world: UnitsWorld, name: string): Promise<TestRunner> {
    const runner = new TestRunner(world, name);
    await runner.join();
    return runner;
  }

  private constructor(world: UnitsWorld, name: string) {
    this.world = world;
    this.name = name;
    this.store = world.store.client(name);
    this.hosts = new ScriptedHosts(world.clock, name);
    const onUnkillable = (message: string): void => void this.unkillable.push(message);
    const { clock } = world;
    this.figures = new UnitFigures(clock);
    this.pool = new HostPool({
      hosts: { thread: this.hosts },
      clock,
      log: quietLogger,
      loggers: new Loggers('info', () => 0),
      hostCount: 2,
      idleMs: 10_000,
      killTimeoutMs: 1000,
      pingTimeoutMs: 500,
      foreignPlugins: true,
      onSpans: () => undefined,
      onUnkillable,
    });
    this.units = undefined as unknown as SessionUnits;
    this.lease = undefined as unknown as Lease;
  }

  /** Opens a session, after the last one ended. */
  async join(): Promise<void> {
    const { world, name, store, pool, ledgers, figures } = this;
    const { clock, keys, network } = world;
    const lease = await store.grantLease(10_000);
    const session = `${name}-${lease.id}`;
    const keepAlive = (): void => void clock.after(3000, () => void lease.keepAlive().then((ttl) => ttl > 0 && keepAlive(), keepAlive));
    keepAlive();
    const plugins = [{ name: 'Scripted', version: '1.0.0', kind: PluginKind.SOURCE, aliases: [], secretKeys: [] }];
    const stored = {
      id: name,
      session,
      endpoint: `${name}:1`,
      labels: {},
      zone: '',
      capacity: 0,
      plugins,
      brokenPlugins: [],
      logKeepsPositions: false,
      leaving: false,
      version: '',
    };
    const value = JSON.stringify(StoredRunner.toJSON(stored));
    const put = { op: 'put', key: keys.runner(name), value, leaseId: lease.id } as const;
    let { revision } = await store.txn({ compare: [], then: [put] });
    const registration: Registration = {
      runner: name,
      session,
      leaseId: lease.id,
      get modRevision() {
        return revision;
      },
      renew: async () => {
        ({ revision } = await store.txn({ compare: [], then: [put] }));
      },
    };
    const rpc = new SimulatedRpc(network, name);
    const config = () => ['config:1'];
    const questions = new Questions(pool, clock, 4);
    const commits = rpc.client(CommitServiceDefinition, config);
    if (this.lease === undefined) await rpc.serve(`${name}:1`, [pluginHostService(questions, name, 5000)]);
    this.lease = lease;
    this.#deaf = false;
    this.units = new SessionUnits(
      {
        store,
        keys,
        clock,
        random: () => 0.5,
        log: recordingLogger(this.lines),
        version: '0.1.0',
        settings: {
          commitIntervalMs: 5000,
          taskStartTimeoutMs: 10_000,
          taskStopTimeoutMs: 5000,
          releaseTimeoutMs: 20_000,
          planTimeoutMs: 10_000,
          hookLimits: { pollMs: 0, putMs: 0, flushMs: 0 },
        },
        restartPolicy: defaultRestartPolicy,
        pool,
        questions,
        commits,
        taskSets: rpc.client(TaskSetServiceDefinition, config),
        commitStream: new CommitStream(commits, clock, 5000),
        ledgers,
        figures,
        view: this.#view(),
        canRun: (plugin) => this.hosts.plugins.includes(plugin),
      },
      registration,
      () => this.sessionsLost++,
    );
  }

  follow(): void {
    if (this.#deaf) return;
    const [kv] = this.world.store.peek(keyRange(this.world.keys.target(this.name)));
    this.units.follow(kv === undefined ? undefined : StoredTarget.fromJSON(JSON.parse(kv.value)));
  }

  /** Sees no change any more. */
  deafen(): void {
    this.#deaf = true;
  }

  /** Its session is over: as the runner does, but at once. */
  async endSession(): Promise<void> {
    this.#deaf = true;
    this.units.close();
    await this.world.clock.resolve(this.pool.killAll());
  }

  #view(): ClusterView {
    const { world } = this;
    const read = <T>(key: string, decode: (json: unknown) => T): Versioned<T> | undefined => {
      const [kv] = world.store.peek(keyRange(key));
      return kv === undefined
        ? undefined
        : { value: decode(JSON.parse(kv.value)), createRevision: kv.createRevision, modRevision: kv.modRevision };
    };
    return {
      spec: (connector) => read(world.keys.spec(connector), StoredSpec.fromJSON),
      taskSet: (connector) => read(world.keys.taskSet(connector), StoredTaskSet.fromJSON),
      taskSetRevision: () => world.store.revision,
    };
  }
}

/** The same numbers each time (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
