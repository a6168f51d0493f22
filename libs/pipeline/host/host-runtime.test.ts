import assert from 'node:assert/strict';
import type { HostAnswer, HostEvent, PlannedTask } from '@rocketmq-connect/pipeline/host-protocol';
import { type AnyConnector, defineSink, defineSource, type SourceTask, type TaskConfig, Type } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { HostWorld, UNIT } from '../../../test/support/host-world.ts';
import { dealQueues } from './sink-queues.ts';

const sink = defineSink({ name: 'Sink', version: '1', config: Type.Object({}), keepsState: true, task: () => ({ put: () => undefined }) });

function sourceThat(plan: (maxTasks: number, config: { password?: string }) => TaskConfig[], more: Partial<AnyConnector> = {}) {
  return defineSource({
    name: 'Source',
    version: '1',
    config: Type.Object({ password: Type.Optional(Type.String({ secret: true })) }),
    plan: (config, { maxTasks }) => plan(maxTasks, config),
    task: (_config, context) => ({
      poll: async () => {
        await context.sleep(100);
        return null;
      },
    }),
    ...(more as object),
  });
}

async function plan(world: HostWorld, config: Record<string, string>, positions: { topic: string; broker: string; queue: number }[] = []) {
  const { result, error } = await world.ask({ ask: 'plan', connectorConfig: { name: 'c', ...config }, positions });
  return { tasks: (result as Extract<HostAnswer, { ask: 'plan' }> | null)?.tasks, error };
}

const queuesOf = (tasks: readonly PlannedTask[] | undefined): string[][] =>
  (tasks ?? []).map(({ queues }) => queues.map(({ topic, broker, queue }) => `${topic}/${broker}/${queue}`));

describe('host runtime', () => {
  describe('plan of a source', () => {
    const config = { 'connector.class': 'Source', 'tasks.max': '2' };

    it('is what the plugin plans; one task by default', async () => {
      assert.deepEqual((await plan(new HostWorld([sourceThat(() => [{ a: '1' }, { a: '2' }])]), config)).tasks, [
        { config: { a: '1' }, queues: [] },
        { config: { a: '2' }, queues: [] },
      ]);
      const bare = defineSource({ name: 'Source', version: '1', config: Type.Object({}), task: () => ({ poll: () => null }) });
      assert.deepEqual((await plan(new HostWorld([bare]), config)).tasks, [{ config: {}, queues: [] }]);
    });

    it('with more tasks than tasks.max is refused, and so is what is no text', async () => {
      const { error } = await plan(new HostWorld([sourceThat(() => [{}, {}, {}])]), config);
      assert.deepEqual([error?.code, error?.field, error?.kind], ['TOO_MANY_TASKS', 'tasks.max', 'config']);
      const numbers = sourceThat(() => [{ a: 1 as unknown as string }]);
      assert.equal((await plan(new HostWorld([numbers]), config)).error?.field, 'a');
    });

    it('S144: a resolved secret in it gets its reference back, or the plan is refused', async () => {
      const world = new HostWorld([sourceThat((_max, { password = '' }) => [{ url: `db://user:${password}@host`, password }])]);
      world.env['PW'] = 'hunter22';
      const { tasks } = await plan(world, { ...config, password: '${env:PW}' });
      assert.deepEqual(tasks?.[0]?.config, { url: 'db://user:${env:PW}@host', password: '${env:PW}' });
      const encoded = new HostWorld([sourceThat((_max, { password = '' }) => [{ login: encodeURIComponent(password) }])]);
      encoded.env['PW'] = 'hunter 22';
      const { error } = await plan(encoded, { ...config, password: '${env:PW}' });
      assert.deepEqual([error?.code, error?.field], ['SECRET_IN_PLAN', 'login']);
      assert.ok(!JSON.stringify(error).includes('hunter'));
    });

    it('an error of the plugin is the answer, without secrets', async () => {
      const world = new HostWorld([
        sourceThat((_max, { password }) => {
          throw new Error(`cannot log in with ${password}`);
        }),
      ]);
      world.env['PW'] = 'hunter22';
      const { error, tasks } = await plan(world, { ...config, password: '${env:PW}' });
      assert.equal(tasks, undefined);
      assert.equal(error?.message, 'cannot log in with [hidden]');
    });

    it('an unknown plugin, a wrong key, a reference without a value: each names what to do', async () => {
      const world = new HostWorld([sourceThat(() => [])]);
      assert.equal((await plan(world, { 'connector.class': 'Nothing' })).error?.code, 'PLUGIN_UNKNOWN');
      assert.equal((await plan(world, {})).error?.field, 'connector.class');
      assert.equal((await plan(world, { ...config, 'tasks.max': 'many' })).error?.field, 'tasks.max');
      assert.equal((await plan(world, { ...config, password: '${env:NO}' })).error?.code, 'REFERENCE_UNRESOLVED');
    });
  });

  describe('plan of a sink', () => {
    it('deals the queues of its topics evenly, and makes no topics', async () => {
      const world = new HostWorld([sink]);
      world.log.create('a', 3);
      world.log.create('b', 2);
      const { tasks } = await plan(world, { 'connector.class': 'Sink', topics: 'b,a,missing', 'tasks.max': '2' });
      assert.deepEqual(queuesOf(tasks), [
        ['a/simulated/0', 'a/simulated/2', 'b/simulated/1'],
        ['a/simulated/1', 'b/simulated/0'],
      ]);
      assert.deepEqual(world.log.topics(), ['a', 'b']);
      assert.deepEqual(queuesOf((await plan(world, { 'connector.class': 'Sink', topics: 'missing', 'tasks.max': '4' })).tasks), [[]]);
      const byRegex = await plan(world, { 'connector.class': 'Sink', 'topics.regex': '[a]', 'tasks.max': '9' });
      assert.deepEqual(queuesOf(byRegex.tasks), [['a/simulated/0'], ['a/simulated/1'], ['a/simulated/2']]);
    });

    it('keeps queues with a position whose broker is away, and drops those that a present broker has not', async () => {
      const world = new HostWorld([sink]);
      world.log.create('a', 1);
      const positions = [
        { topic: 'a', broker: 'away', queue: 0 },
        { topic: 'a', broker: 'simulated', queue: 7 },
        { topic: 'other', broker: 'away', queue: 0 },
      ];
      const { tasks } = await plan(world, { 'connector.class': 'Sink', topics: 'a' }, positions);
      assert.deepEqual(queuesOf(tasks), [['a/away/0', 'a/simulated/0']]);
    });

    it('with more than 50 queues a task is refused where the sink keeps state', async () => {
      const world = new HostWorld([sink]);
      world.log.create('a', 101);
      const config = { 'connector.class': 'Sink', topics: 'a' };
      const { error } = await plan(world, { ...config, 'tasks.max': '2' });
      assert.deepEqual([error?.code, error?.field], ['TOO_MANY_QUEUES', 'tasks.max']);
      assert.match(error?.remedy ?? '', /tasks\.max to 3/);
      assert.equal((await plan(world, { ...config, 'tasks.max': '3' })).tasks?.length, 3);
    });

    it('gives every queue to one task, shares that differ by one at most', () => {
      fc.assert(
        fc.property(fc.nat(60), fc.integer({ min: 1, max: 20 }), (count, maxTasks) => {
          const queues = Array.from({ length: count }, (_, queue) => ({ topic: 't', broker: 'b', queue }));
          const dealt = dealQueues(queues, maxTasks);
          assert.deepEqual(
            dealt.flat().sort((a, b) => a.queue - b.queue),
            queues,
          );
          const sizes = dealt.map((share) => share.length);
          assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
          assert.equal(dealt.length, Math.min(maxTasks, Math.max(1, count)));
        }),
      );
    });
  });

  describe('a connector instance', () => {
    const start = (world: HostWorld, connectorConfig: Record<string, string>): void =>
      world.runtime().handle({ type: 'startConnector', unit: UNIT, start: { connector: 'c', connectorConfig } });

    it('of a source runs its watch until it is stopped', async () => {
      let ended = false;
      let change = (): void => undefined;
      const watch = async (_config: unknown, replan: () => void, signal: AbortSignal): Promise<void> => {
        change = replan;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        ended = true;
      };
      const world = new HostWorld([sourceThat(() => [], { watch } as Partial<AnyConnector>)]);
      start(world, { 'connector.class': 'Source' });
      await world.started();
      assert.equal(world.replans, 0);
      change();
      assert.equal(world.replans, 1);
      await world.stop();
      assert.equal(ended, true);
    });

    it('of a source that calls for plans without rest asks for one a second, the last call answered too', async () => {
      let change = (): void => undefined;
      const watch = async (_config: unknown, replan: () => void): Promise<void> => {
        change = replan;
      };
      const world = new HostWorld([sourceThat(() => [], { watch } as Partial<AnyConnector>)]);
      start(world, { 'connector.class': 'Source' });
      await world.started();
      for (let i = 0; i < 95; i++) {
        change();
        await world.clock.advance(100);
      }
      assert.equal(world.replans, 10);
      await world.clock.advance(10_000);
      assert.equal(world.replans, 11);
      change();
      assert.equal(world.replans, 12);
      change();
      await world.stop();
      await world.clock.advance(10_000);
      assert.deepEqual([world.replans, world.clock.pendingTimers], [12, 0]);
    });

    it('fails where its watch does', async () => {
      const watch = async (): Promise<void> => {
        throw new Error('no connection');
      };
      const world = new HostWorld([sourceThat(() => [], { watch } as Partial<AnyConnector>)]);
      start(world, { 'connector.class': 'Source' });
      assert.equal((await world.failed()).message, 'no connection');
    });

    it('of a sink asks for a plan at its first look, and when a topic comes, grows or goes', async () => {
      const world = new HostWorld([sink]);
      start(world, { 'connector.class': 'Sink', 'topics.regex': 't.*', 'topic.discovery.interval.ms': '1000' });
      await world.clock.advance(10_000);
      assert.equal(world.replans, 1);
      for (const change of [() => world.log.create('t1', 1), () => world.log.create('t1', 2), () => world.log.delete('t1')]) {
        const before: number = world.replans;
        change();
        await world.clock.advance(1000);
        assert.equal(world.replans, before + 1);
      }
      world.log.create('other', 1);
      world.log.faults = () => ({ fails: 'unavailable' });
      await world.clock.advance(5000);
      assert.equal(world.replans, 4);
      await world.stop();
      assert.equal(world.clock.pendingTimers, 0);
    });
  });

  it('S132: an error of one unit ends that one only', async () => {
    let polls = 0;
    const good = defineSource({
      name: 'Good',
      version: '1',
      config: Type.Object({}),
      task: (_config, context) => ({
        poll: async () => {
          await context.sleep(100);
          polls++;
          return null;
        },
      }),
    });
    const broken = [
      () => {
        throw new Error('in task');
      },
      () => ({ start: () => Promise.reject(new Error('in start')), poll: () => null }),
      () => ({ poll: () => Promise.reject(new Error('in poll')), stop: () => Promise.reject(new Error('in stop')) }),
      () => ({ poll: () => ({ records: 7 as never }) }),
    ].map((task, i) => defineSource({ name: `Broken${i}`, version: '1', config: Type.Object({}), task }));
    const world = new HostWorld([good, ...broken]);
    world.start({ 'connector.class': 'Good' });
    await world.started();
    const errors: string[] = [];
    const runtime = world.runtime();
    world.onEvent = (event: HostEvent) => {
      if (event.type === 'failed') errors.push(`${event.unit} ${event.error.message}`);
      return true;
    };
    for (const [i] of broken.entries()) {
      const start = { connector: 'b', task: 0, generation: '1', taskConfig: {}, queues: [], paused: false, startTimeMs: 0 };
      const hookLimits = { pollMs: 0, putMs: 0, flushMs: 0, stopMs: 0 };
      const none = { hookLimits, offsets: [], positions: [], sinkStates: {}, uncleanMarks: [] };
      runtime.handle({
        type: 'startTask',
        unit: `tasks/b/${i}`,
        start: { ...start, ...none, connectorConfig: { 'connector.class': `Broken${i}` } },
      });
    }
    await world.clock.until(() => errors.length === 4);
    assert.deepEqual(errors.sort(), [
      'tasks/b/0 in task',
      'tasks/b/1 in start',
      'tasks/b/2 in poll',
      'tasks/b/3 the source returned no array of records',
    ]);
    const before = polls;
    await world.clock.advance(1000);
    assert.ok(polls > before + 5);
  });

  describe('S052: code that hangs', () => {
    const hangs = new Promise<never>(() => undefined);
    async function culprit(task: SourceTask, pollMs = 0): Promise<Extract<HostEvent, { type: 'culprit' }>> {
      const world = new HostWorld([sourceThat(() => [], { task: () => task } as Partial<AnyConnector>)]);
      let found: Extract<HostEvent, { type: 'culprit' }> | undefined;
      world.onEvent = (event: HostEvent) => {
        if (event.type === 'culprit') found = event;
        return true;
      };
      world.start({ 'connector.class': 'Source' }, { hookLimits: { pollMs, putMs: 5000, flushMs: 5000, stopMs: 5000 } });
      await world.started();
      await world.clock.advance(100);
      world.commit();
      await world.clock.advance(4800);
      assert.equal(found, undefined);
      await world.clock.until(() => found !== undefined, 10_000);
      return found as unknown as Extract<HostEvent, { type: 'culprit' }>;
    }
    const once = [{ records: [{ topic: 't', value: 'v', partition: { p: 1 }, offset: { o: 1 } }], checkpoint: 1 }];

    it('in a hook is told with the hook and its limit', async () => {
      const polls = await culprit({ poll: () => hangs }, 5000);
      assert.deepEqual([polls.error.message, polls.hasFailed], ['poll did not end within 5000 ms', false]);
      const commits = await culprit({ poll: async () => once.pop() ?? hangs, committed: () => hangs });
      assert.deepEqual([commits.error.message, commits.hasFailed], ['committed did not end within 5000 ms', false]);
    });

    it('after its task has failed is told with what it failed of', async () => {
      const { error, hasFailed } = await culprit({ poll: () => Promise.reject(new Error('the poll fails')), stop: () => hangs });
      assert.deepEqual([error.message, hasFailed], ['the poll fails', true]);
    });
  });

  it('a unit that runs already is not started twice, and commands for units that are gone do nothing', async () => {
    const world = new HostWorld([sourceThat(() => [])]);
    const runtime = world.runtime();
    for (const type of ['pause', 'resume', 'stop'] as const) runtime.handle({ type, unit: 'tasks/none/0' });
    runtime.handle({ type: 'freeze', unit: 'tasks/none/0', freeze: 1 });
    world.start({ 'connector.class': 'Source' });
    await world.started();
    await world.stop();
    assert.equal(world.state, 'stopped');
  });

  it('answers what plugins there are, what keys they have, and whether a configuration is right', async () => {
    const world = new HostWorld([sink]);
    const catalogue = (await world.ask({ ask: 'catalogue' })).result as Extract<HostAnswer, { ask: 'catalogue' }>;
    assert.ok(catalogue.plugins.some(({ name, kind }) => name === 'Sink' && kind === 'sink'));
    const described = (await world.ask({ ask: 'describe', plugin: 'Sink', version: '' })).result as Extract<
      HostAnswer,
      { ask: 'describe' }
    >;
    assert.ok(described.keys.some(({ name }) => name === 'topics'));
    const config = { name: 'c', 'connector.class': 'Sink' };
    const { result } = await world.ask({ ask: 'validate', plugin: 'Sink', config });
    assert.ok(((result as Extract<HostAnswer, { ask: 'validate' }>).validation.errorCount ?? 0) > 0);
    assert.equal((await world.ask({ ask: 'describe', plugin: 'None', version: '' })).error?.code, 'PLUGIN_UNKNOWN');
  });

  it('lets a source refuse an edit of its offsets', async () => {
    const seen: unknown[] = [];
    const alterOffsets = (_config: unknown, offsets: readonly unknown[]): void => {
      seen.push(...offsets);
      if (offsets.length > 1) throw new Error('one at a time');
    };
    const world = new HostWorld([sourceThat(() => [], { alterOffsets } as Partial<AnyConnector>)]);
    const connectorConfig = { 'connector.class': 'Source' };
    const one = { partition: '{"a":1}', offset: null };
    assert.equal((await world.ask({ ask: 'alterOffsets', connectorConfig, offsets: [one] })).error, undefined);
    assert.deepEqual(seen, [{ partition: { a: 1 }, offset: null }]);
    assert.equal((await world.ask({ ask: 'alterOffsets', connectorConfig, offsets: [one, one] })).error?.message, 'one at a time');
  });

  it('takes positions of a sink for queues that are there, and says which those are', async () => {
    const sink = defineSink({ name: 'Sink', version: '1', config: Type.Object({}), task: () => ({ put: () => undefined }) });
    const world = new HostWorld([sink]);
    const connectorConfig = { 'connector.class': 'Sink', topics: 't' };
    await world.log.connect('other').createTopic('t', { queues: 4 });
    const at = (topic: string, queue: number, offset: string | null, broker = 'simulated') => ({
      partition: JSON.stringify({ rocketmq_topic: topic, rocketmq_broker: broker, rocketmq_queue: queue }),
      offset,
    });
    const ask = async (...offsets: ReturnType<typeof at>[]) => (await world.ask({ ask: 'alterOffsets', connectorConfig, offsets })).error;
    assert.equal(await ask(at('t', 3, '{"rocketmq_offset":7}'), at('gone', 0, null)), undefined);
    const noQueue = await ask(at('t', 0, '{"rocketmq_offset":7}'), at('t', 4, '{"rocketmq_offset":7}'));
    assert.deepEqual(
      [noQueue?.kind, noQueue?.field, noQueue?.remedy],
      ['config', 'offsets[1].partition', 'Name one of its queues: 0 to 3 on simulated.'],
    );
    const noBroker = await ask(at('t', 0, '{"rocketmq_offset":7}', 'other'));
    assert.equal(noBroker?.field, 'offsets[0].partition');
    assert.match(noBroker?.remedy ?? '', /0 to 3 on simulated\. If other is a broker that is away, wait for it/);
    const noTopic = await ask(at('gone', 0, '{"rocketmq_offset":7}'));
    assert.deepEqual([noTopic?.kind, noTopic?.field], ['config', 'offsets[0].partition.rocketmq_topic']);
  });

  it('posts counters when they changed, and log lines in batches by their level', async () => {
    const chatty = defineSource({
      name: 'Chatty',
      version: '1',
      config: Type.Object({}),
      task: (_config, context) => ({
        start: () => {
          context.log.debug('quiet');
          for (let i = 0; i < 150; i++) context.log.info('loud', { i, big: 1n });
        },
        poll: async () => {
          await context.sleep(100);
          return null;
        },
        lag: () => 3,
      }),
    });
    const world = new HostWorld([chatty]);
    const batches: number[] = [];
    let stats = 0;
    world.onEvent = (event) => {
      if (event.type === 'logs') batches.push(event.lines.length);
      if (event.type === 'stats') stats++;
      return true;
    };
    world.start({ 'connector.class': 'Chatty' });
    await world.clock.advance(5000);
    assert.deepEqual(batches, [100, 50]);
    assert.deepEqual(world.lines[0]?.fields, { connector: 'c', task: 0, phase: 'start', i: 0, big: '1' });
    assert.ok(stats <= 2, `${stats} stats`);
    world.runtime().handle({ type: 'setLogLevels', levels: { root: 'warn', 'connectors.c': 'debug' } });
    await world.stop();
    world.start({ 'connector.class': 'Chatty' });
    await world.started();
    world.runtime().handle({ type: 'setLogLevels', levels: { root: 'silent' } });
    await world.stop();
    assert.equal(world.clock.pendingTimers, 0);
  });
});
