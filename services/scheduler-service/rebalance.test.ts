import assert from 'node:assert/strict';
import { SchedulerWorld as World } from '../../test/support/scheduler-world.ts';

const NAMES = ['a', 'b', 'c', 'd'];

describe('rebalancing', () => {
  let world: World;
  afterEach(() => world.stop());

  const fourByFour = async (runners: readonly string[], options = {}): Promise<void> => {
    world = await World.with(runners, options);
    for (const name of NAMES) await world.connector(name, 4);
    await world.settle();
    world.runnersFollow();
    await world.settle(10_000);
  };
  const assertBalanced = (): void => {
    for (const kind of ['connectors/', 'tasks/']) {
      const counts = new Map([...world.counts().keys()].map((id) => [id, 0]));
      for (const [unit, runner] of world.targets()) if (unit.startsWith(kind)) counts.set(runner, (counts.get(runner) ?? 0) + 1);
      assert.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 1, `${kind} ${[...counts]}`);
    }
  };
  const movedFrom = (before: ReadonlyMap<string, string>): string[] =>
    [...world.targets()].filter(([unit, at]) => before.has(unit) && before.get(unit) !== at).map(([unit]) => unit);

  it('S003: what is started after another never moves that one', async () => {
    world = await World.with(['r1', 'r2', 'r3']);
    world.runnersFollow();
    await world.connector('a', 4);
    await world.settle(10_000);
    const before = world.targets();
    await world.connector('b', 3);
    await world.settle(10_000);
    assert.deepEqual(movedFrom(before), []);
    assertBalanced();
  });

  it('S008: two runners leave and later two come: everything is placed once and balanced after each', async () => {
    await fourByFour(['r1', 'r2', 'r3']);
    await world.lose('r2');
    await world.lose('r3');
    await world.settle(10_000);
    assert.equal(world.targets().size, 20);
    assert.deepEqual([...new Set(world.targets().values())], ['r1']);
    await world.runner('r4');
    await world.runner('r5');
    await world.settle(30_000);
    assert.equal(world.targets().size, 20);
    assertBalanced();
  });

  it('S010: a runner that joins while units move to another takes none of these; all ends balanced', async () => {
    world = await World.with(['r1']);
    for (const name of NAMES) await world.connector(name, 4);
    await world.settle();
    await world.ownAll();
    await world.runner('r2');
    await world.settle();
    const moving = new Set([...world.targets()].filter(([, at]) => at === 'r2').map(([unit]) => unit));
    assert.ok(moving.size > 0);
    await world.runner('r3');
    await world.settle(10_000);
    for (const unit of moving) assert.equal(world.targets().get(unit), 'r2');
    world.runnersFollow();
    await world.settle(60_000);
    assertBalanced();
  });

  it('S013: a runner that joins while another is awaited gets what is new only; its share comes when the delay is over', async () => {
    await fourByFour(['r1', 'r2'], { graceMs: 30_000 });
    const before = world.targets();
    await world.lose('r2');
    await world.runner('r3');
    await world.connector('new', 1);
    await world.settle(20_000);
    assert.deepEqual(movedFrom(before), []);
    assert.deepEqual([world.targets().get('tasks/new/0'), world.targets().get('connectors/new')], ['r3', 'r3']);
    await world.settle(60_000);
    assert.equal(world.targets().size, 22);
    assertBalanced();
  });

  it('S020: a runner that leaves again after it was back is awaited anew, for the whole delay', async () => {
    await fourByFour(['r1', 'r2'], { graceMs: 30_000 });
    const before = world.targets();
    await world.lose('r2');
    await world.settle(25_000);
    await world.runner('r2');
    await world.settle(2_000);
    await world.lose('r2');
    await world.settle(25_000);
    assert.deepEqual(movedFrom(before), []);
    await world.settle(10_000);
    assert.deepEqual([...new Set(world.targets().values())], ['r1']);
  });

  it('S020: two empty runners share what a lost one had', async () => {
    await fourByFour(['r1', 'r2']);
    const before = world.targets();
    await world.runner('r3');
    await world.runner('r4');
    await world.lose('r2');
    await world.settle(60_000);
    for (const [unit, at] of world.targets()) if (before.get(unit) === 'r2') assert.notEqual(at, 'r1', unit);
    assertBalanced();
  });

  it('S011, S020: with a delay of 0 what a runner had is placed anew at once', async () => {
    await fourByFour(['r1', 'r2', 'r3']);
    await world.lose('r2');
    await world.settle(1_000);
    assert.deepEqual([...new Set(world.targets().values())].sort(), ['r1', 'r3']);
  });

  it('S021: a unit that stands in two rows ends in one, where it runs', async () => {
    world = await World.with(['r1', 'r2']);
    for (const name of NAMES) await world.connector(name, 4);
    await world.settle();
    await world.ownAll();
    const runsAt = world.targets().get('tasks/a/0') ?? '';
    const other = runsAt === 'r1' ? 'r2' : 'r1';
    await world.addToRow(other, 'tasks/a/0');
    await world.settle(10_000);
    assert.deepEqual(world.rowsOf('tasks/a/0'), [runsAt]);
  });

  it('S021: a unit in two rows, whose connector was deleted meanwhile, vanishes from both', async () => {
    await fourByFour(['r1', 'r2']);
    const at = world.targets().get('tasks/a/0') ?? '';
    await world.addToRow(at === 'r1' ? 'r2' : 'r1', 'tasks/a/0');
    await world.erase(world.keys.spec('a'), world.keys.taskSet('a'));
    await world.settle(10_000);
    assert.deepEqual(world.rowsOf('tasks/a/0'), []);
    assert.equal(world.targets().size, 15);
  });
});
