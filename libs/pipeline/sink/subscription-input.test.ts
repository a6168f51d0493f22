import assert from 'node:assert/strict';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import { INVISIBLE_MS } from '@rocketmq-connect/message-log/simulated-group';
import { defineSink, FatalError, type SinkRecord, type SinkState, Type } from '@rocketmq-connect/sdk';
import { HostWorld } from '../../../test/support/host-world.ts';

/** What the outside system got, and what of it is durable. */
class Outside {
  readonly put: SinkRecord[] = [];
  flushed = 0;
  state: SinkState | undefined = undefined;
  openedWith: SinkState | null = null;
  onPut: (records: readonly SinkRecord[]) => Promise<void> | void = () => undefined;

  readonly sink = defineSink({
    name: 'Outside',
    version: '1',
    config: Type.Object({}),
    task: () => ({
      open: (queues, state) => {
        assert.deepEqual(queues, []);
        this.openedWith = state;
      },
      put: async (records) => {
        await this.onPut(records);
        this.put.push(...records);
      },
      flush: () => {
        this.flushed = this.put.length;
        return this.state;
      },
    }),
  });
}

const config = { 'connector.class': 'Outside', topics: 't,u', 'errors.retry.delay.max.ms': '500' };
const COMMIT_MS = 5_000;

describe('A sink of a log without positions', () => {
  let outside: Outside;
  let world: HostWorld;

  beforeEach(() => {
    outside = new Outside();
    world = new HostWorld([outside.sink], () => 0.5, false);
    world.log.create('t', 2);
  });

  const start = (more: Record<string, string> = {}): void => world.start({ ...config, ...more });
  const got = (count: number): Promise<void> => world.clock.until(() => outside.put.length >= count);
  const values = (): string[] => outside.put.map(({ value }) => String(value));
  const lines = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);
  const redelivered = (): number => world.log.group('connect-c').redelivered;

  function write(from: number, to: number, queue = 0, topic = 't'): void {
    const builder = new BatchBuilder();
    for (let i = from; i < to; i++) builder.add(Buffer.from(`line ${i}`), '');
    world.log.append({ topic, broker: 'simulated', queue }, builder.take());
  }

  /** Commits as often as a runner does while the time passes. */
  async function live(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += COMMIT_MS) {
      await world.clock.advance(COMMIT_MS);
      await world.committed();
    }
  }

  it('gets what is in the log, in order per queue, of topics that come later too, and commits no positions', async () => {
    write(0, 10);
    write(100, 110, 1);
    start();
    await got(20);
    assert.deepEqual(
      values().filter((value) => value.length === 6),
      lines(0, 10),
    );
    world.log.create('u', 1);
    write(200, 203, 0, 'u');
    await got(23);
    await world.committed();
    await world.stop();
    assert.equal(world.positions.size, 0);
    assert.equal(world.clock.pendingTimers, 0);
  });

  it('has as many tasks as tasks.max, without queues, and no new plan when a topic grows', async () => {
    const { result } = await world.ask({ ask: 'plan', connectorConfig: { ...config, name: 'c', 'tasks.max': '3' }, positions: [] });
    assert.deepEqual(result, { ask: 'plan', tasks: Array.from({ length: 3 }, () => ({ config: {}, queues: [] })) });
    world.runtime().handle({ type: 'startConnector', unit: 'connectors/c', start: { connector: 'c', connectorConfig: config } });
    await world.clock.advance(60_000);
    const before = world.replans;
    world.log.create('t', 4);
    await world.clock.advance(60_000);
    assert.equal(world.replans - before, 0);
  });

  it('acknowledges what was flushed and committed, and nothing else', async () => {
    write(0, 10);
    start();
    await got(10);
    await world.committed();
    write(10, 20);
    await got(20);
    world.kill();
    start();
    await got(30);
    assert.deepEqual(values().slice(20), lines(10, 20));
    assert.equal(redelivered(), 10);
    await live(2 * INVISIBLE_MS);
    assert.equal(outside.put.length, 30);
  });

  it('loses nothing when it dies between flush and commit, or between commit and acknowledgement', async () => {
    write(0, 10);
    world.answersCommits = false;
    start();
    await got(10);
    world.commit();
    await world.clock.until(() => outside.flushed === 10);
    world.kill();
    world.answersCommits = true;
    world.log.faults = ({ operation }) => (operation === 'acknowledge' ? { delayMs: 1_000 } : undefined);
    start();
    await got(20);
    await world.committed();
    world.kill();
    world.log.faults = () => undefined;
    start();
    await got(30);
    assert.deepEqual(values(), [...lines(0, 10), ...lines(0, 10), ...lines(0, 10)]);
  });

  it('keeps its hold on what it works at for as long as that takes', async () => {
    let release = (): void => undefined;
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    outside.onPut = () => slow;
    write(0, 10);
    start();
    await world.started();
    await world.clock.advance(10 * INVISIBLE_MS);
    release();
    await got(10);
    await live(2 * INVISIBLE_MS);
    assert.deepEqual(values(), lines(0, 10));
    assert.equal(redelivered(), 0);
  });

  it('gets again what it could not renew: duplicates, and nothing lost', async () => {
    world.log.faults = ({ operation }) => (operation === 'renew' ? { fails: 'unavailable' } : undefined);
    write(0, 10);
    start();
    await got(20);
    assert.deepEqual(values(), [...lines(0, 10), ...lines(0, 10)]);
    world.log.faults = () => undefined;
    await live(2 * INVISIBLE_MS);
    assert.equal(outside.put.length, 20);
    assert.match(world.lines.map(({ message }) => message).join(), /10 messages could not be acknowledged in time/);
  });

  it('repeats an acknowledgement that the log does not take', async () => {
    let refused = 0;
    world.log.faults = ({ operation }) => (operation === 'acknowledge' && refused++ < 5 ? { fails: 'unavailable' } : undefined);
    write(0, 10);
    start();
    await got(10);
    await world.committed();
    await live(2 * INVISIBLE_MS);
    assert.equal(outside.put.length, 10);
    assert.equal(refused, 6);
  });

  it('acknowledges nothing once its session may be over', async () => {
    write(0, 10);
    start();
    await got(10);
    world.deadline.set(0.001);
    world.commit();
    assert.equal((await world.failed()).code, 'SESSION_OVER');
    world.deadline.set(Number.MAX_SAFE_INTEGER / 1e6);
    start();
    await got(20);
    assert.equal(redelivered(), 10);
  });

  it('acknowledges at a clean stop what was put, after what the sink returned is stored', async () => {
    for (const state of [undefined, { file: { length: 1 } }]) {
      outside.state = state;
      write(0, 10);
      start();
      await got(10);
      await world.stop();
      assert.deepEqual(world.sinkStates, state === undefined ? {} : { file: '{"length":1}' });
      start();
      await live(2 * INVISIBLE_MS);
      assert.equal(outside.put.splice(0).length, 10);
      await world.stop();
    }
    assert.equal(redelivered(), 0);
  });

  it('acknowledges nothing at a stop when what the sink returned is not stored', async () => {
    outside.state = { file: { length: 1 } };
    write(0, 10);
    start();
    await got(10);
    world.answersCommits = false;
    await world.stop();
    world.answersCommits = true;
    start();
    await got(20);
    assert.equal(redelivered(), 10);
  });

  it('gives back what it did not put, at once, when it stops or fails', async () => {
    write(0, 10);
    outside.onPut = () => {
      throw new FatalError('full', { code: 'FULL' });
    };
    start();
    await world.failed();
    outside.onPut = () => undefined;
    const atMs = world.clock.monotonic();
    start();
    await got(10);
    assert.ok(world.clock.monotonic() - atMs < INVISIBLE_MS / 3);
  });

  it('holds nothing while it is paused', async () => {
    write(0, 10);
    start();
    await got(10);
    world.runtime().handle({ type: 'pause', unit: 'tasks/c/0' });
    await world.clock.advance(2_000);
    await world.committed();
    write(10, 20);
    await world.clock.advance(10 * INVISIBLE_MS);
    assert.deepEqual(world.log.group('connect-c').nextLapseMs(), Number.POSITIVE_INFINITY);
    assert.equal(outside.put.length, 10);
    world.runtime().handle({ type: 'resume', unit: 'tasks/c/0' });
    await got(20);
    await live(2 * INVISIBLE_MS);
    assert.deepEqual(values(), lines(0, 20));
  });

  it('asks for a commit when much is put and not acknowledged', async () => {
    for (let at = 0; at < 20_000; at += 1_000) write(at, at + 1_000);
    start();
    await got(20_000);
    assert.ok(world.commits >= 2);
  });

  it('acknowledges what it skips', async () => {
    for (let i = 0; i < 3; i++) write(i, i + 1);
    start({ 'value.converter': 'JsonConverter', 'errors.tolerance': 'all' });
    await world.clock.until(() => world.counters?.skipped === 3);
    await live(2 * INVISIBLE_MS);
    assert.deepEqual([(await world.stats()).polled, redelivered()], [3, 0]);
  });
});
