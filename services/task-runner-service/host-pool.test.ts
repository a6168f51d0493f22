import assert from 'node:assert/strict';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import { quietLogger } from '../../test/support/quiet-logger.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { type Home, type HostedUnit, HostPool, type Placement } from './host-pool.ts';
import { HostedRun } from './hosted-run.ts';
import { Questions } from './questions.ts';

class FakeHost implements TaskHost {
  readonly id: string;
  readonly commands: HostCommand[] = [];
  readonly #listener: TaskHostListener;
  alive = true;
  killable = true;

  constructor(id: string, listener: TaskHostListener) {
    this.id = id;
    this.#listener = listener;
  }

  send(command: HostCommand): void {
    this.commands.push(command);
  }

  kill(): void {
    if (this.killable) this.exit({ reason: 'killed', message: 'killed' });
  }

  say(event: HostEvent): void {
    this.#listener.onEvent(event);
  }

  exit(exit: HostExit): void {
    if (!this.alive) return;
    this.alive = false;
    queueMicrotask(() => this.#listener.onExit(exit));
  }
}

class FakeHosts implements TaskHosts {
  readonly all: FakeHost[] = [];

  open(listener: TaskHostListener): FakeHost {
    const host = new FakeHost(`h${this.all.length}`, listener);
    this.all.push(host);
    return host;
  }

  alive(): string[] {
    return this.all.filter((host) => host.alive).map(({ id }) => id);
  }
}

function given(hostCount = 2) {
  const clock = new VirtualClock();
  const hosts = new FakeHosts();
  const unkillable: string[] = [];
  const loggers = new Loggers('info', () => 0);
  const pool = new HostPool({
    hosts: { thread: hosts },
    clock,
    log: quietLogger,
    loggers,
    hostCount,
    idleMs: 10_000,
    killTimeoutMs: 1000,
    pingTimeoutMs: 1000,
    foreignPlugins: true,
    onSpans: () => undefined,
    onUnkillable: (message) => unkillable.push(message),
  });
  return { clock, hosts, pool, loggers, unkillable };
}

const shared: Home = { kind: 'thread', group: '' };
const deaf: HostedUnit = { onEvent: () => undefined, onFigures: () => undefined, onMove: () => undefined, onGone: () => undefined };
const crash: HostExit = { reason: 'crashed', message: 'boom' };

/** Units that place themselves again when their host goes. */
function placeForEver(pool: HostPool, units: readonly string[]): { culprits: string[]; moved: string[] } {
  const culprits: string[] = [];
  const moved: string[] = [];
  const place = (unit: string): void => {
    pool.place(unit, 1, shared, {
      ...deaf,
      onGone: (_exit, culprit) => {
        (culprit === null ? moved : culprits).push(unit);
        place(unit);
      },
    });
  };
  for (const unit of units) place(unit);
  return { culprits, moved };
}

describe('the host pool', () => {
  it('tells every host the levels of loggers, when it opens and when they change', () => {
    const { hosts, pool, loggers } = given();
    const told = (host: number) =>
      hosts.all[host]?.commands.flatMap((command) => (command.type === 'setLogLevels' ? [command.levels] : []));
    pool.place('a', 1, shared, deaf);
    loggers.set('connectors.a', 'debug');
    pool.place('b', 1, shared, deaf);
    assert.deepEqual(told(0), [{ root: 'info', 'connectors.a': 'debug' }]);
    assert.deepEqual(told(1), [{ root: 'info', 'connectors.a': 'debug' }]);
  });

  it('has hosts ready for units that are about to come, as many as they would get, and ends them when they do not come', async () => {
    const { clock, hosts, pool } = given(3);
    pool.place('a', 1, shared, deaf);
    pool.prepare(shared, 1);
    pool.prepare(shared, 1);
    assert.deepEqual(hosts.alive(), ['h0', 'h1']);
    pool.prepare(shared, 9);
    assert.deepEqual(hosts.alive(), ['h0', 'h1', 'h2']);
    pool.place('b', 1, shared, deaf);
    assert.deepEqual(hosts.alive(), ['h0', 'h1', 'h2'], 'it takes one that is there');
    await clock.advance(10_000);
    assert.deepEqual(hosts.alive(), ['h0', 'h1']);
  });

  it('starts hosts on demand, the least loaded first, never more than its count', () => {
    const { pool } = given();
    pool.place('connector', 0, shared, deaf);
    for (const unit of ['a', 'b', 'c', 'd']) pool.place(unit, 1, shared, deaf);
    assert.deepEqual(
      pool.list().map(({ units }) => units),
      [
        ['connector', 'a', 'c'],
        ['b', 'd'],
      ],
    );
  });

  it('ends a host that has had no unit for a while, and keeps one that gets a unit in time', async () => {
    const { clock, hosts, pool } = given();
    const first = pool.place('a', 1, shared, deaf);
    first.leave();
    await clock.advance(9000);
    const again = pool.place('b', 1, shared, deaf);
    await clock.advance(20_000);
    assert.deepEqual(hosts.alive(), ['h0']);
    again.leave();
    await clock.advance(10_000);
    assert.deepEqual(hosts.alive(), []);
  });

  describe('when a unit is expelled', () => {
    /** A culprit and two neighbours on one host; what they were told. */
    function expelled() {
      const world = given(1);
      const told: string[] = [];
      const placed = new Map<string, Placement>();
      for (const unit of ['bad', 'a', 'b']) {
        placed.set(
          unit,
          world.pool.place(unit, 1, shared, {
            ...deaf,
            onMove: () => told.push(`${unit} is to move`),
            onGone: (_exit, culprit) => told.push(`${unit} is gone: ${culprit?.message}`),
          }),
        );
      }
      placed.get('bad')?.expel('it did not stop');
      const [host, fresh] = world.hosts.all;
      assert.ok(host !== undefined);
      return { ...world, told, placed, host, fresh };
    }
    const leave = (world: ReturnType<typeof expelled>, unit: string): void => {
      world.placed.get(unit)?.leave();
      world.pool.place(unit, 1, shared, deaf);
    };

    it('S052: its neighbours are told to move, and only when they have left is the host killed', async () => {
      const world = expelled();
      assert.deepEqual(world.told, ['a is to move', 'b is to move']);
      assert.deepEqual(world.host.commands, [{ type: 'ping' }]);
      world.host.say({ type: 'pong' });
      leave(world, 'a');
      await world.clock.advance(5000);
      assert.deepEqual(world.hosts.alive(), ['h0', 'h1'], 'who left went to a host that was started for it meanwhile');
      leave(world, 'b');
      await world.clock.settle();
      assert.deepEqual(world.hosts.alive(), ['h1']);
      assert.deepEqual(world.told.slice(2), ['bad is gone: it did not stop']);
      assert.deepEqual(world.pool.list()[0]?.units, ['a', 'b']);
    });

    it('S052: a host that does not answer is killed under its neighbours, and they are not blamed', async () => {
      const { clock, hosts, told } = expelled();
      await clock.advance(999);
      assert.deepEqual(hosts.alive(), ['h0', 'h1']);
      await clock.advance(1);
      assert.deepEqual(told.slice(2), ['bad is gone: it did not stop', 'a is gone: undefined', 'b is gone: undefined']);
    });

    it('a neighbour that does not stop either is a culprit too, and is waited for no longer', async () => {
      const world = expelled();
      world.host.say({ type: 'pong' });
      leave(world, 'a');
      world.placed.get('b')?.expel('nor did it');
      await world.clock.settle();
      assert.deepEqual(world.told.slice(2), ['bad is gone: it did not stop', 'b is gone: nor did it']);
    });

    it('it runs in a host of its own from then on; forgotten, it shares again', async () => {
      const { pool, hosts, clock } = expelled();
      await clock.advance(1000);
      for (const unit of ['bad', 'a', 'b', 'other']) pool.place(unit, 1, shared, deaf);
      const units = () => pool.list().map((host) => host.units);
      assert.deepEqual(units(), [['a', 'b', 'other'], ['bad']]);
      hosts.all[2]?.exit({ reason: 'killed', message: '' });
      await clock.settle();
      pool.forget('bad');
      pool.place('bad', 1, shared, deaf);
      assert.deepEqual(units(), [['a', 'b', 'other', 'bad']]);
    });

    it('alone on its host, it is killed at once', async () => {
      const { clock, hosts, pool } = given(1);
      pool.place('bad', 1, shared, deaf).expel('it hangs');
      await clock.settle();
      assert.deepEqual(hosts.alive(), []);
    });
  });

  describe('what code does where nobody listens', () => {
    const error = { name: 'Error', kind: 'fatal', code: 'UNEXPECTED', message: 'boom' } as const;

    it('S052: counts against the unit whose code it is: its neighbours move, and it is restarted for that reason', async () => {
      const { clock, hosts, pool } = given(1);
      const told: string[] = [];
      const hosted = (unit: string): HostedUnit => ({
        ...deaf,
        onMove: () => told.push(`${unit} is to move`),
        onGone: (_exit, culprit) => told.push(`${unit} is gone: ${culprit?.message}`),
      });
      const bad = pool.place('bad', 1, shared, hosted('bad'));
      const good = pool.place('good', 1, shared, hosted('good'));
      hosts.all[0]?.say({ type: 'culprit', unit: 'bad', error, hasFailed: false });
      assert.deepEqual([bad.accusation, good.accusation], [{ kind: 'host', message: 'UNEXPECTED: boom', counted: true }, null]);
      good.leave();
      await clock.settle();
      assert.deepEqual(told, ['good is to move', 'bad is gone: UNEXPECTED: boom']);
    });

    it('of a task that failed and does not end, is the error that it failed of, of its own kind', async () => {
      const { clock, hosts, pool } = given(1);
      const kinds: (string | undefined)[] = [];
      pool.place('bad', 1, shared, { ...deaf, onGone: (_exit, culprit) => kinds.push(culprit?.kind) });
      hosts.all[0]?.say({ type: 'culprit', unit: 'bad', error: { ...error, kind: 'config' }, hasFailed: true });
      await clock.settle();
      assert.deepEqual(kinds, ['config']);
    });

    it('of a unit that has left the host, ends the host and blames nobody on it', async () => {
      const { clock, hosts, pool } = given(1);
      const { moved, culprits } = placeForEver(pool, ['good']);
      hosts.all[0]?.say({ type: 'culprit', unit: 'gone', error, hasFailed: false });
      await clock.advance(1000);
      assert.deepEqual([moved, culprits], [['good'], []]);
      assert.deepEqual(hosts.alive(), ['h1']);
    });
  });

  it('S052: a host that was blocked in a hook dies of the unit whose hook it was', async () => {
    const { clock, hosts, pool } = given(1);
    const { culprits, moved } = placeForEver(pool, ['a', 'bad', 'c']);
    hosts.all[0]?.exit({ ...crash, unit: 'bad' });
    await clock.settle();
    assert.deepEqual([culprits, moved], [['bad'], ['a', 'c']]);
  });

  it('gives a connector that wants it hosts of its own, as many as it has use for', () => {
    const { pool } = given(2);
    const own = { kind: 'thread', group: 'connectors/c' } as const;
    pool.place('other', 1, shared, deaf);
    pool.place('connectors/c', 0, own, deaf);
    for (const unit of ['c/0', 'c/1', 'c/2']) pool.place(unit, 1, own, deaf);
    assert.deepEqual(
      pool.list().map(({ units }) => units),
      [['other'], ['connectors/c', 'c/0', 'c/2'], ['c/1']],
    );
  });

  it('refuses processes where there are none, and names the key', () => {
    const { pool } = given();
    assert.throws(() => pool.place('a', 1, { kind: 'process', group: 'connectors/c' }, deaf), { field: 'tasks.isolation' });
  });

  it('S142: finds who crashes a shared host by halving, and leaves the others in peace from then on', async () => {
    const { clock, hosts, pool } = given(1);
    const { culprits, moved } = placeForEver(pool, ['a', 'b', 'bad', 'd', 'e', 'f', 'g', 'h']);
    for (let round = 0; round < 8; round++) {
      const host = pool.list().find(({ units }) => units.includes('bad'));
      hosts.all.find(({ id }) => id === host?.id)?.exit(crash);
      await clock.settle();
    }
    assert.deepEqual(new Set(culprits), new Set(['bad']));
    assert.equal(culprits.length, 5); // three rounds to find it: 8, 4, 2, then alone
    assert.ok(moved.length <= 8 + 4 + 2);
    assert.deepEqual(pool.list().find(({ units }) => units.includes('bad'))?.units, ['bad']);
    // Those who were suspected with it are cleared: they share with everybody again when they start anew.
    pool.forget('a');
    const before = pool.list().length;
    pool.place('b', 1, shared, deaf);
    pool.place('c', 1, shared, deaf);
    assert.equal(pool.list().length, before + 1);
  });

  it('takes the process down for a host that does not die', async () => {
    const { clock, hosts, pool, unkillable } = given();
    const placement = pool.place('a', 1, shared, deaf);
    const [host] = hosts.all;
    if (host !== undefined) host.killable = false;
    placement.expel('it hangs');
    await clock.advance(999);
    assert.deepEqual(unkillable, []);
    await clock.advance(1);
    assert.match(unkillable[0] ?? '', /h0 did not end within 1000 ms/);
  });

  it('has ended every host, and told no unit, when all are killed (invariant 6)', async () => {
    const { hosts, pool } = given();
    const { culprits, moved } = placeForEver(pool, ['a', 'b', 'c']);
    await pool.killAll();
    assert.deepEqual(hosts.alive(), []);
    assert.deepEqual([...culprits, ...moved], []);
    await pool.killAll();
  });
});

describe('a question to plugin code', () => {
  const question = { ask: 'describe', plugin: 'Hanging', version: '' } as const;
  const started = () => {
    const world = given();
    return { ...world, questions: new Questions(world.pool, world.clock, 2) };
  };

  it('S052: that gets no answer costs its own host only, and names what was asked', async () => {
    const { clock, hosts, pool, questions } = started();
    pool.place('a', 1, shared, deaf);
    const answer = questions.ask(question, { timeoutMs: 5000 });
    const refused = assert.rejects(answer, /describe of Hanging took longer than 5000 ms/);
    await clock.advance(5000);
    await refused;
    assert.deepEqual(hosts.alive(), ['h0']);
    assert.deepEqual(pool.list()[0]?.units, ['a']);
  });

  it('S052: does not wait long for another that hangs', async () => {
    const { clock, hosts, questions } = started();
    void questions.ask(question, { timeoutMs: 5000 }).catch(() => undefined);
    const answer = questions.ask({ ask: 'catalogue' }, { timeoutMs: 5000 });
    await clock.advance(300);
    const asked = hosts.all[1]?.commands[0];
    assert.ok(asked?.type === 'ask');
    hosts.all[1]?.say({ type: 'answer', id: asked.id, result: { ask: 'catalogue', plugins: [], broken: [] } });
    assert.deepEqual((await answer).plugins, []);
  });

  it('waits a moment for the host of another instead of having one started', async () => {
    const { clock, hosts, questions } = started();
    const first = questions.ask({ ask: 'catalogue' }, { timeoutMs: 5000 });
    const second = questions.ask({ ask: 'catalogue' }, { timeoutMs: 5000 });
    await clock.advance(100);
    const result = { ask: 'catalogue', plugins: [], broken: [] } as const;
    hosts.all[0]?.say({ type: 'answer', id: 1, result });
    await first;
    await clock.settle();
    hosts.all[0]?.say({ type: 'answer', id: 2, result });
    assert.deepEqual((await second).plugins, []);
    assert.equal(hosts.all.length, 1);
  });

  it('S052: that hangs is no reason for others to wait: as many again are asked after a second', async () => {
    const { clock, hosts, questions } = started();
    for (let i = 0; i < 2; i++) void questions.ask(question, { timeoutMs: 60_000 }).catch(() => undefined);
    await clock.advance(300);
    const answer = questions.ask({ ask: 'catalogue' }, { timeoutMs: 5000 });
    await clock.advance(500);
    assert.equal(hosts.all.length, 2);
    await clock.advance(700);
    hosts.all[2]?.say({ type: 'answer', id: 3, result: { ask: 'catalogue', plugins: [], broken: [] } });
    assert.deepEqual((await answer).plugins, []);
  });

  it('S052: that runs code of a plugin leaves a host that no unit is placed on', async () => {
    const { hosts, pool, questions } = started();
    const validate = { ask: 'alterOffsets', connectorConfig: {}, offsets: [] } as const;
    const answer = questions.ask(validate, { timeoutMs: 5000 });
    hosts.all[0]?.say({ type: 'answer', id: 1, result: { ask: 'alterOffsets' } });
    await answer;
    pool.place('a', 1, shared, deaf);
    assert.deepEqual(
      pool.list().map(({ units }) => units),
      [[], ['a']],
    );
  });

  it('that needs no plugin code is asked again when units took its host with them', async () => {
    const { clock, hosts, pool, questions } = started();
    pool.place('a', 1, shared, deaf);
    const answer = questions.ask({ ask: 'catalogue' }, { timeoutMs: 5000, sharing: true });
    await clock.settle();
    hosts.all[0]?.exit(crash);
    await clock.settle();
    hosts.all[1]?.say({ type: 'answer', id: 2, result: { ask: 'catalogue', plugins: [], broken: [] } });
    assert.deepEqual((await answer).plugins, []);
  });

  it('that needs no plugin code is asked where units run, and never costs that host', async () => {
    const { clock, hosts, pool, questions } = started();
    pool.place('a', 1, shared, deaf);
    const refused = assert.rejects(questions.ask(question, { timeoutMs: 5000, sharing: true }), /took longer than 5000 ms/);
    pool.place('b', 0, shared, deaf);
    await clock.advance(5000);
    await refused;
    assert.deepEqual(hosts.alive(), ['h0']);
    assert.deepEqual(pool.list()[0]?.units, ['a', 'b']);
  });

  it('is answered with the plugin’s error, and with the crash of its host', async () => {
    const { hosts, questions } = started();
    const failing = questions.ask(question, { timeoutMs: 5000 });
    hosts.all[0]?.say({
      type: 'answer',
      id: 1,
      result: null,
      error: { name: 'ConfigError', kind: 'config', code: 'X', message: 'no such plugin' },
    });
    await assert.rejects(failing, { kind: 'config', code: 'X', message: 'no such plugin' });
    const crashing = questions.ask(question, { timeoutMs: 5000 });
    hosts.all[0]?.exit(crash);
    await assert.rejects(crashing, /describe of Hanging ended its host: boom/);
  });

  it('reuses a warm host, which then takes the first unit', async () => {
    const { hosts, pool, questions } = started();
    for (let id = 1; id <= 2; id++) {
      const answer = questions.ask({ ask: 'catalogue' }, { timeoutMs: 5000 });
      hosts.all[0]?.say({ type: 'answer', id, result: { ask: 'catalogue', plugins: [], broken: [] } });
      await answer;
    }
    pool.place('a', 1, shared, deaf);
    assert.deepEqual(
      pool.list().map(({ units }) => units),
      [['a']],
    );
  });
});

describe('one run of a unit in a host', () => {
  function started() {
    const world = given(1);
    const failures: string[] = [];
    const run = new HostedRun({
      pool: world.pool,
      clock: world.clock,
      unit: 'u',
      weight: 1,
      home: shared,
      startTimeoutMs: 1000,
      stopTimeoutMs: 500,
      onFailed: ({ message, counted }) => failures.push(counted ? message : `uncounted: ${message}`),
      onEvent: () => undefined,
      onFigures: () => undefined,
    });
    const start = run.start({ type: 'resume', unit: 'u' });
    start.catch(() => undefined);
    return { ...world, run, start, failures };
  }

  it('S053: fails when it does not start in time, and its host is ended', async () => {
    const { clock, hosts, start } = started();
    await clock.advance(1000);
    await assert.rejects(start, /did not start within 1000 ms/);
    assert.deepEqual(hosts.alive(), []);
  });

  it('S054: has its host ended when it does not stop in time; nothing is committed then', async () => {
    const { clock, hosts, run, start, failures } = started();
    hosts.all[0]?.say({ type: 'started', unit: 'u' });
    await start;
    const stopped = run.stop();
    await clock.advance(499);
    assert.deepEqual(hosts.alive(), ['h0']);
    await clock.advance(1);
    assert.equal(await stopped, null);
    assert.deepEqual([hosts.alive(), failures], [[], []]);
  });

  it('gives the content of a clean stop, and says nothing after it', async () => {
    const { clock, hosts, run, start, failures } = started();
    hosts.all[0]?.say({ type: 'started', unit: 'u' });
    await start;
    const stopped = run.stop();
    const content = { offsets: [], positions: [], sinkStates: {}, marks: [], topics: [] };
    hosts.all[0]?.say({ type: 'stopped', unit: 'u', content });
    assert.deepEqual(await stopped, content);
    hosts.all[0]?.exit(crash);
    await clock.settle();
    assert.deepEqual(failures, []);
  });

  it('moves: it stops in order, and goes on elsewhere with what it has to commit, uncounted', async () => {
    const { clock, hosts, pool, run, start, failures } = started();
    hosts.all[0]?.say({ type: 'started', unit: 'u' });
    await start;
    pool.place('bad', 1, shared, deaf).expel('it hangs');
    assert.deepEqual(hosts.all[0]?.commands.at(-1), { type: 'stop', unit: 'u' });
    const content = { offsets: [], positions: [], sinkStates: {}, marks: [], topics: [] };
    hosts.all[0]?.say({ type: 'stopped', unit: 'u', content });
    assert.deepEqual([run.lastContent, failures], [content, ['uncounted: it leaves its host to a neighbour']]);
    await clock.settle();
    assert.deepEqual(hosts.alive(), ['h1']);
  });

  it('asked to stop while it moves, it stops once, and says nothing', async () => {
    const { hosts, pool, run, start, failures } = started();
    hosts.all[0]?.say({ type: 'started', unit: 'u' });
    await start;
    pool.place('bad', 1, shared, deaf).expel('it hangs');
    const stopped = run.stop();
    hosts.all[0]?.say({ type: 'stopped', unit: 'u', content: null });
    assert.equal(await stopped, null);
    assert.deepEqual([failures, hosts.all[0]?.commands.filter(({ type }) => type === 'stop').length], [[], 1]);
  });

  it('that fails because it called process.exit fails as one that harmed its host, so that it is restarted', async () => {
    const { hosts, start, run } = started();
    const error = { name: 'FatalError', kind: 'fatal', code: 'PROCESS_EXIT', message: 'it called process.exit(1)' } as const;
    hosts.all[0]?.say({ type: 'culprit', unit: 'u', error, hasFailed: false });
    hosts.all[0]?.say({ type: 'failed', unit: 'u', error });
    await assert.rejects(start, { failure: { kind: 'host', message: 'PROCESS_EXIT: it called process.exit(1)', counted: true } });
    await run.stop();
  });

  it('fails with the reason when its host dies', async () => {
    const { clock, hosts, start, failures } = started();
    hosts.all[0]?.say({ type: 'started', unit: 'u' });
    await start;
    hosts.all[0]?.exit({ reason: 'outOfMemory', message: 'more than 64 MB' });
    await clock.settle();
    assert.match(failures[0] ?? '', /outOfMemory: more than 64 MB/);
  });
});
