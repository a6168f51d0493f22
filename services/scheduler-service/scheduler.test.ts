import assert from 'node:assert/strict';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';
import { StoredStatus, StoredTarget } from '@rocketmq-connect/proto/storage';
import { SchedulerWorld as World, writesTargets } from '../../test/support/scheduler-world.ts';

describe('the scheduler', () => {
  it('places the units of RUNNING and PAUSED connectors, and none of STOPPED ones', async () => {
    const world = await World.with(['r1', 'r2']);
    await world.connector('a', 2);
    await world.connector('p', 1, TargetState.PAUSED);
    await world.connector('s', 1, TargetState.STOPPED);
    await world.settle();
    const targets = world.targets();
    assert.deepEqual([...targets.keys()].sort(), ['connectors/a', 'connectors/p', 'tasks/a/0', 'tasks/a/1', 'tasks/p/0']);
    assert.equal(world.generation('tasks/a/1'), world.pointer('a'));
    assert.equal(world.generation('connectors/a'), '');
    await world.stop();
  });

  it('a new generation keeps the runner and takes the place of the old one', async () => {
    const world = await World.with(['r1', 'r2', 'r3']);
    await world.connector('a', 3);
    await world.settle();
    const before = world.targets();
    await world.publish('a', 3);
    await world.settle();
    assert.deepEqual(world.targets(), before);
    assert.equal(world.generation('tasks/a/0'), world.pointer('a'));
    await world.stop();
  });

  it('S018: what is stopped or deleted vanishes from the targets and nothing else moves', async () => {
    const world = await World.with(['r1', 'r2']);
    for (const name of ['a', 'b', 'c', 'd']) await world.connector(name, 2);
    await world.settle();
    const before = world.targets();
    await world.erase(world.keys.spec('b'), world.keys.taskSet('b'));
    await world.settle();
    const after = world.targets();
    assert.equal(
      [...after.keys()].some((unit) => unit.includes('/b')),
      false,
    );
    const moved = [...after].filter(([unit, runner]) => before.get(unit) !== runner);
    assert.ok(moved.length <= 2, `${moved}`);
    await world.stop();
  });

  it('S005, S006: an added runner takes over its share in bounded moves, each whole in one transaction', async () => {
    const world = await World.with(['r1', 'r2']);
    for (const name of ['a', 'b', 'c', 'd']) await world.connector(name, 4);
    await world.settle();
    world.runnersFollow();
    const before = world.targets();
    await world.runner('r3');
    await world.settle(10_000);
    const after = world.targets();
    const counts = world.counts();
    assert.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 1, `${[...counts]}`);
    for (const [unit, runner] of after) if (before.get(unit) !== runner) assert.equal(runner, 'r3');
    await world.stop();
  });

  it('a move that its runner has not made yet counts: nothing else moves until then', async () => {
    const world = await World.with(['r1']);
    await world.connector('a', 14);
    await world.settle();
    await world.ownAll();
    await world.runner('r2');
    await world.settle(60_000);
    assert.equal(world.counts().get('r2'), 3);
    await world.ownAll();
    await world.settle(60_000);
    assert.equal(world.counts().get('r2'), 6);
    await world.stop();
  });

  it('S028: a runner that says it is leaving keeps nothing, and only what it had moves', async () => {
    const world = await World.with(['r1', 'r2', 'r3']);
    for (const name of ['a', 'b', 'c']) await world.connector(name, 3);
    await world.settle();
    const before = world.targets();
    await world.runner('r2', { leaving: true });
    await world.settle(1_000);
    const after = world.targets();
    assert.equal(after.size, before.size);
    for (const [unit, runner] of after) {
      assert.notEqual(runner, 'r2');
      if (before.get(unit) !== 'r2') assert.equal(runner, before.get(unit));
    }
    await world.stop();
  });

  it('without a delay, units of a runner that is gone move at once, its row goes, and only they move', async () => {
    const world = await World.with(['r1', 'r2', 'r3']);
    for (const name of ['a', 'b', 'c']) await world.connector(name, 3);
    await world.settle();
    const before = world.targets();
    await world.lose('r2');
    await world.settle(1_000);
    const after = world.targets();
    assert.equal(after.size, before.size);
    for (const [unit, runner] of after) if (before.get(unit) !== runner) assert.equal(before.get(unit), 'r2');
    assert.deepEqual(world.rows(), ['r1', 'r3']);
    await world.stop();
  });

  it('S014: within the delay nothing moves, after it everything of the runner does', async () => {
    const world = await World.with(['r1', 'r2'], { graceMs: 60_000 });
    await world.connector('a', 4);
    await world.settle();
    const before = world.targets();
    await world.lose('r2');
    await world.settle(55_000);
    assert.deepEqual(world.targets(), before);
    await world.settle(10_000);
    assert.deepEqual([...new Set(world.targets().values())], ['r1']);
    assert.deepEqual(world.rows(), ['r1']);
    assert.deepEqual(world.store.peek(world.keys.absences), []);
    await world.stop();
  });

  it('S015: a runner that returns within the delay finds its units, and its absence is forgotten', async () => {
    const world = await World.with(['r1', 'r2'], { graceMs: 60_000 });
    await world.connector('a', 4);
    await world.settle();
    const before = world.targets();
    await world.lose('r2');
    await world.settle(30_000);
    await world.runner('r2');
    await world.settle(120_000);
    assert.deepEqual(world.targets(), before);
    assert.deepEqual(world.store.peek(world.keys.absences), []);
    await world.stop();
  });

  it('S002: after an outage of the store the first runner that is back is not given what the others had; those that stay away lose it', async () => {
    let troubledAtMs = Number.NEGATIVE_INFINITY;
    const world = await World.with(['r1', 'r2', 'r3'], { storeTroubledAtMs: () => troubledAtMs });
    for (const name of ['a', 'b']) await world.connector(name, 3);
    await world.settle();
    const before = world.targets();
    for (const id of ['r1', 'r2', 'r3']) await world.lose(id);
    troubledAtMs = world.clock.monotonic();
    await world.runner('r1');
    await world.settle(1_000);
    assert.deepEqual(world.targets(), before);
    await world.runner('r2');
    await world.settle(3_000);
    assert.deepEqual(world.targets(), before);
    await world.settle(10_000);
    for (const [unit, at] of world.targets()) assert.equal(at, before.get(unit) === 'r3' ? at : before.get(unit));
    assert.deepEqual([...new Set(world.targets().values())].sort(), ['r1', 'r2']);
    await world.settle(30_000);
    await world.lose('r2');
    await world.settle(1_000);
    assert.deepEqual([...new Set(world.targets().values())], ['r1'], 'without trouble nobody is waited for');
    await world.stop();
  });

  it('S016: when the leader dies another takes over and moves nothing; a delay goes on over it', async () => {
    const world = await World.with(['r1', 'r2'], { graceMs: 60_000 });
    for (const name of ['a', 'b']) await world.connector(name, 3);
    await world.settle();
    const before = world.targets();
    await world.lose('r2');
    await world.settle(20_000);
    const [first] = world.schedulers;
    const second = await world.scheduler('s2', { graceMs: 60_000 });
    world.store.client('s1').partition();
    await world.settle(20_000);
    assert.equal(world.leader(), 's2');
    assert.deepEqual(world.targets(), before);
    await world.settle(15_000);
    assert.deepEqual(world.targets(), before);
    await world.settle(15_000);
    assert.deepEqual([...new Set(world.targets().values())], ['r1']);
    assert.notEqual(first, second);
    await world.stop();
  });

  it('a deposed leader that thaws writes nothing: its writes compare the leader key', async () => {
    const world = await World.with(['r1', 'r2']);
    await world.connector('a', 2);
    await world.settle();
    const writesOf = new Set<string>();
    let holdMs = 0;
    world.store.faults = ({ client, txn }) => {
      if (txn?.then.some((operation) => operation.op === 'put' && operation.key.includes('/targets/')) !== true) return undefined;
      writesOf.add(client);
      return client === 's1' ? { delayMs: holdMs } : undefined;
    };
    holdMs = 40_000;
    await world.connector('b', 2);
    await world.clock.advance(1_000);
    assert.ok(writesOf.has('s1'));
    await world.scheduler('s2');
    await world.store.client('s1').deafenWatches();
    for (const kv of world.store.peek({ start: world.keys.leader, end: `${world.keys.leader}\0` })) world.store.expireLease(kv.leaseId);
    await world.settle(5_000);
    assert.equal(world.leader(), 's2');
    await world.connector('c', 2);
    await world.settle(5_000);
    const settled = world.targets();
    await world.settle(60_000);
    assert.deepEqual(world.targets(), settled);
    assert.equal(settled.size, 9);
    await world.stop();
  });

  it('a leader that was deposed while its write was on its way does not write', async () => {
    const world = await World.with(['r1', 'r2']);
    world.store.faults = ({ client, txn }) => (client === 's1' && writesTargets(txn) ? { delayMs: 5_000 } : undefined);
    await world.connector('a', 2);
    await world.clock.advance(1_000);
    for (const kv of world.store.peek({ start: world.keys.leader, end: `${world.keys.leader}\0` })) world.store.expireLease(kv.leaseId);
    await world.put(world.keys.leader, '{"scheduler":"another"}');
    await world.settle(20_000);
    assert.deepEqual(world.rows(), []);
    await world.stop();
  });

  it('a row that another changed meanwhile is read again, not overwritten', async () => {
    const world = await World.with(['r1']);
    await world.connector('a', 2);
    await world.settle();
    const foreign = JSON.stringify(StoredTarget.toJSON({ units: { 'tasks/foreign/0': '' } }));
    world.beforeTargets(() => world.store.txn({ compare: [], then: [{ op: 'put', key: world.keys.target('r1'), value: foreign }] }));
    await world.connector('b', 1);
    await world.clock.advance(60);
    assert.deepEqual([...world.targets().keys()], ['tasks/foreign/0']);
    await world.settle();
    assert.equal(world.targets().size, 5);
    assert.equal(world.targets().has('tasks/foreign/0'), false);
    await world.stop();
  });

  it('a runner that registers again at the last moment keeps its row', async () => {
    const world = await World.with(['r1', 'r2']);
    await world.connector('a', 3);
    await world.settle();
    const before = world.targets();
    world.beforeTargets(() => world.registerAt('r2'));
    await world.lose('r2');
    await world.settle(5_000);
    assert.deepEqual(world.targets(), before);
    await world.stop();
  });

  it('does not decide from targets that are older than its own last write', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const world = await World.with(['r1']);
      world.store.client('s1').watchDelayMs = 1_000;
      await world.connector(name, 0);
      await world.clock.advance(60);
      await world.runner('r2');
      await world.settle(10_000);
      assert.equal(world.targets().size, 1);
      await world.stop();
    }
  });

  it('a drained runner gives everything away and gets it back when the drain is undone', async () => {
    const world = await World.with(['r1', 'r2']);
    await world.connector('a', 3);
    await world.settle();
    world.runnersFollow();
    await world.drain('r1');
    await world.settle();
    assert.deepEqual([...new Set(world.targets().values())], ['r2']);
    await world.undrain('r1');
    await world.settle(10_000);
    assert.equal(world.counts().get('r1'), 2);
    await world.stop();
  });

  it('leaves out what cannot be read, and what no runner can run, and schedules the rest', async () => {
    const world = await World.with(['r1']);
    await world.put(world.keys.spec('broken'), 'no json');
    await world.connector('a', 1);
    await world.connector('nobody', 1, TargetState.RUNNING, 'NoSuchPlugin');
    await world.settle();
    assert.deepEqual([...world.targets().keys()].sort(), ['connectors/a', 'tasks/a/0']);
    await world.stop();
  });

  it('waits for quiet, but not for ever', async () => {
    const world = await World.with(['r1']);
    await world.settle();
    await world.connector('a', 1);
    let writtenAfter = 0;
    for (let ms = 0; ms < 2_000 && writtenAfter === 0; ms += 20) {
      await world.connector(`n${ms}`, 0);
      await world.clock.advance(20);
      if (world.targets().has('tasks/a/0')) writtenAfter = ms + 20;
    }
    assert.ok(writtenAfter >= 200 && writtenAfter <= 600, `${writtenAfter} ms`);
    await world.stop();
  });

  it('survives a store that refuses, loses and delays', async () => {
    const world = await World.with(['r1', 'r2', 'r3']);
    let seed = 1;
    world.store.faults = ({ client, txn }) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      if (client !== 's1' || txn === undefined) return undefined;
      const outcomes = ['unavailable', 'unknownApplied', 'unknownNotApplied', 'unknownAppliedLater'] as const;
      const outcome = outcomes[(seed >>> 8) % 8];
      return outcome === undefined ? undefined : { outcome, laterMs: 700 };
    };
    for (let i = 0; i < 12; i++) {
      await world.connector(`c${i}`, 3);
      await world.clock.advance(300);
      if (i === 5) await world.lose('r2');
      if (i === 9) await world.runner('r2');
    }
    world.store.faults = undefined;
    world.runnersFollow();
    await world.settle(60_000);
    const counts = world.counts();
    assert.equal(world.targets().size, 48);
    assert.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 1, `${[...counts]}`);
    await world.stop();
  });

  it('places hundreds of connectors in transactions that the store takes', async () => {
    const world = await World.with(Array.from({ length: 130 }, (_, i) => `r${i}`));
    for (let i = 0; i < 300; i++) await world.connector(`connector-${i}`, 4);
    await world.settle(100);
    assert.equal(world.targets().size, 1_500);
    for (let i = 0; i < 40; i++) await world.lose(`r${i}`);
    await world.settle(200);
    assert.equal(world.targets().size, 1_500);
    assert.equal(world.rows().length, 90);
    await world.stop();
  });

  it('tells who runs what: runners, units, the leader', async () => {
    const world = await World.with(['r1']);
    await world.connector('a', 1);
    await world.drain('r1');
    await world.settle();
    await world.undrain('r1');
    await world.settle();
    await world.ownAll();
    const token = await world.revisionOf('tasks/a/0');
    const status = { ...StoredStatus.create(), state: UnitState.RUNNING, token };
    await world.put(world.keys.status({ connector: 'a', task: 0 }), JSON.stringify(StoredStatus.toJSON(status)));
    await world.put(world.keys.status({ connector: 'a' }), JSON.stringify(StoredStatus.toJSON({ ...status, token: 1n })));
    const { runners, leader } = await world.cluster().listRunners({}, world.call);
    assert.equal(leader, 's1');
    assert.deepEqual(
      runners.map(({ id, draining, ownedUnits, targetUnits }) => ({ id, draining, ownedUnits, targetUnits })),
      [{ id: 'r1', draining: false, ownedUnits: 2, targetUnits: 2 }],
    );
    const { units } = await world.cluster().listUnits({ connector: 'a' }, world.call);
    assert.deepEqual(
      units.map(({ id, task, targetRunner, ownerRunner, state }) => [id, task, targetRunner, ownerRunner, state]),
      [
        ['connectors/a', -1, 'r1', 'r1', UnitState.UNASSIGNED],
        ['tasks/a/0', 0, 'r1', 'r1', UnitState.RUNNING],
      ],
    );
    await world.stop();
  });
});
