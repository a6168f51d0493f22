import assert from 'node:assert/strict';
import { SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import type { SimulatedClient } from '@rocketmq-connect/metadata-store/simulated';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { RunnerServiceDefinition } from '@rocketmq-connect/proto/runner';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { quietLogger } from '../../test/support/quiet-logger.ts';
import { ScriptedHosts } from '../../test/support/scripted-hosts.ts';
import { UnitsWorld } from '../../test/support/units-world.ts';
import { createTaskRunner, type TaskRunner } from './index.ts';

interface RealRunner {
  readonly name: string;
  readonly service: TaskRunner;
  readonly hosts: ScriptedHosts;
  readonly store: SimulatedClient;
  readonly deadline: DeadlineWord;
}

describe('a task runner', () => {
  async function join(world: UnitsWorld, name: string): Promise<RealRunner> {
    const runner = create(world, name);
    const rpc = new SimulatedRpc(world.network, name);
    await rpc.serve(`${name}:1`, runner.service.implementations);
    world.runners.set(name, { name, follow: () => undefined });
    await world.clock.resolve(runner.service.start());
    return runner;
  }
  function create(world: UnitsWorld, name: string): RealRunner {
    const { clock, keys, network } = world;
    const store = world.store.client(name);
    const hosts = new ScriptedHosts(clock, name);
    const deadline = new DeadlineWord();
    let random = 0;
    const service = createTaskRunner({
      store,
      keys,
      clock,
      random: () => (random = (random + 0.618034) % 1),
      log: quietLogger,
      rpc: new SimulatedRpc(network, name),
      configEndpoints: () => ['config:1'],
      id: name,
      endpoint: () => `${name}:1`,
      labels: {},
      zone: '',
      capacity: 0,
      version: '0.1.0',
      hosts,
      deadline,
      onUnkillable: (message) => assert.fail(message),
      rssBytes: () => 1,
    });
    return { name, service, hosts, store, deadline };
  }
  async function given(...names: string[]) {
    const world = await UnitsWorld.open();
    const runners: RealRunner[] = [];
    for (const name of names) runners.push(await join(world, name));
    world.placeOn = () => names[0] ?? '';
    return { world, runners: runners as [RealRunner, RealRunner] };
  }

  it('registers with its plugins, runs what its target says, and says who it is', async () => {
    const { world, runners } = await given('r1');
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING');
    const client = new SimulatedRpc(world.network, 'asker').client(RunnerServiceDefinition, () => ['r1:1']);
    const described = await world.clock.resolve(client.describe({ runner: '' }));
    assert.deepEqual(described.hosts.flatMap(({ units }) => units).sort(), ['connectors/c', 'tasks/c/0']);
    assert.match(described.session, /^r1-/);
    const [runner] = runners;
    const task = runner.hosts.task('c');
    assert.ok(task);
    task.host.produce(task, 12);
    await world.clock.advance(6000);
    const stats = client.taskStats({ intervalMs: 0, runner: '' })[Symbol.asyncIterator]();
    const first = await world.clock.resolve(stats.next());
    assert.deepEqual(
      first.value?.tasks.map(({ id, polled, acknowledged, commits, state }: (typeof first.value.tasks)[number]) => [
        id?.connector,
        polled,
        acknowledged,
        commits > 0n,
        state,
      ]),
      [['c', 12n, 12n, true, 'UNIT_STATE_RUNNING']],
    );
    await stats.return?.();
  });

  it('has hosts up when it joins: others give it units at once', async () => {
    const { runners } = await given('r1');
    assert.equal(runners[0].hosts.alive.size, 2);
  });

  it('S028: stopped in order, it hands over everything at once, and nothing is repeated', async () => {
    const { world, runners } = await given('r1', 'r2');
    const [r1, r2] = runners;
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING');
    const task = r1.hosts.task('c');
    task?.host.produce(task, 9);
    const stopped = world.clock.resolve(r1.service.stop());
    world.runners.delete('r1');
    world.placeOn = () => 'r2';
    await stopped;
    assert.deepEqual([r1.hosts.alive.size, world.store.peek(world.keys.runners).length], [0, 1]);
    world.place();
    await world.shows('c', 'RUNNING: RUNNING');
    assert.deepEqual([r2.hosts.task('c')?.position, r2.hosts.task('c')?.start.uncleanMarks], [9, []]);
  });

  it('S028: before it stops it gives its units away: each runs on until another runner is ready to take it', async () => {
    const { world, runners } = await given('r1', 'r2');
    const [r1, r2] = runners;
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING');
    await world.store.client('s1').txn({ compare: [], then: [{ op: 'put', key: world.keys.leader, value: 's1' }] });
    const stopped = r1.service.stop();
    const isLeaving = (): boolean => {
      return world.store.peek(world.keys.runners).some(({ value }) => StoredRunner.fromJSON(JSON.parse(value)).leaving);
    };
    await world.clock.until(isLeaving);
    await world.clock.advance(1_000);
    assert.notEqual(r1.hosts.task('c'), undefined, 'nobody has taken it yet');
    world.placeOn = () => 'r2';
    world.place();
    await world.clock.resolve(stopped);
    assert.equal(r1.hosts.alive.size, 0);
    await world.shows('c', 'RUNNING: RUNNING');
    assert.deepEqual(r2.hosts.task('c')?.start.uncleanMarks, []);
  });

  it('stops by itself what nobody takes from it in time, or where nobody leads', async () => {
    for (const hasLeader of [true, false]) {
      const { world, runners } = await given('r1');
      await world.create('c');
      await world.shows('c', 'RUNNING: RUNNING');
      const client = world.store.client('s1');
      if (hasLeader) await client.txn({ compare: [], then: [{ op: 'put', key: world.keys.leader, value: 's1' }] });
      const beganMs = world.clock.monotonic();
      await world.clock.resolve(runners[0].service.stop());
      assert.equal(world.clock.monotonic() - beganMs >= 3_000, hasLeader);
      assert.deepEqual([world.owners(), world.store.peek(world.keys.runners)], [{}, []]);
    }
  });

  it('S133, S002: cut off from the store, everything of it has ended before its lease can expire (invariant 6); it joins again by itself', async () => {
    const { world, runners } = await given('r1');
    const [r1] = runners;
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING');
    const owned = Object.keys(world.owners()).length;
    r1.store.partition();
    await world.clock.until(() => r1.hosts.alive.size === 0, 20_000);
    assert.equal(Object.keys(world.owners()).length, owned, 'the lease still lasts');
    assert.ok(!r1.deadline.passed(world.clock.monotonic() - 1), 'the hosts are gone before the deadline');
    await world.clock.until(() => Object.keys(world.owners()).length === 0, 20_000);
    r1.store.heal();
    await world.shows('c', 'RUNNING: RUNNING');
  });

  it('an owner key that survives its session never blocks it: the lease is gone before it joins again', async () => {
    const { world, runners } = await given('r1');
    const [r1] = runners;
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING');
    const before = world.owners();
    const registered = world.store.peek(world.keys.runners)[0];
    assert.ok(registered);
    world.store.expireLease(registered.leaseId);
    await world.clock.until(() => r1.hosts.started.length === 2);
    await world.shows('c', 'RUNNING: RUNNING');
    for (const [key, owner] of Object.entries(world.owners())) assert.notEqual(owner, before[key]);
  });

  it('refuses an id that another process holds, and names the holder', async () => {
    const { world } = await given('r1');
    const second = create(world, 'r1');
    await assert.rejects(world.clock.resolve(second.service.start()), /the runner id r1 is taken by another process/);
  });

  it('S150: stops and stays stopped when the store went back in time', async () => {
    const { world, runners } = await given('r1');
    const [r1] = runners;
    const backup = world.store.backup();
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING');
    world.store.restore(backup);
    await world.clock.advance(60_000);
    assert.deepEqual([r1.hosts.alive.size, world.owners()], [0, {}]);
  });

  it('finds what a dead watch did not tell, by listing', async () => {
    const { world, runners } = await given('r1');
    const [r1] = runners;
    r1.store.deafenWatches();
    await world.create('c');
    await world.clock.advance(31_000);
    await world.shows('c', 'RUNNING: RUNNING');
  });
});
