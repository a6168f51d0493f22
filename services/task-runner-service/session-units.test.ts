import assert from 'node:assert/strict';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredStatus } from '@rocketmq-connect/proto/storage';
import type { PlainError } from '@rocketmq-connect/sdk';
import { UnitsWorld } from '../../test/support/units-world.ts';

const broken = { name: 'ConfigError', kind: 'config', code: 'CONFIG_INVALID', message: 'file is missing' } as const;
const away = { name: 'RetriableError', kind: 'retriable', code: 'RETRIABLE', message: 'the database is away' } as const;

describe('the units of a runner', () => {
  /** A connector `c` that runs on r1. */
  async function running(script: { tasks?: number } = {}): Promise<UnitsWorld> {
    const world = await UnitsWorld.open('r1');
    world.runner().hosts.scripts.set('c', script);
    await world.create('c');
    await world.shows('c', `RUNNING:${' RUNNING'.repeat(script.tasks ?? 1)}`);
    return world;
  }
  const set = (world: UnitsWorld, targetState: TargetState) =>
    world.clock.resolve(world.connectors.setTargetState({ name: 'c', targetState }));
  const taskOf = (world: UnitsWorld, task = 0, runner = 'r1') => {
    const found = world.runner(runner).hosts.task('c', task);
    assert.ok(found, `task ${task} runs on ${runner}`);
    return found;
  };
  const taskNow = (world: UnitsWorld, task: number) => world.runner().hosts.task('c', task);
  const errorOf = (world: UnitsWorld, task = 0) =>
    world.clock
      .resolve(world.connectors.getStatus({ name: 'c' }))
      .then(({ status }) => status?.tasks.find((one) => one.task === task)?.status?.error ?? '');
  const produce = (world: UnitsWorld, records: number, task = 0) => {
    const running = taskOf(world, task);
    running.host.produce(running, records);
  };

  it('plans a connector, runs its tasks, and commits what they did', async () => {
    const world = await running({ tasks: 2 });
    assert.deepEqual(taskOf(world, 1).start.taskConfig, { share: '1 of 2' });
    produce(world, 7, 1);
    await world.clock.advance(6000);
    assert.deepEqual(world.positions('c'), { 0: 0, 1: 7 });
    assert.ok(taskOf(world, 1).committed.length > 0);
  });

  it('S037: pauses, resumes and stops; STOPPED has no task and no owner', async () => {
    const world = await running();
    await set(world, TargetState.PAUSED);
    await world.shows('c', 'PAUSED: PAUSED');
    assert.equal(taskOf(world).paused, true);
    await set(world, TargetState.RUNNING);
    await world.shows('c', 'RUNNING: RUNNING');
    assert.equal(taskOf(world).paused, false);
    produce(world, 3);
    await set(world, TargetState.STOPPED);
    await world.clock.until(() => Object.keys(world.owners()).length === 0);
    assert.equal(await world.shown('c'), 'STOPPED:');
    assert.deepEqual([world.runner().hosts.tasks(), world.positions('c')], [[], { 0: 3 }]);
    await set(world, TargetState.RUNNING);
    await world.shows('c', 'RUNNING: RUNNING');
    assert.equal(taskOf(world).position, 3);
  });

  it('pauses at a target state that only a newer version knows', async () => {
    const world = await running();
    const hand = world.store.client('newer version');
    const key = world.keys.spec('c');
    const { kv } = await world.clock.resolve(hand.get(key));
    const value = JSON.stringify({ ...JSON.parse(kv?.value ?? ''), targetState: 'TARGET_STATE_OF_THE_FUTURE' });
    await world.clock.resolve(hand.txn({ compare: [], then: [{ op: 'put', key, value }] }));
    await world.shows('c', 'PAUSED: PAUSED');
    assert.equal(taskOf(world).paused, true);
    await set(world, TargetState.RUNNING);
    await world.shows('c', 'RUNNING: RUNNING');
  });

  it('S041: a connector that is created PAUSED has no tasks until it is resumed', async () => {
    const world = await UnitsWorld.open('r1');
    const config = { name: 'c', 'connector.class': 'Scripted' };
    await world.clock.resolve(world.connectors.create({ name: 'c', config, initialState: TargetState.PAUSED }));
    await world.shows('c', 'PAUSED:');
    await set(world, TargetState.RUNNING);
    await world.shows('c', 'RUNNING: RUNNING');
  });

  it('S005: deletes a connector: its units stop and are released', async () => {
    const world = await running();
    await world.clock.resolve(world.connectors.delete({ name: 'c', resetOffsets: true }));
    await world.clock.until(() => Object.keys(world.owners()).length === 0);
    assert.deepEqual(world.runner().hosts.tasks(), []);
  });

  it('S005: every runner forgets a deleted connector, wherever its instance ran, and whenever its units left', async () => {
    const world = await UnitsWorld.open('r1', 'r2');
    world.placeOn = (unit) => (unit.endsWith('/1') ? 'r2' : 'r1');
    for (const name of ['c', 'd']) world.runner().hosts.scripts.set(name, { tasks: 2 });
    for (const name of ['c', 'd']) await world.create(name);
    for (const name of ['c', 'd']) await world.shows(name, 'RUNNING: RUNNING RUNNING');
    const known = () => ['r1', 'r2'].map((name) => [...world.runner(name).figures.connectors(), world.runner(name).ledgers.size]);
    assert.deepEqual(known(), [
      ['c', 'd', 2],
      ['c', 'd', 2],
    ]);
    await world.clock.resolve(world.connectors.setTargetState({ name: 'd', targetState: TargetState.STOPPED }));
    await world.clock.until(() => Object.keys(world.owners()).length === 3);
    for (const name of ['c', 'd']) await world.clock.resolve(world.connectors.delete({ name, resetOffsets: true }));
    await world.clock.until(() => Object.keys(world.owners()).length === 0);
    await world.clock.advance(1_000);
    assert.deepEqual(known(), [[0], [0]]);
  });

  it('S004: a new configuration makes a new generation; its tasks start where the old ones ended', async () => {
    const world = await running({ tasks: 2 });
    produce(world, 5, 1);
    const before = taskOf(world, 1).start.generation;
    world.runner().hosts.scripts.set('c', { tasks: 3 });
    const config = { name: 'c', 'connector.class': 'Scripted', colour: 'red' };
    await world.clock.resolve(world.connectors.update({ name: 'c', config, expectedConfigRevision: 0n }));
    await world.shows('c', 'RUNNING: RUNNING RUNNING RUNNING');
    const after = taskOf(world, 1);
    assert.ok(after.start.generation > before);
    assert.equal(after.position, 5);
    assert.deepEqual(after.start.uncleanMarks, []);
    assert.equal(after.start.connectorConfig['colour'], 'red');
  });

  it('moves a task without repeating a record, and no other task; its new owner starts when the old one has stopped and committed (invariant 7, S025, S028)', async () => {
    const world = await UnitsWorld.open('r1', 'r2');
    world.runner().hosts.scripts.set('c', { tasks: 2 });
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING RUNNING');
    produce(world, 9, 1);
    const unmoved = Object.entries(world.owners()).filter(([key]) => !key.endsWith('/1'));
    world.placeOn = (unit) => (unit === 'tasks/c/1' ? 'r2' : 'r1');
    world.place();
    for (const runner of world.runners.values()) runner.follow();
    await world.clock.until(() => world.runner('r2').hosts.task('c', 1) !== undefined);
    assert.equal(taskOf(world, 1, 'r2').position, 9);
    assert.deepEqual(taskOf(world, 1, 'r2').start.uncleanMarks, []);
    for (const [key, owner] of unmoved) assert.equal(world.owners()[key], owner);
  });

  it('S028: has a host up for a task that another runner is still about to give away', async () => {
    const world = await UnitsWorld.open('r1', 'r2');
    world.runner().hosts.scripts.set('c', { hangs: 'stop' });
    await world.create('c');
    await world.shows('c', 'RUNNING: RUNNING');
    world.placeOn = (unit) => (unit === 'tasks/c/0' ? 'r2' : 'r1');
    world.place();
    for (const runner of world.runners.values()) runner.follow();
    await world.clock.advance(1_000);
    assert.ok(
      Object.keys(world.owners()).some((key) => key.endsWith('/0')),
      'r1 has it',
    );
    assert.deepEqual([world.runner('r2').hosts.alive.size, world.runner('r2').hosts.started], [1, []]);
    await world.clock.until(() => world.runner('r2').hosts.task('c') !== undefined);
    assert.equal(world.runner('r2').hosts.alive.size, 1);
  });

  describe('when code fails', () => {
    it('S031: a task that fails for its configuration stays FAILED, and starts when a user restarts it', async () => {
      const world = await UnitsWorld.open('r1');
      world.runner().hosts.scripts.set('c', { fails: { at: 'start', error: broken } });
      await world.create('c');
      await world.shows('c', 'RUNNING: FAILED');
      assert.match(await errorOf(world), /CONFIG_INVALID: file is missing/);
      const owners = world.owners();
      await world.clock.advance(600_000);
      assert.equal(await world.shown('c'), 'RUNNING: FAILED');
      world.runner().hosts.scripts.clear();
      await world.clock.resolve(world.connectors.restartTask({ name: 'c', task: 0 }));
      await world.shows('c', 'RUNNING: RUNNING');
      assert.deepEqual(world.owners(), owners, 'a restart in place keeps the token');
      assert.equal(await errorOf(world), '');
    });

    it('S130: a task whose outside system is away is RESTARTING with a growing delay, until it runs', async () => {
      const world = await UnitsWorld.open('r1');
      world.runner().hosts.scripts.set('c', { fails: { at: 'start', error: away } });
      await world.create('c');
      await world.shows('c', 'RUNNING: RESTARTING');
      await world.clock.advance(20_000);
      world.runner().hosts.scripts.clear();
      await world.clock.advance(20_000);
      assert.equal(await world.shown('c'), 'RUNNING: RUNNING');
      assert.equal(world.runner().hosts.started.length, 1);
    });

    it('S130: its configuration says after which failures it restarts, and how often; a change of that stops no task', async () => {
      const world = await running();
      const { hosts } = world.runner();
      const configure = (config: Readonly<Record<string, string>>) => {
        const whole = { name: 'c', 'connector.class': 'Scripted', ...config };
        return world.clock.resolve(world.connectors.update({ name: 'c', config: whole, expectedConfigRevision: 0n }));
      };
      const fail = (error: PlainError): void => taskOf(world).host.fail(taskOf(world), error);
      await configure({ 'errors.restart': 'none' });
      await world.clock.advance(1000);
      assert.equal(hosts.started.length, 1);
      fail(away);
      await world.shows('c', 'RUNNING: FAILED');
      await world.clock.advance(600_000);
      assert.equal(await world.shown('c'), 'RUNNING: FAILED');
      await world.clock.resolve(world.connectors.restartTask({ name: 'c', task: 0 }));
      await world.shows('c', 'RUNNING: RUNNING');
      await configure({ 'errors.restart': 'all', 'errors.restart.max': '2' });
      for (const restarts of [1, 2]) {
        fail(broken);
        await world.shows('c', 'RUNNING: RESTARTING');
        await world.shows('c', 'RUNNING: RUNNING');
        assert.equal(hosts.started.length, 2 + restarts);
      }
      fail(broken);
      await world.shows('c', 'RUNNING: FAILED');
    });

    it('S035: restarts that are asked for while one is under way come to one more start of each unit that any of them is for', async () => {
      const world = await running({ tasks: 2 });
      const { hosts } = world.runner();
      hosts.scripts.set('c', { tasks: 2, hangs: 'stop', hangingTask: 0 });
      const restart = (includeTasks: boolean, onlyFailed: boolean) =>
        world.clock.resolve(world.connectors.restart({ name: 'c', includeTasks, onlyFailed }));
      const restartTask = () => world.clock.resolve(world.connectors.restartTask({ name: 'c', task: 0 }));
      await restartTask();
      for (const ask of [() => restart(false, false), () => restart(true, false), () => restart(true, true), restartTask]) await ask();
      await world.clock.advance(30_000);
      assert.equal(await world.shown('c'), 'RUNNING: RUNNING RUNNING');
      const starts = [0, 1].map((task) => hosts.started.filter((start) => start.task === task).length);
      assert.deepEqual(starts, [2, 2]);
    });

    it('S036: a restart that fails keeps no other from happening, of the same connector or another', async () => {
      const world = await running();
      await world.create('d');
      await world.shows('d', 'RUNNING: RUNNING');
      const { hosts } = world.runner();
      const startsOf = (name: string): number => hosts.started.filter(({ connector }) => connector === name).length;
      hosts.scripts.set('c', { fails: { at: 'start', error: broken } });
      for (const name of ['c', 'd']) await world.clock.resolve(world.connectors.restart({ name, includeTasks: true, onlyFailed: false }));
      await world.shows('c', 'RUNNING: FAILED');
      await world.clock.until(() => startsOf('d') === 2);
      await world.shows('d', 'RUNNING: RUNNING');
      hosts.scripts.clear();
      await world.clock.resolve(world.connectors.restart({ name: 'c', includeTasks: true, onlyFailed: true }));
      await world.shows('c', 'RUNNING: RUNNING');
      assert.equal(startsOf('d'), 2);
    });

    it('S038: a connector that cannot plan is FAILED with the reason, and plans again with a new configuration', async () => {
      const world = await UnitsWorld.open('r1');
      world.runner().hosts.scripts.set('c', { fails: { at: 'plan', error: broken } });
      await world.create('c');
      await world.shows('c', 'FAILED:');
      world.runner().hosts.scripts.clear();
      const config = { name: 'c', 'connector.class': 'Scripted', file: 'f' };
      await world.clock.resolve(world.connectors.update({ name: 'c', config, expectedConfigRevision: 0n }));
      await world.shows('c', 'RUNNING: RUNNING');
    });

    it('S130: a sink whose queues cannot be looked up waits for the log, and has its tasks soon after the log is back', async () => {
      const world = await UnitsWorld.open('r1');
      const { scripts } = world.runner().hosts;
      const reason = async () => (await world.clock.resolve(world.connectors.getStatus({ name: 'c' }))).status?.connector?.error;
      scripts.set('c', { type: 'sink', fails: { at: 'plan', error: away } });
      await world.create('c');
      await world.shows('c', 'RUNNING:');
      await world.clock.advance(300_000);
      assert.equal(await world.shown('c'), 'RUNNING:');
      assert.equal(await reason(), 'RETRIABLE: the database is away', 'it says what it waits for');
      scripts.set('c', { type: 'sink' });
      await world.clock.advance(5_500);
      assert.equal(await world.shown('c'), 'RUNNING: RUNNING');
      assert.equal(await reason(), '');
    });

    it('S034: restarting a running task starts a new incarnation from what the last one did, under the same token', async () => {
      const world = await running();
      produce(world, 4);
      const owners = world.owners();
      await world.clock.resolve(world.connectors.restart({ name: 'c', includeTasks: true, onlyFailed: false }));
      await world.clock.until(() => world.runner().hosts.started.length === 2);
      await world.shows('c', 'RUNNING: RUNNING');
      assert.equal(taskOf(world).position, 4);
      assert.deepEqual(world.owners(), owners);
    });

    it('a FAILED task of an old generation does not block the next one, which is told where to look for what it had sent', async () => {
      const world = await running({ tasks: 2 });
      produce(world, 5, 1);
      await world.clock.advance(6000);
      produce(world, 3, 1);
      const failing = taskOf(world, 1);
      failing.host.fail(failing, broken);
      await world.shows('c', 'RUNNING: RUNNING FAILED');
      const config = { name: 'c', 'connector.class': 'Scripted', colour: 'red' };
      await world.clock.resolve(world.connectors.update({ name: 'c', config, expectedConfigRevision: 0n }));
      await world.shows('c', 'RUNNING: RUNNING RUNNING');
      const { start, position } = taskOf(world, 1);
      assert.deepEqual([position, start.uncleanMarks.map(({ offset }) => offset)], [5, [5]]);
    });
  });

  it('fewer tasks: who takes over from a task that ended uncleanly looks where that one had sent', async () => {
    const world = await running({ tasks: 2 });
    produce(world, 5, 1);
    await world.clock.advance(6000);
    const failing = taskOf(world, 1);
    failing.host.fail(failing, broken);
    await world.shows('c', 'RUNNING: RUNNING FAILED');
    world.runner().hosts.scripts.set('c', { tasks: 1 });
    const config = { name: 'c', 'connector.class': 'Scripted', colour: 'red' };
    await world.clock.resolve(world.connectors.update({ name: 'c', config, expectedConfigRevision: 0n }));
    await world.shows('c', 'RUNNING: RUNNING');
    const marksAtStart = () => taskOf(world).start.uncleanMarks.map(({ queue, offset }) => `${queue.queue}:${offset}`);
    assert.deepEqual(marksAtStart(), ['1:5']);
    // Once it has committed its own marks say it all.
    await world.clock.advance(6000);
    await world.clock.resolve(world.connectors.restartTask({ name: 'c', task: 0 }));
    await world.clock.until(() => world.runner().hosts.started.length === 4);
    assert.deepEqual(marksAtStart(), ['0:0']);
  });

  describe('when a host dies or hangs', () => {
    it('a task goes on from its last commit, and is told where to look for records that were sent but not committed', async () => {
      const world = await running();
      produce(world, 5);
      await world.clock.advance(6000);
      produce(world, 3);
      taskOf(world).host.crash();
      await world.clock.until(() => world.runner().hosts.started.length === 2);
      await world.shows('c', 'RUNNING: RUNNING');
      assert.equal(taskOf(world).position, 5);
      assert.deepEqual(
        taskOf(world).start.uncleanMarks.map(({ offset }) => offset),
        [5],
      );
    });

    it('S053, S054: a task that ignores its stop is killed with its host; its neighbour goes on, and is not counted as restarted', async () => {
      const world = await running({ tasks: 4 });
      const stuck = taskOf(world, 0);
      const [neighbour] = [...stuck.host.tasks.values()].filter((task) => task !== stuck);
      assert.ok(neighbour);
      produce(world, 5, 0);
      produce(world, 3, neighbour.start.task);
      await world.clock.advance(6000);
      produce(world, 4, neighbour.start.task);
      const owners = world.owners();
      world.runner().hosts.scripts.set('c', { tasks: 4, hangs: 'stop', hangingTask: 0 });
      await world.clock.resolve(world.connectors.restartTask({ name: 'c', task: 0 }));
      await world.clock.advance(4000);
      assert.ok(world.runner().hosts.alive.has(stuck.host));
      await world.clock.advance(2000);
      assert.ok(!world.runner().hosts.alive.has(stuck.host));
      await world.shows('c', 'RUNNING: RUNNING RUNNING RUNNING RUNNING');
      const alone = taskOf(world, 0).host;
      assert.deepEqual([...alone.tasks.keys()].length, 1, 'the culprit has a host of its own');
      assert.equal(taskOf(world, 0).position, 5);
      const moved = taskOf(world, neighbour.start.task);
      assert.notEqual(moved.host, neighbour.host);
      assert.deepEqual([moved.position, moved.start.uncleanMarks.length], [7, 1], 'what it had done was committed before it went on');
      assert.deepEqual(world.owners(), owners, 'under the same tokens');
    });

    it('S052: the neighbours of a task that hangs pause for less than a second and are never FAILED', async () => {
      const world = await running({ tasks: 4 });
      const stuck = taskOf(world, 0);
      const neighbours = [...stuck.host.tasks.values()].filter((task) => task !== stuck).map(({ start }) => start.task);
      const error = { name: 'FatalError', kind: 'fatal', code: 'HOOK_HUNG', message: 'put did not end within 300000 ms' } as const;
      stuck.host.say({ type: 'culprit', unit: stuck.unit, error, hasFailed: false });
      let pauseMs = 0;
      const seen = new Set<string>();
      while (neighbours.some((task) => taskNow(world, task)?.host === stuck.host || taskNow(world, task) === undefined)) {
        await world.clock.advance(10);
        pauseMs += 10;
        const states = (await world.shown('c')).split(' ');
        for (const task of neighbours) seen.add(states[task + 1] ?? '');
      }
      assert.ok(pauseMs < 1000, `${pauseMs} ms`);
      assert.deepEqual(
        [...seen].filter((state) => state !== 'RUNNING' && state !== 'STARTING'),
        [],
      );
      await world.clock.until(() => !world.runner().hosts.alive.has(stuck.host));
      assert.match(await errorOf(world, 0), /HOOK_HUNG: put did not end/);
      await world.shows('c', 'RUNNING: RUNNING RUNNING RUNNING RUNNING');
    });

    it('S052: where the loop is blocked, neighbours go on from their last commit, and are not counted as restarted', async () => {
      const world = await running({ tasks: 4 });
      const stuck = taskOf(world, 0);
      const [neighbour] = [...stuck.host.tasks.values()].filter((task) => task !== stuck);
      assert.ok(neighbour);
      produce(world, 3, neighbour.start.task);
      await world.clock.advance(6000);
      produce(world, 4, neighbour.start.task);
      await world.clock.advance(10);
      stuck.host.block();
      await world.clock.resolve(world.connectors.restartTask({ name: 'c', task: 0 }));
      await world.clock.until(() => !world.runner().hosts.alive.has(stuck.host));
      await world.shows('c', 'RUNNING: RUNNING RUNNING RUNNING RUNNING');
      const moved = taskOf(world, neighbour.start.task);
      assert.deepEqual([moved.position, moved.start.uncleanMarks.map(({ offset }) => offset)], [3, [3]]);
    });

    it('S052, S053: a task that hangs in start is restarted by policy; other connectors run', async () => {
      const world = await UnitsWorld.open('r1');
      world.runner().hosts.scripts.set('hanging', { hangs: 'start' });
      await world.create('hanging');
      await world.create('c');
      await world.shows('c', 'RUNNING: RUNNING');
      await world.shows('hanging', 'RUNNING: STARTING');
      await world.clock.advance(10_500);
      assert.equal(await world.shown('hanging'), 'RUNNING: RESTARTING');
      await world.shows('c', 'RUNNING: RUNNING');
    });

    it('S052: a connector that hangs in its plan is restarted by policy and names the stage; another is planned meanwhile', async () => {
      const world = await UnitsWorld.open('r1');
      world.runner().hosts.scripts.set('hanging', { hangs: 'plan' });
      await world.create('hanging');
      await world.create('c');
      await world.shows('c', 'RUNNING: RUNNING');
      await world.shows('hanging', 'RESTARTING:');
      const { status } = await world.clock.resolve(world.connectors.getStatus({ name: 'hanging' }));
      assert.match(status?.connector?.error ?? '', /plan took longer than 10000 ms/);
    });

    it('a connector whose host dies while it plans plans again', async () => {
      const world = await UnitsWorld.open('r1');
      const { hosts } = world.runner();
      hosts.scripts.set('c', { hangs: 'plan' });
      await world.create('c');
      await world.clock.advance(1000);
      hosts.scripts.delete('c');
      for (const host of hosts.alive) if (host.connectors.size === 0) host.crash();
      await world.shows('c', 'RUNNING: RUNNING');
    });

    it('a host that cannot be killed takes the process with it', async () => {
      const world = await running();
      taskOf(world).host.immortal = true;
      world.runner().hosts.scripts.set('c', { hangs: 'stop' });
      await set(world, TargetState.STOPPED);
      await world.clock.advance(6500);
      assert.equal(world.runner().unkillable.length, 1);
      assert.notDeepEqual(world.owners(), {}, 'release is written only when the stop is certain (invariant 7)');
    });
  });

  describe('when others are away', () => {
    it('config-service: commits are repeated, and nothing is lost or doubled when it is back', async () => {
      const world = await running();
      produce(world, 5);
      world.network.partition('r1', 'config');
      await world.clock.advance(60_000);
      assert.notDeepEqual(world.positions('c'), { 0: 5 });
      world.network.heal();
      produce(world, 1);
      await world.clock.advance(12_000);
      assert.deepEqual(world.positions('c'), { 0: 6 });
    });

    it('a task whose host died starts again only when its outstanding commit is answered, from what that stored (invariant 4)', async () => {
      const world = await running();
      produce(world, 5);
      world.store.faults = ({ client, txn }) =>
        client === 'config' && txn?.then.some((op) => op.op === 'put' && op.key.includes('/commits/'))
          ? { outcome: 'unavailable' }
          : undefined;
      await world.clock.advance(6000);
      taskOf(world).host.crash();
      await world.clock.advance(6000);
      assert.equal(world.runner().hosts.started.length, 1);
      world.store.faults = undefined;
      await world.shows('c', 'RUNNING: RUNNING');
      assert.deepEqual([world.positions('c'), taskOf(world).position], [{ 0: 5 }, 5]);
    });

    it('config-service past the release timeout: the owner key is given back uncommitted, so that the unit is never blocked', async () => {
      const world = await running();
      produce(world, 5);
      world.network.partition('r1', 'config');
      await world.clock.advance(1000);
      world.placeOn = () => 'nobody';
      world.place();
      world.runner().follow();
      await world.clock.advance(15_000);
      assert.equal(Object.keys(world.owners()).length, 1);
      await world.clock.advance(10_000);
      assert.deepEqual(world.owners(), {});
    });

    it('S133, S103: a fenced task is killed at once and commits nothing; another owner goes on', async () => {
      const world = await running();
      produce(world, 5);
      await world.clock.advance(6000);
      const zombie = taskOf(world);
      const owner = world.store.peek(world.keys.taskOwners('c'))[0];
      assert.ok(owner);
      world.runner().deafen();
      world.store.txn({ compare: [], then: [{ op: 'delete', key: owner.key }] });
      zombie.host.produce(zombie, 100);
      await world.clock.advance(6000);
      assert.ok(!world.runner().hosts.tasks().includes(zombie));
      assert.deepEqual(world.positions('c'), { 0: 5 });
    });

    it('S089: a status is written only over the last one of its own: a delayed RUNNING does not cover a later FAILED', async () => {
      const world = await UnitsWorld.open('r1');
      const key = world.keys.status({ connector: 'c', task: 0 });
      const state = () => StoredStatus.fromJSON(JSON.parse(world.store.peek({ start: key, end: `${key}\0` })[0]?.value ?? '{}')).state;
      let delayed = 0;
      world.store.faults = ({ client, txn }) =>
        client === 'r1' && txn?.then.some((op) => op.op === 'put' && op.key === key && op.value.includes('RUNNING')) && delayed++ === 0
          ? { outcome: 'unknownAppliedLater', laterMs: 3000 }
          : undefined;
      await world.create('c');
      await world.clock.until(() => delayed === 1);
      const failing = taskOf(world);
      failing.host.fail(failing, broken);
      await world.clock.until(() => state() === 'UNIT_STATE_FAILED');
      await world.clock.advance(10_000);
      assert.deepEqual([delayed, state()], [1, 'UNIT_STATE_FAILED']);
    });
  });

  describe('when claims go wrong', () => {
    it('an outcome that is unknown is settled by registering again; the unit runs once', async () => {
      for (const outcome of ['unknownApplied', 'unknownNotApplied', 'unknownAppliedLater'] as const) {
        const world = await UnitsWorld.open('r1');
        let claims = 0;
        world.store.faults = ({ client, txn }) =>
          client === 'r1' && txn?.then.some((op) => op.op === 'put' && op.key.includes('/owners/tasks/')) && claims++ === 0
            ? { outcome, laterMs: 2500 }
            : undefined;
        await world.create('c');
        await world.shows('c', 'RUNNING: RUNNING');
        assert.equal(world.runner().hosts.started.length, 1);
        await world.clock.advance(10_000);
        assert.equal(Object.keys(world.owners()).length, 2);
        assert.equal(await world.shown('c'), 'RUNNING: RUNNING');
      }
    });

    it('a claim of unknown outcome that nobody wants any more cannot land later', async () => {
      const world = await UnitsWorld.open('r1');
      let claims = 0;
      world.store.faults = ({ client, txn }) =>
        client === 'r1' && txn?.then.some((op) => op.op === 'put' && op.key.includes('/owners/tasks/')) && claims++ === 0
          ? { outcome: 'unknownAppliedLater', laterMs: 2500 }
          : undefined;
      await world.create('c');
      await world.clock.until(() => claims === 1);
      world.placeOn = (unit) => (unit.startsWith('tasks/') ? 'nobody' : 'r1');
      world.place();
      world.runner().follow();
      await world.clock.advance(10_000);
      assert.deepEqual([claims, Object.keys(world.owners())], [1, ['connectors/c']]);
    });

    it('a task waits for the key that blocks it, and claims when that is gone', async () => {
      const world = await UnitsWorld.open('r1', 'r2');
      await world.create('c');
      await world.shows('c', 'RUNNING: RUNNING');
      world.runner('r1').deafen();
      world.placeOn = () => 'r2';
      world.place();
      world.runner('r2').follow();
      await world.clock.advance(5000);
      assert.equal(world.runner('r2').hosts.tasks().length, 0);
      await world.runner('r1').endSession();
      world.store.expireLease(world.runner('r1').lease.id);
      await world.clock.advance(2000);
      assert.equal(world.runner('r2').hosts.tasks().length, 1);
    });

    it('cannot run here: it is released with the reason, and tried again only after a while', async () => {
      const world = await UnitsWorld.open('r1');
      await world.create('c');
      await world.shows('c', 'RUNNING: RUNNING');
      await set(world, TargetState.STOPPED);
      await world.clock.until(() => Object.keys(world.owners()).length === 0);
      world.runner().hosts.plugins = [];
      await set(world, TargetState.RUNNING);
      await world.clock.advance(5000);
      assert.deepEqual(world.owners(), {});
      const key = world.keys.status({ connector: 'c' });
      assert.match(world.store.peek({ start: key, end: `${key}\0` })[0]?.value ?? '', /plugin Scripted is not on this runner/);
      world.runner().hosts.plugins = ['Scripted'];
      await world.clock.advance(31_000);
      await world.shows('c', 'RUNNING: RUNNING');
    });
  });

  it('nothing runs, and nothing is written, after the session is over (invariant 6)', async () => {
    const world = await running({ tasks: 2 });
    produce(world, 5);
    await world.runner().endSession();
    const { revision } = world.store;
    await world.clock.advance(1000);
    assert.deepEqual([world.runner().hosts.alive.size, world.store.revision], [0, revision]);
    world.store.expireLease(world.runner().lease.id);
    await world.clock.resolve(world.runner().join());
    world.runner().follow();
    await world.shows('c', 'RUNNING: RUNNING RUNNING');
  });

  it('what the end of a session interrupts is told as no failure', async () => {
    const world = await running();
    const runner = world.runner();
    runner.hosts.scripts.set('d', { hangs: 'start' });
    await world.create('d');
    await world.shows('d', 'RUNNING: STARTING');
    // The other waits for its offsets.
    world.network.partition('r1', 'config');
    taskOf(world).host.fail(taskOf(world), away);
    await world.clock.advance(3000);
    const before = runner.lines.length;
    await runner.endSession();
    await world.clock.advance(60_000);
    assert.deepEqual(
      runner.lines.slice(before).filter((line) => line.includes('failed')),
      [],
    );
  });

  it('leaves no timer behind when everything is stopped', async () => {
    const world = await running({ tasks: 2 });
    world.runner().deafen();
    await world.clock.resolve(world.runner().units.stop());
    assert.deepEqual(world.owners(), {});
    await world.runner().endSession();
    world.store.expireLease(world.runner().lease.id);
    await world.clock.advance(31_000);
    assert.equal(world.clock.pendingTimers, 0);
  });
});
