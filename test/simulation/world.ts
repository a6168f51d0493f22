import { type ClusterKeys, clusterKeys } from '@rocketmq-connect/cluster';
import { createConfigService } from '@rocketmq-connect/config-service';
import type { Client, Rpc } from '@rocketmq-connect/mesh';
import { SimulatedNetwork, SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import type { MessageLog } from '@rocketmq-connect/message-log';
import { SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import { keyRange, type MetadataStore } from '@rocketmq-connect/metadata-store';
import { type SimulatedClient, SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { DeadlineWord, type TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';
import { ConnectorServiceDefinition, type ConnectorStatus } from '@rocketmq-connect/proto/connector';
import { OffsetServiceDefinition } from '@rocketmq-connect/proto/offset';
import { StoredSpec } from '@rocketmq-connect/proto/storage';
import { createSchedulerService } from '@rocketmq-connect/scheduler-service';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import { between, seededRandom } from '@rocketmq-connect/sdk/testing';
import { createTaskRunner } from '@rocketmq-connect/task-runner-service';
import { noTracer } from '@rocketmq-connect/tracing';
import { VirtualClock } from '../support/virtual-clock.ts';
import { ObservedHosts } from './hosts.ts';
import { Invariants } from './invariants.ts';
import { LogIndex } from './log-index.ts';
import { OutsideSink, OutsideSource } from './outside.ts';
import { SimulatedProcess } from './process.ts';
import { Trace } from './trace.ts';

/** Stands between a process and one of its ports: how a test plants a bug. */
export interface Wraps {
  readonly clock?: (clock: Clock, process: string) => Clock;
  readonly store?: (store: MetadataStore, process: string, world: World) => MetadataStore;
  readonly rpc?: (rpc: Rpc, process: string, world: World) => Rpc;
  readonly hosts?: (hosts: TaskHosts, world: World) => TaskHosts;
  readonly log?: (log: MessageLog, world: World) => MessageLog;
  readonly deadline?: (word: DeadlineWord) => DeadlineWord;
}

export interface WorldOptions {
  readonly seed: number;
  readonly runners: readonly string[];
  readonly streams: number;
  readonly queues: number;
  /** How often the sink looks for new queues, if not by default. */
  readonly discoveryMs?: number;
  readonly wraps?: Wraps;
}

/** How often things go wrong by themselves, and how long they take; `faults.ts` sets them. */
export interface Weather {
  /** Chance that the outside systems fail a call. */
  outsideTrouble: number;
  logDelayMs: () => number;
}

/** A process that runs now. `end` kills it as it stands. */
interface Member {
  readonly process: SimulatedProcess;
  readonly client: SimulatedClient;
  readonly hosts: ObservedHosts | undefined;
}

const TOPIC = 'numbers';
export const SOURCE = 'src';
export const SINK = 'snk';
/** Clocks of two processes run up to so much apart. */
const CLOCK_DRIFT = 0.04;
const QUEUES_MAX = 16;
const CONFIGS = ['c1', 'c2'] as const;
const CONFIG_ADDRESSES = CONFIGS.map((id) => `${id}:1`);

/** The whole mesh in one process on virtual time: a store, a log, a network, and the processes on them. */
export class World {
  readonly clock = new VirtualClock();
  readonly trace = new Trace(this.clock);
  readonly random: Random;
  readonly store = new SimulatedStore(this.clock);
  readonly log = new SimulatedLog(this.clock);
  readonly network = new SimulatedNetwork({ clock: this.clock, latencyMs: 1 });
  readonly keys: ClusterKeys = clusterKeys('simulation');
  readonly source: OutsideSource;
  readonly sink = new OutsideSink();
  readonly index: LogIndex;
  readonly invariants: Invariants;
  readonly connectors: Client<ConnectorServiceDefinition>;
  readonly offsets: Client<OffsetServiceDefinition>;
  readonly weather: Weather = { outsideTrouble: 0, logDelayMs: () => 1 };
  readonly violations: string[] = [];
  readonly #options: WorldOptions;
  readonly #members = new Map<string, Member>();
  readonly #wanted = new Map<string, () => void>();
  #started = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
    this.source = new OutsideSource(options.streams);
    const violated = (message: string): void => {
      this.trace.add('!', message);
      this.violations.push(message);
    };
    this.index = new LogIndex(this.log, TOPIC, violated);
    const { store, keys, clock, sink, index } = this;
    this.invariants = new Invariants({ store, keys, clock, sink, index, violated });
    store.observe((events, revision) => {
      const changes = events.map((event) => {
        const key = (event.type === 'put' ? event.kv.key : event.key).split('/').slice(3).join('/');
        return event.type === 'put' ? key : `-${key}`;
      });
      this.trace.add('store', `${revision}: ${changes.join(' ')}`);
    });
    const user = new SimulatedRpc(this.network, 'user');
    this.connectors = user.client(ConnectorServiceDefinition, () => CONFIG_ADDRESSES);
    this.offsets = user.client(OffsetServiceDefinition, () => CONFIG_ADDRESSES);
    this.log.create(TOPIC, options.queues);
    for (const id of CONFIGS) this.#wanted.set(id, () => this.#startConfig(id));
    for (const id of ['s1', 's2']) this.#wanted.set(id, () => this.#startScheduler(id));
    for (const id of options.runners) this.#wanted.set(id, () => this.#startRunner(id));
    for (const name of this.#wanted.keys()) this.start(name);
  }

  /** Names of all processes that should be there. */
  get names(): readonly string[] {
    return [...this.#wanted.keys()];
  }

  get runners(): readonly string[] {
    return this.#options.runners;
  }

  get configs(): readonly string[] {
    return CONFIGS;
  }

  /** Undefined while it is down. */
  process(name: string): SimulatedProcess | undefined {
    return this.#members.get(name)?.process;
  }

  client(name: string): SimulatedClient | undefined {
    return this.#members.get(name)?.client;
  }

  hosts(runner: string): ObservedHosts | undefined {
    return this.#members.get(runner)?.hosts;
  }

  start(name: string): void {
    if (this.#members.has(name)) return;
    this.trace.add(name, 'starts');
    this.#wanted.get(name)?.();
  }

  /** The process ends where it stands, as by SIGKILL. */
  crash(name: string): void {
    const member = this.#members.get(name);
    if (member === undefined) return;
    this.#members.delete(name);
    member.process.kill();
    member.hosts?.kill();
    this.network.crash(name);
    void member.client.close();
  }

  /** More queues of the topic, or one more stream of the source. */
  grow(what: 'queues' | 'streams'): void {
    const { queues } = this.log.describe(TOPIC);
    if (what === 'streams') this.source.addStream();
    else if (queues.length < QUEUES_MAX) this.log.create(TOPIC, queues.length * 2);
  }

  /** A connector's configuration as users write it. */
  config(name: string, tasksMax: number): Record<string, string> {
    const { discoveryMs } = this.#options;
    const discovery: Record<string, string> = discoveryMs === undefined ? {} : { 'topic.discovery.interval.ms': String(discoveryMs) };
    const own: Record<string, string> =
      name === SOURCE ? { 'connector.class': 'Numbers', topic: TOPIC } : { 'connector.class': 'Lines', topics: TOPIC, ...discovery };
    return { name, ...own, 'tasks.max': String(tasksMax) };
  }

  async status(name: string): Promise<ConnectorStatus | undefined> {
    const { status } = await this.clock.resolve(this.connectors.getStatus({ name }));
    return status;
  }

  /** Invariant 8 now: what does not run as it should, or '' where everything does. */
  async unsettled(): Promise<string> {
    for (const name of [SOURCE, SINK]) {
      let status: ConnectorStatus | undefined;
      try {
        status = await this.status(name);
      } catch (error) {
        return `${name}: ${(error as Error).message}`;
      }
      if (status?.targetState !== TargetState.RUNNING) return `${name} should be ${status?.targetState}`;
      if (status.tasks.length === 0) return `${name} has no tasks`;
      const units = [
        { unit: `connectors/${name}`, status: status.connector },
        ...status.tasks.map((task) => ({ unit: `tasks/${name}/${task.task}`, status: task.status })),
      ];
      for (const { unit, status } of units) {
        if (status?.state !== UnitState.RUNNING) return `${unit} is ${status?.state} ${status?.error}`;
        const owner = this.invariants.ownerOf(unit);
        const runs = this.invariants.running.filter((running) => running.unit === unit && running.host.runner === owner?.runner);
        if (unit.startsWith('tasks/') && runs.length !== 1) return `${unit} runs ${runs.length} times`;
      }
    }
    return '';
  }

  /** What is not delivered yet, or '' when every record is once in the log and once in the sink. */
  undelivered(): string {
    for (let stream = 0; stream < this.source.streams; stream++) {
      const count = this.index.count(stream);
      if (count !== this.source.count(stream)) return `${count} of ${this.source.count(stream)} records of stream ${stream} are in the log`;
    }
    const [spec] = this.store.peek(keyRange(this.keys.spec(SINK)));
    if (spec === undefined) return 'there is no sink';
    const startTimeMs = Number(StoredSpec.fromJSON(JSON.parse(spec.value)).startTimeMs);
    for (const [queue, bodies] of this.index.queues.entries()) {
      const { lines } = this.sink.file(startTimeMs, queue);
      const wrong = bodies.findIndex((body, at) => lines[at] !== body);
      if (wrong !== -1) return `line ${wrong} of queue ${queue} is ${lines[wrong]}, not ${bodies[wrong]}`;
      if (lines.length > bodies.length) return `queue ${queue} has ${lines.length} lines for ${bodies.length} records`;
    }
    return '';
  }

  #member(name: string): Member & { readonly clock: Clock; readonly store: MetadataStore; readonly rpc: Rpc; readonly random: Random } {
    const { wraps = {} } = this.#options;
    const clockRate = 1 + (this.random() - 0.5) * CLOCK_DRIFT;
    const process = new SimulatedProcess(`${name}.${++this.#started}`, this.clock, between(this.random, 0, 1_000_000_000), clockRate);
    const client = this.store.client(name);
    const store = process.store(client);
    const rpc = process.rpc(new SimulatedRpc(this.network, name));
    const random = seededRandom(Math.floor(this.random() * 2 ** 32));
    return {
      process,
      client,
      hosts: undefined,
      random,
      clock: wraps.clock?.(process.clock, name) ?? process.clock,
      store: wraps.store?.(store, name, this) ?? store,
      rpc: wraps.rpc?.(rpc, name, this) ?? rpc,
    };
  }

  #startConfig(id: string): void {
    const { process, client, clock, store, rpc, random } = this.#member(id);
    const service = createConfigService({
      store,
      keys: this.keys,
      clock,
      random,
      log: this.trace.logger(id),
      rpc,
      tracer: noTracer,
      runnerEndpoints: () => this.runners.map((id) => `${id}:1`),
      allowLiteralSecrets: true,
    });
    this.#members.set(id, { process, client, hosts: undefined });
    void rpc.serve(`${id}:1`, service.implementations).then(() => service.start());
  }

  #startScheduler(id: string): void {
    const { process, client, clock, store, random } = this.#member(id);
    const service = createSchedulerService({ store, keys: this.keys, clock, random, log: this.trace.logger(id), id });
    this.#members.set(id, { process, client, hosts: undefined });
    void service.start();
  }

  #startRunner(id: string): void {
    const { process, client, clock, store, rpc, random } = this.#member(id);
    const { wraps = {} } = this.#options;
    const word = new DeadlineWord();
    const deadline = wraps.deadline?.(word) ?? word;
    const hosts = new ObservedHosts({
      runner: id,
      process,
      world: this.clock,
      random,
      deadline: word,
      log: this.log,
      source: this.source,
      sink: this.sink,
      observer: this.invariants,
      troubleRate: () => this.weather.outsideTrouble,
      logDelayMs: () => this.weather.logDelayMs(),
      wrapLog: (log) => wraps.log?.(log, this) ?? log,
    });
    const runner = createTaskRunner({
      store,
      keys: this.keys,
      clock,
      random,
      log: this.trace.logger(id),
      rpc,
      configEndpoints: () => CONFIG_ADDRESSES,
      id,
      endpoint: () => `${id}:1`,
      labels: {},
      zone: '',
      capacity: 0,
      version: '0.1.0',
      hosts: wraps.hosts?.(hosts, this) ?? hosts,
      deadline,
      settings: { leaseTtlMs: 6_000, commitIntervalMs: 1_000, hostCount: 2 },
      onUnkillable: (message) => {
        this.trace.add(id, `dies: ${message}`);
        this.crash(id);
      },
      rssBytes: () => 0,
    });
    this.#members.set(id, { process, client, hosts });
    const fails = (error: Error): void => {
      if (process.dead) return;
      this.trace.add(id, `cannot start: ${error.message}`);
      this.crash(id);
      this.clock.after(2_000, () => this.start(id));
    };
    void rpc
      .serve(`${id}:1`, runner.implementations)
      .then(() => runner.start())
      .catch(fails);
  }
}
