import assert from 'node:assert/strict';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { quietLogger } from '../../test/support/quiet-logger.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { type HostedUnit, HostPool } from './host-pool.ts';
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
  const pool = new HostPool({
    hosts,
    clock,
    log: quietLogger,
    hostCount,
    idleMs: 10_000,
    killTimeoutMs: 1000,
    onUnkillable: (message) => unkillable.push(message),
  });
  return { clock, hosts, pool, unkillable };
}

const deaf: HostedUnit = { onEvent: () => undefined, onCounters: () => undefined, onGone: () => undefined };
const crash: HostExit = { reason: 'crashed', message: 'boom' };

/** Units that place themselves again when their host goes. */
function placeForEver(pool: HostPool, units: readonly string[]): { culprits: string[]; moved: string[] } {
  const culprits: string[] = [];
  const moved: string[] = [];
  const place = (unit: string): void => {
    pool.place(unit, 1, {
      ...deaf,
      onGone: (_exit, culprit) => {
        (culprit ? culprits : moved).push(unit);
        place(unit);
      },
    });
  };
  for (const unit of units) place(unit);
  return { culprits, moved };
}

describe('the host pool', () => {
  it('starts hosts on demand, the least loaded first, never more than its count', () => {
    const { pool } = given();
    pool.place('connector', 0, deaf);
    for (const unit of ['a', 'b', 'c', 'd']) pool.place(unit, 1, deaf);
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
    const first = pool.place('a', 1, deaf);
    first.leave();
    await clock.advance(9000);
    const again = pool.place('b', 1, deaf);
    await clock.advance(20_000);
    assert.deepEqual(hosts.alive(), ['h0']);
    again.leave();
    await clock.advance(10_000);
    assert.deepEqual(hosts.alive(), []);
  });

  it('gives who hung its host a host of its own; its neighbours share on and are not blamed', async () => {
    const { clock, hosts, pool } = given(1);
    const gone: string[] = [];
    const hung = pool.place('hung', 1, { ...deaf, onGone: (_e, culprit) => gone.push(`hung ${culprit}`) });
    pool.place('neighbour', 1, { ...deaf, onGone: (_e, culprit) => gone.push(`neighbour ${culprit}`) });
    hung.expel();
    await clock.settle();
    assert.deepEqual(gone, ['hung true', 'neighbour false']);
    for (const unit of ['hung', 'neighbour', 'other']) pool.place(unit, 1, deaf);
    assert.deepEqual(
      pool.list().map(({ units }) => units),
      [['hung'], ['neighbour', 'other']],
    );
    assert.deepEqual(hosts.alive().length, 2);
    pool.forget('hung');
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
  });

  it('takes the process down for a host that does not die', async () => {
    const { clock, hosts, pool, unkillable } = given();
    const placement = pool.place('a', 1, deaf);
    const [host] = hosts.all;
    if (host !== undefined) host.killable = false;
    placement.expel();
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
    pool.place('a', 1, deaf);
    const answer = questions.ask(question, 5000);
    const refused = assert.rejects(answer, /describe of Hanging took longer than 5000 ms/);
    await clock.advance(5000);
    await refused;
    assert.deepEqual(hosts.alive(), ['h0']);
    assert.deepEqual(pool.list()[0]?.units, ['a']);
  });

  it('S052: does not wait long for another that hangs', async () => {
    const { clock, hosts, questions } = started();
    void questions.ask(question, 5000).catch(() => undefined);
    const answer = questions.ask({ ask: 'catalogue' }, 5000);
    await clock.advance(300);
    const asked = hosts.all[1]?.commands[0];
    assert.ok(asked?.type === 'ask');
    hosts.all[1]?.say({ type: 'answer', id: asked.id, result: { ask: 'catalogue', plugins: [], broken: [] } });
    assert.deepEqual((await answer).plugins, []);
  });

  it('waits a moment for the host of another instead of having one started', async () => {
    const { clock, hosts, questions } = started();
    const first = questions.ask({ ask: 'catalogue' }, 5000);
    const second = questions.ask({ ask: 'catalogue' }, 5000);
    await clock.advance(100);
    const result = { ask: 'catalogue', plugins: [], broken: [] } as const;
    hosts.all[0]?.say({ type: 'answer', id: 1, result });
    await first;
    await clock.settle();
    hosts.all[0]?.say({ type: 'answer', id: 2, result });
    assert.deepEqual((await second).plugins, []);
    assert.equal(hosts.all.length, 1);
  });

  it('that needs no plugin code is asked where units run, and never costs that host', async () => {
    const { clock, hosts, pool, questions } = started();
    pool.place('a', 1, deaf);
    const refused = assert.rejects(questions.ask(question, 5000, undefined, true), /took longer than 5000 ms/);
    pool.place('b', 0, deaf);
    await clock.advance(5000);
    await refused;
    assert.deepEqual(hosts.alive(), ['h0']);
    assert.deepEqual(pool.list()[0]?.units, ['a', 'b']);
  });

  it('is answered with the plugin’s error, and with the crash of its host', async () => {
    const { hosts, questions } = started();
    const failing = questions.ask(question, 5000);
    hosts.all[0]?.say({
      type: 'answer',
      id: 1,
      result: null,
      error: { name: 'ConfigError', kind: 'config', code: 'X', message: 'no such plugin' },
    });
    await assert.rejects(failing, { kind: 'config', code: 'X', message: 'no such plugin' });
    const crashing = questions.ask(question, 5000);
    hosts.all[0]?.exit(crash);
    await assert.rejects(crashing, /describe of Hanging ended its host: boom/);
  });

  it('reuses a warm host, which then takes the first unit', async () => {
    const { hosts, pool, questions } = started();
    for (let id = 1; id <= 2; id++) {
      const answer = questions.ask({ ask: 'catalogue' }, 5000);
      hosts.all[0]?.say({ type: 'answer', id, result: { ask: 'catalogue', plugins: [], broken: [] } });
      await answer;
    }
    pool.place('a', 1, deaf);
    assert.deepEqual(
      pool.list().map(({ units }) => units),
      [['a']],
    );
  });
});

describe('one run of a unit in a host', () => {
  function started() {
    const world = given();
    const failures: string[] = [];
    const run = new HostedRun({
      pool: world.pool,
      clock: world.clock,
      unit: 'u',
      weight: 1,
      startTimeoutMs: 1000,
      stopTimeoutMs: 500,
      onFailed: ({ message }) => failures.push(message),
      onEvent: () => undefined,
      onCounters: () => undefined,
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
    const content = { offsets: [], positions: [], sinkStates: {}, marks: [] };
    hosts.all[0]?.say({ type: 'stopped', unit: 'u', content });
    assert.deepEqual(await stopped, content);
    hosts.all[0]?.exit(crash);
    await clock.settle();
    assert.deepEqual(failures, []);
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
