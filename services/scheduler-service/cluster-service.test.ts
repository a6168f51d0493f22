import assert from 'node:assert/strict';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';
import { StoredHistory } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import { SchedulerWorld as World } from '../../test/support/scheduler-world.ts';

const nothing = { drain: [], remove: [], add: [] };

describe('the cluster service', () => {
  let world: World;
  afterEach(() => world.stop());

  const explain = async (connector: string, task?: number) => {
    const { units } = await world.cluster().explain({ connector, task }, world.call);
    return units;
  };
  /** The reasons of one unit, as one text. */
  const reasons = async (connector: string, task?: number): Promise<string> =>
    (await explain(connector, task)).flatMap((unit) => unit.reasons).join('\n');
  const refused = async (call: Promise<unknown>): Promise<ConnectError> => {
    const error = await call.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof ConnectError);
    return error;
  };

  describe('drain', () => {
    it('S028: a runner that is about to stop shows as draining', async () => {
      world = await World.with(['r1', 'r2']);
      await world.runner('r2', { leaving: true });
      await world.settle();
      const { runners } = await world.cluster().listRunners({}, world.call);
      assert.deepEqual(
        runners.map(({ draining }) => draining),
        [false, true],
      );
    });

    it('says what moves where, takes everything from the runner, and lasts until it is undone', async () => {
      world = await World.with(['r1', 'r2']);
      await world.connector('a', 3);
      await world.settle();
      world.runnersFollow();
      await world.settle();
      const answer = await world.cluster().drain({ runner: 'r1' }, { ...world.call, identity: 'ann' });
      assert.equal(answer.moves.length, 2);
      for (const { from, to } of answer.moves) assert.deepEqual([from, to], ['r1', 'r2']);
      assert.deepEqual(answer.unplaced, []);
      await world.settle();
      assert.deepEqual([...new Set(world.targets().values())], ['r2']);
      const { runners } = await world.cluster().listRunners({}, world.call);
      assert.deepEqual(
        runners.map(({ id, draining, ownedUnits }) => [id, draining, ownedUnits]),
        [
          ['r1', true, 0],
          ['r2', false, 4],
        ],
      );
      await world.cluster().drain({ runner: 'r1' }, world.call);
      assert.equal(JSON.parse(world.store.peek(world.keys.drains)[0]?.value ?? '{}').who, 'ann', 'asked again, it is the same drain');
      await world.cluster().undrain({ runner: 'r1' }, world.call);
      await world.settle(10_000);
      assert.equal(world.counts().get('r1'), 2);
    });

    it('says which units have nowhere to go', async () => {
      world = await World.with(['r1', 'r2']);
      await world.runner('ssd', { labels: { disk: 'ssd' } });
      await world.connector('a', 1, TargetState.RUNNING, 'File', { 'placement.labels': 'disk=ssd' });
      await world.settle();
      world.runnersFollow();
      await world.settle();
      const { moves, unplaced } = await world.cluster().drain({ runner: 'ssd' }, world.call);
      assert.deepEqual(moves, []);
      assert.deepEqual(unplaced, ['connectors/a', 'tasks/a/0']);
    });

    it('refuses an id that nobody has, and undoes one of a runner that is gone', async () => {
      world = await World.with(['r1']);
      const error = await refused(world.cluster().drain({ runner: 'r11' }, world.call));
      assert.deepEqual([error.kind, error.field], ['notFound', 'runner']);
      assert.equal((await refused(world.cluster().undrain({ runner: 'r11' }, world.call))).kind, 'notFound');
      await world.cluster().drain({ runner: 'r1' }, world.call);
      await world.lose('r1');
      await world.cluster().undrain({ runner: 'r1' }, world.call);
      assert.deepEqual(world.store.peek(world.keys.drains), []);
    });
  });

  describe('explain', () => {
    it('tells why a unit is where it is, and which runners might run it', async () => {
      world = await World.with(['r1', 'r2']);
      await world.runner('other', { plugins: [] });
      await world.connector('a', 2);
      await world.settle();
      await world.ownAll();
      await world.status('tasks/a/0', UnitState.RUNNING);
      const [unit] = await explain('a', 0);
      assert.equal(unit?.unit?.state, UnitState.RUNNING);
      assert.equal(unit?.sinceMs, 1n);
      assert.match(
        unit?.reasons.join('\n') ?? '',
        /^is on r[12], one of 2 runners that may run it: without it r[12] has a load of 0, the others 2$/,
      );
      assert.deepEqual(
        unit?.runners.map(({ runner, eligible, obstacle }) => [runner, eligible, obstacle]),
        [
          ['other', false, 'it does not have the plugin File'],
          ['r1', true, ''],
          ['r2', true, ''],
        ],
      );
    });

    it('tells why a unit is nowhere', async () => {
      world = await World.with([]);
      await world.connector('a', 1, TargetState.RUNNING, 'File', { 'placement.labels': 'disk=ssd' });
      await world.settle();
      assert.match(await reasons('a', 0), /^no task runner is registered$/);
      await world.runner('r1', { labels: { disk: 'hdd' } });
      await world.settle();
      assert.match(await reasons('a', 0), /^no task runner may run it$/);
      const [unit] = await explain('a', 0);
      assert.deepEqual(unit?.runners[0]?.obstacle, 'its label disk is hdd, wanted is disk=ssd'.replace('disk=ssd', 'ssd'));
    });

    it('tells that no scheduler leads', async () => {
      world = await World.with(['r1']);
      await world.settle();
      await world.clock.resolve(world.schedulers[0]?.stop() ?? Promise.resolve());
      await world.connector('a', 1);
      assert.match(await reasons('a', 0), /will be placed on r1, as soon as a scheduler leads: none does now/);
    });

    it('tells what a unit waits for: a claim, its old owner, older tasks, a runner that may come back', async () => {
      world = await World.with(['r1', 'r2'], { graceMs: 60_000 });
      await world.connector('a', 2);
      await world.settle();
      assert.match(await reasons('a', 0), /^waits for r[12] to claim it/);
      await world.ownAll();
      assert.match(await reasons('a', 0), /has claimed it and has not told its state yet/);
      const before = world.taskOwnerKey('a', 0);
      await world.publish('a', 2);
      await world.settle();
      assert.match(await reasons('a', 0), /^r[12] still runs it as the task set before had it/);
      await world.erase(before);
      assert.match(await reasons('a', 0), /^waits for r[12]: 1 task\(s\) of the task set before must stop first/);
      await world.ownAll();
      const at = world.targets().get('tasks/a/0') ?? '';
      const other = at === 'r1' ? 'r2' : 'r1';
      await world.drain(at);
      await world.settle();
      assert.match(await reasons('a', 0), new RegExp(`^moves from ${at} to ${other}: waits until ${at} has stopped and committed it`));
      await world.undrain(at);
      await world.ownAll();
      await world.lose(other);
      await world.erase(world.taskOwnerKey('a', 0));
      await world.settle();
      assert.match(await reasons('a', 0), new RegExp(`^waits for ${other}, which is gone but may come back`));
      const { runners } = await world.cluster().listRunners({}, world.call);
      assert.deepEqual(
        runners.map(({ id, missing }) => [id, missing]).sort(),
        [
          [at, false],
          [other, true],
        ].sort(),
      );
    });

    it('tells the error of a failed unit, and what changed last', async () => {
      world = await World.with(['r1']);
      await world.connector('a', 1);
      await world.settle();
      await world.ownAll();
      await world.status('tasks/a/0', UnitState.FAILED, 'no such folder');
      for (const [index, what] of ['created', 'config', 'lifecycle', 'config'].entries()) {
        const entry = { ...StoredHistory.create(), atMs: BigInt(index), who: 'ann', what, changedKeys: ['topic'] };
        await world.put(world.keys.history('a', String(9 - index)), JSON.stringify(StoredHistory.toJSON(entry)));
      }
      const { units, changes, targetState } = await world.cluster().explain({ connector: 'a', task: 0 }, world.call);
      assert.equal(targetState, TargetState.RUNNING);
      assert.equal(units[0]?.error, 'no such folder');
      assert.match(units[0]?.reasons[0] ?? '', /^failed on r1 and stays so until it is restarted/);
      assert.deepEqual(
        changes.map(({ what, atMs }) => [what, atMs]),
        [
          ['config', 3n],
          ['lifecycle', 2n],
          ['config', 1n],
        ],
      );
    });

    it('does not tell what a past owner said', async () => {
      world = await World.with(['r1']);
      await world.connector('a', 1);
      await world.settle();
      await world.ownAll();
      await world.status('tasks/a/0', UnitState.FAILED, 'long ago');
      await world.erase(world.taskOwnerKey('a', 0));
      await world.ownAll();
      const [unit] = await explain('a', 0);
      assert.deepEqual([unit?.error, unit?.unit?.state], ['', UnitState.UNASSIGNED]);
    });

    it('shows owned units of a STOPPED connector', async () => {
      world = await World.with(['r1']);
      await world.connector('a', 1);
      await world.settle();
      await world.ownAll();
      await world.connector('a', 1, TargetState.STOPPED);
      await world.settle();
      assert.match(await reasons('a'), /the connector is STOPPED; r1 has not released it yet/);
    });

    it('says that only a newer version knows the target state of a connector', async () => {
      world = await World.with(['r1']);
      await world.connector('a', 1, TargetState.UNRECOGNIZED);
      await world.settle();
      await world.ownAll();
      await world.status('tasks/a/0', UnitState.PAUSED);
      assert.match(await reasons('a', 0), /only a newer version knows the target state of the connector: r1 pauses it/);
    });

    it('knows no connector and no task that is not there', async () => {
      world = await World.with(['r1']);
      assert.deepEqual((await refused(explain('a'))).field, 'connector');
      await world.connector('a', 1);
      await world.settle();
      assert.deepEqual((await refused(explain('a', 7))).field, 'task');
    });
  });

  describe('preview', () => {
    it('S006: an added runner would get its share, and nothing is changed by asking', async () => {
      world = await World.with(['r1', 'r2']);
      for (const name of ['a', 'b', 'c', 'd']) await world.connector(name, 4);
      await world.settle();
      world.runnersFollow();
      await world.settle(10_000);
      const before = world.targets();
      const add = [{ id: 'r3', like: 'r1', labels: {}, zone: '', capacity: 0 }];
      const { moves, units, unplaced, rounds } = await world.cluster().previewPlacement({ ...nothing, add }, world.call);
      assert.deepEqual([units['r3'], Math.max(...Object.values(units)) - Math.min(...Object.values(units)), unplaced], [6, 1, []]);
      for (const { to } of moves) assert.equal(to, 'r3');
      assert.ok(rounds > 0);
      await world.settle(10_000);
      assert.deepEqual(world.targets(), before);
      await world.runner('r3');
      await world.settle(10_000);
      const moved = [...world.targets()].filter(([unit, at]) => before.get(unit) !== at).map(([unit]) => unit);
      assert.deepEqual(moved.sort(), moves.map(({ unit }) => unit).sort(), 'what was previewed comes true');
    });

    it('of a runner lost and one drained: everything is on the third', async () => {
      world = await World.with(['r1', 'r2', 'r3']);
      await world.connector('a', 5);
      await world.settle();
      const { units } = await world.cluster().previewPlacement({ drain: ['r1'], remove: ['r2'], add: [] }, world.call);
      assert.deepEqual(units, { r1: 0, r3: 6 });
    });

    it('refuses runners that are not there, or are there already', async () => {
      world = await World.with(['r1']);
      const preview = (change: Partial<Parameters<ReturnType<World['cluster']>['previewPlacement']>[0]>) =>
        refused(world.cluster().previewPlacement({ ...nothing, ...change }, world.call));
      assert.equal((await preview({ drain: ['x'] })).field, 'drain');
      assert.equal((await preview({ remove: ['x'] })).field, 'remove');
      const runner = { labels: {}, zone: '', capacity: 0 };
      assert.equal((await preview({ add: [{ ...runner, id: 'r1', like: '' }] })).field, 'add.id');
      assert.equal((await preview({ add: [{ ...runner, id: 'r2', like: 'x' }] })).field, 'add.like');
    });
  });
});
