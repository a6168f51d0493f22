import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Placement,
  type PlacementInput,
  type PlacementRunner,
  type PlacementUnit,
  place,
  placementWishes,
  verdicts,
} from './index.ts';

const file = { name: 'FileStreamSource', version: '1.0.0', aliases: ['org.apache.kafka.connect.file.FileStreamSourceConnector'] };

function runner(id: string, over: Partial<PlacementRunner> = {}): PlacementRunner {
  return { id, zone: '', labels: {}, capacity: 0, draining: false, plugins: [file], ...over };
}

function runners(count: number, over: Partial<PlacementRunner> = {}): PlacementRunner[] {
  return Array.from({ length: count }, (_, i) => runner(`r${i}`, over));
}

function connector(name: string, tasks: number, over: Partial<PlacementUnit> = {}): PlacementUnit[] {
  const base = { connector: name, weight: 1, plugin: file.name, pluginVersion: '', ...over };
  return [
    { ...base, id: `connectors/${name}`, kind: 'connector' },
    ...Array.from({ length: tasks }, (_, i): PlacementUnit => ({ ...base, id: `tasks/${name}/${i}`, kind: 'task' })),
  ];
}

function input(units: readonly PlacementUnit[], on: readonly PlacementRunner[], over: Partial<PlacementInput> = {}): PlacementInput {
  return { units, runners: on, missing: new Set(), previous: new Map(), owners: new Map(), ...over };
}

/** Places again and again, every move having ended before the next round, until nothing changes. */
function settle(given: PlacementInput): { placement: Placement; rounds: number } {
  let placement: Placement = place(given);
  for (let rounds = 1; rounds < 1_000; rounds++) {
    const next = place({ ...given, previous: placement, owners: placement });
    if (same(next, placement)) return { placement, rounds };
    placement = next;
  }
  throw new Error('no fixpoint within 1,000 rounds');
}

function same(a: Placement, b: Placement): boolean {
  return a.size === b.size && [...a].every(([unit, at]) => b.get(unit) === at);
}

function moved(before: Placement, after: Placement): string[] {
  return [...after].filter(([unit, at]) => before.has(unit) && before.get(unit) !== at).map(([unit]) => unit);
}

function spread(placement: Placement, on: readonly PlacementRunner[], kind: string): number {
  const counts = new Map(on.map((r) => [r.id, 0]));
  for (const [unit, at] of placement) if (unit.startsWith(kind)) counts.set(at, (counts.get(at) ?? 0) + 1);
  return counts.size === 0 ? 0 : Math.max(...counts.values()) - Math.min(...counts.values());
}

function countsOf(placement: Placement, kind: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [unit, at] of placement) if (unit.startsWith(kind)) counts[at] = (counts[at] ?? 0) + 1;
  return counts;
}

function assertBalanced(placement: Placement, on: readonly PlacementRunner[]): void {
  for (const kind of ['tasks/', 'connectors/', '']) assert.ok(spread(placement, on, kind) <= 1, `spread of '${kind}' in ${[...placement]}`);
}

describe('place', () => {
  const names = ['a', 'b', 'c', 'd'];
  const fourByFour = names.flatMap((name) => connector(name, 4));

  it('S005: after one of four connectors of four tasks is deleted the rest is unique and balanced', () => {
    const on = runners(3);
    const before = settle(input(fourByFour, on)).placement;
    const without = fourByFour.filter((unit) => unit.connector !== 'b');
    const { placement } = settle(input(without, on, { previous: before, owners: before }));
    assert.equal(placement.size, 15);
    assertBalanced(placement, on);
  });

  it('S006: an added runner gets its share, and nothing moves between the others', () => {
    const before = settle(input(fourByFour, runners(3))).placement;
    const { placement } = settle(input(fourByFour, runners(4), { previous: before, owners: before }));
    assertBalanced(placement, runners(4));
    for (const unit of moved(before, placement)) assert.equal(placement.get(unit), 'r3');
  });

  it('S009: a second runner takes the surplus of the first, and a further round changes nothing', () => {
    const units = [...connector('a', 4), ...connector('b', 4)];
    const before = settle(input(units, runners(1))).placement;
    const { placement } = settle(input(units, runners(2), { previous: before, owners: before }));
    assert.deepEqual(countsOf(placement, 'connectors/'), { r0: 1, r1: 1 });
    assert.deepEqual(countsOf(placement, 'tasks/'), { r0: 4, r1: 4 });
    assert.equal(moved(before, placement).length, 5);
    assert.ok(same(place(input(units, runners(2), { previous: placement, owners: placement })), placement));
  });

  it('S014: while a runner is missing within its delay nothing moves; after it, all is on the survivor', () => {
    const on = runners(2);
    const before = settle(input(fourByFour, on)).placement;
    const survivor = on.slice(0, 1);
    const owners = new Map([...before].filter(([, at]) => at === 'r0'));
    const within = place(input(fourByFour, survivor, { previous: before, owners, missing: new Set(['r1']) }));
    assert.ok(same(within, before));
    const after = place(input(fourByFour, survivor, { previous: within, owners }));
    assert.deepEqual(countsOf(after, ''), { r0: 20 });
  });

  it('S013: a runner that joins within the delay gets only what is unplaced', () => {
    const before = settle(input(fourByFour, runners(2))).placement;
    const on = [runner('r0'), runner('r9')];
    const within = place(input([...fourByFour, ...connector('e', 1)], on, { previous: before, missing: new Set(['r1']) }));
    assert.deepEqual(moved(before, within), []);
    assert.deepEqual(countsOf(within, '').r9, 2);
  });

  it('S015: a runner that returns within the delay gets its own units back and none moves', () => {
    const on = runners(3);
    const before = settle(input(fourByFour, on)).placement;
    const within = place(input(fourByFour, on.slice(0, 2), { previous: before, missing: new Set(['r2']) }));
    const back = place(input(fourByFour, on, { previous: within }));
    assert.ok(same(back, before));
  });

  it('S016: a new leader that knows the targets alone, or the owners alone, moves nothing', () => {
    const on = runners(3);
    const found = settle(input(fourByFour, on)).placement;
    const turned = new Map([
      ['r0', 'r1'],
      ['r1', 'r2'],
      ['r2', 'r0'],
    ]);
    const before = new Map([...found].map(([unit, at]) => [unit, turned.get(at) ?? at]));
    assert.ok(same(place(input(fourByFour, on, { previous: before })), before));
    assert.ok(same(place(input(fourByFour, on, { owners: before })), before));
  });

  it('S018: the units of a deleted connector vanish and the others stay in place', () => {
    const on = runners(4);
    const before = settle(input(fourByFour, on)).placement;
    const left = fourByFour.filter((unit) => unit.connector !== 'c');
    const after = place(input(left, on, { previous: before, owners: before }));
    assert.deepEqual([...after.keys()].sort(), left.map((unit) => unit.id).sort());
    assert.ok(moved(before, after).length <= 3);
  });

  it('S019: new units go to the least loaded, whether the rest is balanced or not', () => {
    const units = [...connector('a', 6), ...connector('b', 2)];
    const previous = new Map(units.filter((unit) => unit.connector === 'a').map((unit) => [unit.id, 'r0']));
    const placement = place(input(units, runners(3), { previous, owners: previous, maxMoves: 0.0001 }));
    assert.notEqual(placement.get('tasks/b/0'), 'r0');
    assert.notEqual(placement.get('tasks/b/1'), 'r0');
    assert.notEqual(placement.get('tasks/b/0'), placement.get('tasks/b/1'));
  });

  it('needs plugin, pinned version and labels; a unit that nobody may run is left out', () => {
    const on = [
      runner('old', { plugins: [{ ...file, version: '0.9.0' }] }),
      runner('new', { labels: { disk: 'ssd' } }),
      runner('none', { plugins: [] }),
    ];
    const units = [
      ...connector('pinned', 4, { pluginVersion: '0.9.0' }),
      ...connector('ssd', 1, { selector: { disk: 'ssd' } }),
      ...connector('alias', 0, { plugin: file.aliases[0] ?? '', selector: { disk: 'ssd' } }),
      ...connector('nowhere', 1, { plugin: 'NoSuch' }),
    ];
    const placement = place(input(units, on));
    for (let task = 0; task < 4; task++) assert.equal(placement.get(`tasks/pinned/${task}`), 'old');
    assert.equal(placement.get('tasks/ssd/0'), 'new');
    assert.equal(placement.get('connectors/alias'), 'new');
    assert.equal(placement.has('tasks/nowhere/0'), false);
  });

  it('a draining runner gives everything away at once, and a full one takes no more', () => {
    const units = connector('a', 5);
    const before = settle(input(units, runners(2))).placement;
    const drained = place(input(units, [runner('r0', { draining: true }), runner('r1')], { previous: before, owners: before }));
    assert.deepEqual(countsOf(drained, ''), { r1: 6 });
    const full = place(input(units, [runner('r0', { capacity: 2 }), runner('r1', { capacity: 3 })]));
    assert.deepEqual(countsOf(full, ''), { r0: 2, r1: 3 });
  });

  it('a heavy task counts as several, for balance and for capacity', () => {
    const units = [...connector('heavy', 1, { weight: 4 }), ...connector('light', 4)].filter((unit) => unit.kind === 'task');
    const placement = place(input(units, runners(2)));
    for (let task = 0; task < 4; task++) assert.notEqual(placement.get(`tasks/light/${task}`), placement.get('tasks/heavy/0'));
    const small = place(input(units, [runner('r0', { capacity: 3 }), runner('r1', { capacity: 3 })]));
    assert.equal(small.has('tasks/heavy/0'), false);
    assert.equal(small.size, 4);
  });

  it('puts no more tasks of a connector on a runner than it allows, and takes away those beyond', () => {
    const units = [...connector('a', 5, { tasksPerRunnerMax: 2 }), ...connector('b', 5)];
    const tasksOfA = units.filter(({ id }) => id.startsWith('tasks/a/'));
    const placement = place(input(units, runners(2)));
    assert.deepEqual(countsOf(placement, 'tasks/a/'), { r0: 2, r1: 2 });
    const crowded = new Map(tasksOfA.map((unit) => [unit.id, 'r0']));
    const { placement: settled } = settle(input(units, runners(3), { previous: crowded, owners: crowded }));
    assert.equal(Math.max(...Object.values(countsOf(settled, 'tasks/a/'))), 2);
    assert.equal(settled.size, units.length);
  });

  it('reads what a connector wishes from its configuration, and takes nonsense for not said', () => {
    const wishes = placementWishes({
      'placement.labels': 'disk=ssd, odd,=x,eq=a=b',
      'placement.weight': ' 3 ',
      'placement.tasks.per.runner.max': '-1',
    });
    assert.deepEqual(wishes, { selector: { disk: 'ssd', eq: 'a=b' }, weight: 3, tasksPerRunnerMax: 0 });
    assert.deepEqual(placementWishes({ 'placement.weight': 'x' }), { selector: {}, weight: 1, tasksPerRunnerMax: 0 });
  });

  it('says of every runner why it may not run a unit', () => {
    const on = [
      runner('able'),
      runner('draining', { draining: true }),
      runner('full', { capacity: 1 }),
      runner('old', { plugins: [{ ...file, version: '0.9.0' }] }),
      runner('other', { plugins: [] }),
      runner('slow', { labels: { disk: 'hdd' } }),
    ];
    const able = on.map((one) => ({ ...one, labels: { disk: 'ssd', ...one.labels } }));
    const units = connector('a', 4, { pluginVersion: '1.0.0', selector: { disk: 'ssd' }, tasksPerRunnerMax: 1 });
    const [, , second] = units;
    assert.ok(second !== undefined);
    const placement = new Map([
      ['tasks/a/0', 'able'],
      ['tasks/a/2', 'full'],
    ]);
    const found = verdicts({ units, runners: able }, placement, second);
    assert.deepEqual(
      found.map(({ runner: id, load, siblings, obstacle }) => [id, load, siblings, obstacle?.kind]),
      [
        ['able', 1, 1, 'siblings'],
        ['draining', 0, 0, 'draining'],
        ['full', 1, 1, 'full'],
        ['old', 0, 0, 'version'],
        ['other', 0, 0, 'plugin'],
        ['slow', 0, 0, 'label'],
      ],
    );
  });

  it('keeps tasks of one connector apart by runner, then by zone', () => {
    const on = ['x', 'y'].flatMap((zone) => [0, 1].map((i) => runner(`${zone}${i}`, { zone })));
    const placement = place(input(connector('a', 2), on));
    const zones = [0, 1].map((task) => placement.get(`tasks/a/${task}`)?.[0]);
    assert.notEqual(zones[0], zones[1]);
    assert.equal(new Set([0, 1, 2, 3].map((task) => settle(input(connector('b', 4), on)).placement.get(`tasks/b/${task}`))).size, 4);
  });

  it('moves at most a fifth of the units in a round, counts moves under way and does not move those again', () => {
    const units = connector('a', 19);
    const before = settle(input(units, runners(1))).placement;
    const first = place(input(units, runners(2), { previous: before, owners: before }));
    assert.equal(moved(before, first).length, 4);
    const while4MoveStill = place(input(units, runners(2), { previous: first, owners: before }));
    assert.ok(same(while4MoveStill, first));
  });

  it('a unit that is moving is not moved again, also not to a runner that has joined since', () => {
    const units = connector('a', 19);
    const before = settle(input(units, runners(1))).placement;
    const first = place(input(units, runners(2), { previous: before, owners: before, maxMoves: 1 }));
    assert.deepEqual(countsOf(first, ''), { r0: 10, r1: 10 });
    const second = place(input(units, runners(3), { previous: first, owners: before, maxMoves: 1 }));
    const again = moved(first, second);
    assert.ok(again.length > 0);
    for (const unit of again) assert.deepEqual([first.get(unit), second.get(unit)], ['r0', 'r2']);
  });

  it('among equals, a new task goes where no sibling is, then to a zone without', () => {
    for (let i = 0; i < 20; i++) {
      const units = [...connector(`a${i}`, 2), ...connector(`b${i}`, 2)].filter((unit) => unit.kind === 'task');
      const previous = new Map([
        [`tasks/a${i}/0`, 'r0'],
        [`tasks/b${i}/0`, 'r1'],
      ]);
      const placement = place(input(units, runners(2, { zone: 'x' }), { previous }));
      assert.equal(placement.get(`tasks/a${i}/1`), 'r1');
      const zoned = [runner('r0', { zone: 'x' }), runner('r1', { zone: 'x' }), runner('r2', { zone: 'y' })];
      const one = connector(`a${i}`, 2).filter((unit) => unit.kind === 'task');
      const other = place(input(one, zoned, { previous: new Map([[`tasks/a${i}/0`, 'r0']]) }));
      assert.equal(other.get(`tasks/a${i}/1`), 'r2');
    }
  });

  it('among equals, the task moves that has siblings where it is, then in its zone', () => {
    for (let i = 0; i < 20; i++) {
      const tasks = (name: string, count: number) => connector(`${name}${i}`, count).filter((unit) => unit.kind === 'task');
      const units = [...tasks('a', 2), ...tasks('b', 1), ...tasks('c', 1)];
      const crowded = new Map(units.map((unit) => [unit.id, 'r0']));
      const spread = place(input(units, runners(2, { zone: 'x' }), { previous: crowded, maxMoves: 0.25 }));
      assert.deepEqual(
        moved(crowded, spread).map((unit) => unit.split('/')[1]),
        [`a${i}`],
      );
      const zoned = [runner('r0', { zone: 'x' }), runner('r1', { zone: 'x' }), runner('r2', { zone: 'y' })];
      const previous = new Map([
        ...[...tasks('a', 1), ...tasks('b', 1)].map((unit): [string, string] => [unit.id, 'r0']),
        [`tasks/a${i}/1`, 'r1'],
      ]);
      const some = [...tasks('a', 2), ...tasks('b', 1)];
      const apart = place(input(some, zoned, { previous, maxMoves: 0.25 }));
      assert.equal(apart.get(`tasks/a${i}/0`), 'r2');
    }
  });

  describe('properties', () => {
    const world = fc.record({
      tasks: fc.array(fc.nat(6), { maxLength: 8 }),
      runners: fc.integer({ min: 1, max: 6 }),
      zones: fc.integer({ min: 1, max: 3 }),
    });
    const build = (w: { tasks: readonly number[]; runners: number; zones: number }) => ({
      units: w.tasks.flatMap((tasks, i) => connector(`c${i}`, tasks)),
      on: Array.from({ length: w.runners }, (_, i) => runner(`r${i}`, { zone: `z${i % w.zones}` })),
    });
    const anyPlace = (units: readonly PlacementUnit[], seed: readonly number[], count: number): Map<string, string> =>
      new Map(
        units.flatMap((unit, i) => (seed[i % seed.length] === 0 ? [] : [[unit.id, `r${(seed[i % seed.length] ?? 0) % (count + 2)}`]])),
      );

    it('is total, deterministic, independent of the order of its input, and reaches a fixpoint that it keeps, from any past', () => {
      const arbitrary = fc.record({
        world,
        previous: fc.array(fc.nat(9), { minLength: 1 }),
        owners: fc.array(fc.nat(9), { minLength: 1 }),
        weights: fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 1 }),
        capacity: fc.constantFrom(0, 0, 4, 30),
        drains: fc.array(fc.boolean(), { minLength: 1 }),
        labels: fc.array(fc.constantFrom('', 'a', 'b'), { minLength: 1 }),
        apart: fc.constantFrom(0, 0, 1, 2),
        missing: fc.subarray(['r0', 'r6', 'r7']),
      });
      fc.assert(
        fc.property(arbitrary, (w) => {
          const { units: plain, on: all } = build(w.world);
          const units = plain.map((unit, i): PlacementUnit => {
            const label = w.labels[i % w.labels.length] ?? '';
            const selector = label === '' ? {} : { label };
            return { ...unit, weight: w.weights[i % w.weights.length] ?? 1, selector, tasksPerRunnerMax: w.apart };
          });
          const on = all.map((r, i) => {
            const label = w.labels[(i + 1) % w.labels.length] ?? '';
            return { ...r, capacity: w.capacity, draining: w.drains[i % w.drains.length] ?? false, labels: { label } };
          });
          const live = new Set(on.map((r) => r.id));
          const given = input(units, on, {
            previous: anyPlace(units, w.previous, on.length),
            owners: new Map([...anyPlace(units, w.owners, on.length)].filter(([, at]) => live.has(at))),
            missing: new Set(w.missing.filter((id) => !live.has(id))),
          });
          const placement = place(given);
          const reversed = { ...given, units: [...units].reverse(), runners: [...on].reverse() };
          assert.ok(same(place(reversed), placement));
          assert.ok(same(place(given), placement));
          const usable = on.filter((r) => !r.draining);
          for (const unit of units) {
            const may = usable.filter((r) => Object.entries(unit.selector ?? {}).every(([k, v]) => r.labels[k as 'label'] === v));
            const at = placement.get(unit.id);
            if (at !== undefined) assert.ok(may.some((r) => r.id === at) || given.missing.has(at));
            else assert.ok(may.length === 0 || w.capacity > 0 || w.apart > 0, `${unit.id} is left out`);
          }
          settle({ ...given, missing: new Set() });
        }),
        { numRuns: 200 },
      );
    });

    it('unconstrained, the fixpoint has a spread of at most 1 in tasks, connectors and all, from any past', () => {
      fc.assert(
        fc.property(world, fc.array(fc.nat(9), { minLength: 1 }), (w, seed) => {
          const { units, on } = build(w);
          assertBalanced(settle(input(units, on, { previous: anyPlace(units, seed, on.length) })).placement, on);
        }),
        { numRuns: 300 },
      );
    });

    it('with weights, the spread at the fixpoint is at most the heaviest unit in tasks', () => {
      fc.assert(
        fc.property(world, fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }), (w, weights) => {
          const { units: plain, on } = build(w);
          const units = plain
            .filter((unit) => unit.kind === 'task')
            .map((unit, i): PlacementUnit => ({ ...unit, weight: weights[i % weights.length] ?? 1 }));
          const { placement } = settle(input(units, on));
          const loads = new Map(on.map((r) => [r.id, 0]));
          for (const unit of units) loads.set(placement.get(unit.id) ?? '', (loads.get(placement.get(unit.id) ?? '') ?? 0) + unit.weight);
          const heaviest = Math.max(1, ...units.map((unit) => unit.weight));
          assert.ok(Math.max(...loads.values()) - Math.min(...loads.values()) <= heaviest);
        }),
        { numRuns: 200 },
      );
    });

    it("on one runner's loss only its units move", () => {
      fc.assert(
        fc.property(world, fc.nat(), (w, pick) => {
          const { units, on } = build({ ...w, runners: w.runners + 1 });
          const before = settle(input(units, on)).placement;
          const lost = on[pick % on.length]?.id;
          const left = on.filter((r) => r.id !== lost);
          const { placement } = settle(
            input(units, left, { previous: before, owners: new Map([...before].filter(([, at]) => at !== lost)) }),
          );
          for (const unit of moved(before, placement)) assert.equal(before.get(unit), lost);
          assertBalanced(placement, left);
        }),
        { numRuns: 300 },
      );
    });

    it('an added runner takes only the surplus', () => {
      fc.assert(
        fc.property(world, (w) => {
          const { units, on } = build(w);
          const before = settle(input(units, on)).placement;
          const added = [...on, runner('r9')];
          const { placement } = settle(input(units, added, { previous: before, owners: before }));
          for (const unit of moved(before, placement)) assert.equal(placement.get(unit), 'r9');
          assertBalanced(placement, added);
        }),
        { numRuns: 300 },
      );
    });
  });
});
