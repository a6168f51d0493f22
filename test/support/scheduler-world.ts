import assert from 'node:assert/strict';
import { clusterKeys, generationOf, lastSegment } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import type { Lease, Txn } from '@rocketmq-connect/metadata-store';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import type { ClusterServiceDefinition } from '@rocketmq-connect/proto/cluster';
import { TargetState, type UnitState } from '@rocketmq-connect/proto/common';
import { PluginKind } from '@rocketmq-connect/proto/plugin';
import {
  StoredDrain,
  StoredOwner,
  StoredRunner,
  StoredSpec,
  StoredStatus,
  StoredTarget,
  StoredTaskSet,
} from '@rocketmq-connect/proto/storage';
import { createSchedulerService, type SchedulerService, type SchedulerServiceDeps } from '@rocketmq-connect/scheduler-service';
import { quietLogger } from './quiet-logger.ts';
import { VirtualClock } from './virtual-clock.ts';

type SchedulerOptions = Pick<SchedulerServiceDeps, 'graceMs' | 'storeTroubledAtMs'>;

/** Stands for runners and config-service: puts what they would, and checks after every revision that no unit is targeted twice. */
export class SchedulerWorld {
  readonly clock = new VirtualClock();
  readonly store = new SimulatedStore(this.clock);
  readonly keys = clusterKeys('test');
  readonly schedulers: SchedulerService[] = [];
  readonly call = { signal: new AbortController().signal, identity: '' };
  readonly #hand = this.store.client('hand');
  readonly #violations: string[] = [];
  readonly #leases = new Map<string, Lease>();
  #following = false;

  static async with(runners: readonly string[], options: SchedulerOptions = {}): Promise<SchedulerWorld> {
    const world = new SchedulerWorld();
    world.store.observe((events) => {
      const touched = events.some((event) => (event.type === 'put' ? event.kv.key : event.key).includes('/targets/'));
      if (touched) world.#checkOnce();
    });
    for (const id of runners) await world.runner(id);
    await world.scheduler('s1', options);
    await world.settle();
    return world;
  }

  async scheduler(id: string, options: SchedulerOptions = {}): Promise<SchedulerService> {
    const store = this.store.client(id);
    const service = createSchedulerService({
      store,
      keys: this.keys,
      clock: this.clock,
      random: () => 0.5,
      log: quietLogger,
      id,
      ...options,
    });
    this.schedulers.push(service);
    await service.start();
    return service;
  }

  async stop(): Promise<void> {
    assert.deepEqual(this.#violations, []);
    for (const scheduler of this.schedulers) await this.clock.resolve(scheduler.stop());
  }

  settle(ms = 2_000): Promise<void> {
    return this.clock.advance(ms);
  }

  async put(key: string, value: string, leaseId?: bigint): Promise<void> {
    await this.#hand.txn({ compare: [], then: [{ op: 'put', key, value, ...(leaseId === undefined ? {} : { leaseId }) }] });
  }

  async runner(id: string, over: Partial<StoredRunner> = {}): Promise<void> {
    const lease = await this.#hand.grantLease(1_000_000_000);
    this.#leases.set(id, lease);
    await this.put(this.keys.runner(id), this.#registration(id, over), lease.id);
  }

  registerAt(id: string): void {
    this.store.txn({ compare: [], then: [{ op: 'put', key: this.keys.runner(id), value: this.#registration(id) }] });
  }

  /** Once, right before a scheduler writes targets. */
  beforeTargets(action: () => void): void {
    this.store.faults = ({ txn }) => {
      if (!writesTargets(txn)) return undefined;
      this.store.faults = undefined;
      action();
      return undefined;
    };
  }

  #registration(id: string, over: Partial<StoredRunner> = {}): string {
    const plugins = [{ name: 'File', version: '1', kind: PluginKind.SOURCE, aliases: [], secretKeys: [] }];
    return JSON.stringify(StoredRunner.toJSON({ ...StoredRunner.create(), id, session: 's', plugins, ...over }));
  }

  async lose(id: string): Promise<void> {
    await this.#leases.get(id)?.revoke();
  }

  async connector(
    name: string,
    tasks: number,
    targetState: TargetState = TargetState.RUNNING,
    plugin = 'File',
    config: Record<string, string> = {},
  ): Promise<void> {
    const spec = { ...StoredSpec.create(), name, targetState, plugin, config };
    await this.put(this.keys.spec(name), JSON.stringify(StoredSpec.toJSON(spec)));
    await this.publish(name, tasks);
  }

  /** What the unit's present owner says of it. */
  async status(unit: string, state: UnitState, error = ''): Promise<void> {
    const status = { ...StoredStatus.create(), state, error, sinceMs: 1n, token: await this.revisionOf(unit) };
    await this.put(this.keys.statuses.start + unit, JSON.stringify(StoredStatus.toJSON(status)));
  }

  async publish(name: string, tasks: number): Promise<void> {
    await this.put(this.keys.taskSet(name), JSON.stringify(StoredTaskSet.toJSON({ ...StoredTaskSet.create(), tasks })));
  }

  async erase(...keys: string[]): Promise<void> {
    await this.#hand.txn({ compare: [], then: keys.map((key) => ({ op: 'delete', key })) });
  }

  async drain(id: string): Promise<void> {
    await this.put(this.keys.drain(id), JSON.stringify(StoredDrain.toJSON({ who: 'ann' })));
  }

  async undrain(id: string): Promise<void> {
    await this.erase(this.keys.drain(id));
  }

  /** From now on every runner owns at once what it is targeted at. */
  runnersFollow(): void {
    if (!this.#following)
      this.store.observe((events) => {
        const touched = events.some((event) => event.type === 'put' && event.kv.key.includes('/targets/'));
        if (touched) this.clock.after(1, () => void this.ownAll());
      });
    this.#following = true;
    void this.ownAll();
  }

  /** Every unit is owned by the runner that it is targeted at. */
  async ownAll(): Promise<void> {
    const targets = this.targets();
    const owners = new Map(
      [...targets].map(([unit, runner]) => {
        const [kind = '', name = '', task] = unit.split('/');
        const key = task === undefined ? this.keys.connectorOwner(name) : this.taskOwnerKey(name, Number(task));
        return [kind === '' ? '' : key, runner];
      }),
    );
    for (const { key } of this.store.peek(this.keys.owners)) if (!owners.has(key)) await this.erase(key);
    for (const [key, runner] of owners) {
      const value = JSON.stringify(StoredOwner.toJSON({ runner, session: 's' }));
      const present = this.store.peek({ start: key, end: `${key}\0` })[0];
      if (present?.value !== value) await this.put(key, value);
    }
  }

  /** Of the published generation. */
  taskOwnerKey(name: string, task: number): string {
    return this.keys.taskOwner(name, this.pointer(name), task);
  }

  /** Targets a unit at one more runner, as no scheduler does. */
  async addToRow(runner: string, unit: string): Promise<void> {
    const key = this.keys.target(runner);
    const kv = this.store.peek({ start: key, end: `${key}\0` })[0];
    const { units } = StoredTarget.fromJSON(JSON.parse(kv?.value ?? '{}'));
    await this.put(key, JSON.stringify(StoredTarget.toJSON({ units: { ...units, [unit]: this.generation(unit) ?? '' } })));
    this.#violations.length = 0;
  }

  /** The runners at which a unit is targeted: one, if all is well. */
  rowsOf(unit: string): string[] {
    return this.store
      .peek(this.keys.targets)
      .filter(({ value }) => unit in StoredTarget.fromJSON(JSON.parse(value)).units)
      .map(({ key }) => lastSegment(key));
  }

  targets(): Map<string, string> {
    const targets = new Map<string, string>();
    for (const kv of this.store.peek(this.keys.targets)) {
      for (const unit of Object.keys(StoredTarget.fromJSON(JSON.parse(kv.value)).units)) targets.set(unit, lastSegment(kv.key));
    }
    return targets;
  }

  counts(): Map<string, number> {
    const counts = new Map(this.store.peek(this.keys.runners).map((kv) => [lastSegment(kv.key), 0]));
    for (const runner of this.targets().values()) counts.set(runner, (counts.get(runner) ?? 0) + 1);
    return counts;
  }

  rows(): string[] {
    return this.store.peek(this.keys.targets).map(({ key }) => lastSegment(key));
  }

  generation(unit: string): string | undefined {
    return this.store
      .peek(this.keys.targets)
      .map(({ value }) => StoredTarget.fromJSON(JSON.parse(value)).units[unit])
      .find((generation) => generation !== undefined);
  }

  pointer(name: string): string {
    const key = this.keys.taskSet(name);
    return generationOf(this.store.peek({ start: key, end: `${key}\0` })[0]?.modRevision ?? 0n);
  }

  leader(): string | undefined {
    return this.store.peek({ start: this.keys.leader, end: `${this.keys.leader}\0` }).map(({ value }) => JSON.parse(value).scheduler)[0];
  }

  async revisionOf(unit: string): Promise<bigint> {
    const { units } = await this.cluster().listUnits({ connector: '' }, this.call);
    return units.find(({ id }) => id === unit)?.token ?? 0n;
  }

  cluster(): Handlers<ClusterServiceDefinition> {
    return this.schedulers[0]?.implementations[0]?.handlers as unknown as Handlers<ClusterServiceDefinition>;
  }

  #checkOnce(): void {
    const seen = new Set<string>();
    for (const kv of this.store.peek(this.keys.targets)) {
      for (const unit of Object.keys(StoredTarget.fromJSON(JSON.parse(kv.value)).units)) {
        if (seen.has(unit)) this.#violations.push(`${unit} is targeted twice at revision ${this.store.revision}`);
        seen.add(unit);
      }
    }
  }
}

export function writesTargets(txn: Txn | undefined): boolean {
  return txn?.then.some((operation) => 'key' in operation && operation.op !== 'get' && operation.key.includes('/targets/')) === true;
}
