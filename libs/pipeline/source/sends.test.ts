import assert from 'node:assert/strict';
import { property } from '@rocketmq-connect/message-log/message';
import { type ConnectRecord, defineSource, defineTransform, type SourceRecord, Type } from '@rocketmq-connect/sdk';
import { HostWorld } from '../../../test/support/host-world.ts';

const PARTITION = { file: 'a' };
const config = { 'connector.class': 'Numbers', 'errors.retry.delay.max.ms': '100', 'topic.creation.default.queues': '1' };

/** Gives what the test queues, and nothing after that. */
class Numbers {
  readonly batches: SourceRecord[][] = [];
  readonly definition = defineSource({
    name: 'Numbers',
    version: '1',
    config: Type.Object({}),
    deterministic: true,
    task: (_config, context) => ({
      poll: async () => {
        const records = this.batches.shift();
        if (records === undefined) await context.sleep(50);
        return records === undefined ? null : { records };
      },
    }),
  });
}

const twice = defineTransform({
  name: 'Twice',
  version: '1',
  config: Type.Object({}),
  create: () => ({ apply: <R extends ConnectRecord>(record: R) => [record, { ...record, value: `${record.value}!` }] }),
});

function numbers(from: number, to: number, size = 10): SourceRecord[] {
  return Array.from({ length: to - from }, (_, i) => ({
    topic: 't',
    value: String(from + i).padEnd(size, '.'),
    partition: PARTITION,
    offset: { position: from + i + 1 },
  }));
}

describe('Sends', () => {
  let source: Numbers;
  let world: HostWorld;
  beforeEach(() => {
    source = new Numbers();
    world = new HostWorld([source.definition, twice]);
  });
  const sent = (count: number): Promise<void> => world.clock.until(() => world.bodies('t').length >= count);
  const all = (records: readonly SourceRecord[]): unknown[] => records.map(({ value }) => value);

  describe('of batches that are too large for the broker', () => {
    /** A broker that takes batches of so many bytes. */
    function limit(bytes: number): void {
      world.log.faults = ({ operation, batch, queue }) =>
        operation === 'send' && queue?.topic === 't' && (batch?.bytes.length ?? 0) > bytes ? { fails: 'tooLarge' } : undefined;
    }

    it('S149: go out in parts, in order, and the next batches are smaller', async () => {
      limit(2_000);
      source.batches.push(numbers(0, 500), numbers(500, 1_000));
      world.start(config);
      await sent(1_000);
      assert.deepEqual(world.bodies('t'), all(numbers(0, 1_000)));
      let refused = 0;
      const faults = world.log.faults;
      world.log.faults = (operation) => {
        const fault = faults(operation);
        if (fault !== undefined) refused++;
        return fault;
      };
      source.batches.push(numbers(1_000, 1_500));
      await sent(1_500);
      assert.equal(refused, 0);
      await world.stop();
      assert.equal(world.offsets.get('{"file":"a"}'), '{"position":1500}');
    });

    it('S149: and whose parts have outcomes of their own are in the log once', async () => {
      limit(500);
      const faults = world.log.faults;
      let sends = 0;
      world.log.faults = (operation) => {
        const fault = faults(operation);
        if (fault !== undefined || operation.operation !== 'send') return fault;
        return ++sends % 3 === 0 ? { fails: sends % 2 === 0 ? 'lost' : 'stored' } : undefined;
      };
      source.batches.push(numbers(0, 300));
      world.start({ ...config, transforms: 'x', 'transforms.x.type': 'Twice' });
      await sent(600);
      assert.deepEqual(
        world.bodies('t'),
        numbers(0, 300).flatMap(({ value }) => [value, `${value}!`]),
      );
      // Killed, and gone on with from what was committed in the middle.
      await world.committed();
      world.kill();
      source.batches.push(numbers(300, 310));
      world.start({ ...config, transforms: 'x', 'transforms.x.type': 'Twice' });
      await sent(620);
      assert.equal(new Set(world.bodies('t')).size, 620);
    });

    it('S149: end the task at a record that is too large by itself, where errors are not tolerated', async () => {
      limit(500);
      source.batches.push([...numbers(0, 5), ...numbers(5, 6, 1_000), ...numbers(6, 9)]);
      world.start(config);
      const error = await world.failed();
      assert.deepEqual([error.kind, error.code], ['data', 'MESSAGE_TOO_LARGE']);
      assert.deepEqual(world.bodies('t'), all(numbers(0, 5)));
    });

    it('S149: leave such a record to the dead-letter topic, and go on', async () => {
      limit(500);
      const large = numbers(5, 6, 1_000).map((record) => ({ ...record, key: 'k' }));
      source.batches.push([...numbers(0, 5), ...large, ...numbers(6, 9)]);
      world.start({ ...config, 'errors.tolerance': 'all', 'errors.deadletterqueue.topic.name': 'dead' });
      await sent(8);
      assert.deepEqual(world.bodies('t'), all([...numbers(0, 5), ...numbers(6, 9)]));
      await world.committed();
      assert.equal(world.offsets.get('{"file":"a"}'), '{"position":9}');
      const [dead] = world.messages('dead').flat();
      assert.deepEqual([dead?.body, dead?.key, dead?.id], [large[0]?.value, 'k', undefined]);
      const { acknowledged, deadLettered, inFlight } = await world.stats();
      assert.deepEqual({ acknowledged, deadLettered, inFlight }, { acknowledged: 8, deadLettered: 1, inFlight: 0 });
    });

    it('S149: whose dead letter is too large as well keep its beginning, and say how large it was', async () => {
      world.log.faults = ({ operation, batch }) =>
        operation === 'send' && (batch?.bytes.length ?? 0) > 500 ? { fails: 'tooLarge' } : undefined;
      source.batches.push([...numbers(0, 1, 5_000), ...numbers(1, 2)]);
      world.start({ ...config, 'errors.tolerance': 'all', 'errors.deadletterqueue.topic.name': 'dead' });
      await sent(1);
      const [dead] = world.messages('dead').flat();
      assert.match(dead?.body ?? '', /^0\.{311}$/);
      assert.equal(property(dead?.properties ?? '', '__connect.errors.body.bytes'), '5000');
    });
  });

  describe('of batches that a broker stored but did not make safe', () => {
    beforeEach(() => {
      let times = 2;
      world.log.faults = ({ operation }) => (operation === 'send' && times-- > 0 ? { unsafe: 'no slave is there to have it' } : undefined);
      source.batches.push(numbers(0, 5));
    });
    const warnings = () => world.lines.filter(({ level, message }) => level === 'warn' && /no slave is there/.test(message));

    it('count as sent, with a warning', async () => {
      world.start(config);
      await sent(5);
      await world.committed();
      assert.equal(world.offsets.get('{"file":"a"}'), '{"position":5}');
      source.batches.push(numbers(5, 9));
      await sent(9);
      await world.stop();
      assert.equal(world.bodies('t').length, 9);
      assert.equal(warnings().length, 1, 'said once');
    });

    it('are sent again until they are safe, where send.durability is strict', async () => {
      world.start({ ...config, 'send.durability': 'strict' });
      await sent(10);
      await world.committed();
      assert.equal(world.offsets.has('{"file":"a"}'), false);
      await sent(15);
      await world.stop();
      assert.equal(world.offsets.get('{"file":"a"}'), '{"position":5}');
      assert.equal(world.bodies('t').length, 15);
      assert.equal(warnings().length, 1);
    });
  });

  describe('of messages to be delivered later', () => {
    const later = (delayMs: unknown) => ({ headers: [{ name: 'rocketmq.delay.ms', value: delayMs }] });

    it('S149: go out one by one, as a record or the connector says, and count as sent before they are delivered', async () => {
      const delays: (number | undefined)[] = [];
      world.log.faults = ({ operation, batch }) => {
        if (operation === 'send' && batch !== undefined) for (let i = 0; i < batch.count; i++) delays.push(batch.delayMs);
        return operation === 'send' ? { delayMs: 10 } : undefined;
      };
      const [first, second, third, fourth] = numbers(0, 4).map((record) => ({ ...record, key: 'k' }));
      source.batches.push([
        { ...first, ...later(60_000) },
        { ...second, ...later('0') },
        { ...third },
        { ...fourth, ...later(30_000n) },
      ] as SourceRecord[]);
      world.start({ ...config, 'rocketmq.delay.ms': '45000' });
      await sent(1);
      await world.clock.advance(1_000);
      await world.committed();
      assert.equal(world.offsets.get('{"file":"a"}'), '{"position":4}');
      assert.deepEqual(world.bodies('t'), all(numbers(1, 2)));
      assert.equal((await world.stats()).acknowledged, 4);
      await world.stop();
      await world.clock.advance(70_000);
      assert.deepEqual(
        world.bodies('t'),
        [second, fourth, third, first].map((record) => record?.value),
      );
      assert.deepEqual([...delays].sort(), [30_000, 45_000, 60_000, undefined]);
      // Nobody can look for what is held back: it carries no id that would be waited for.
      assert.deepEqual(
        world.messages('t').flatMap((queue) => queue.map(({ id }) => id !== undefined)),
        [true, false, false, false],
      );
    });

    it('are waited for by a stop, several at a time', async () => {
      let most = 0;
      let open = 0;
      world.log.faults = ({ operation }) => {
        if (operation !== 'send') return undefined;
        most = Math.max(most, ++open);
        world.clock.after(100, () => open--);
        return { delayMs: 100 };
      };
      source.batches.push(numbers(0, 200).map((record) => ({ ...record, ...later(1_000) })));
      world.start(config);
      await world.clock.until(() => open > 0);
      await world.stop();
      assert.equal(world.offsets.get('{"file":"a"}'), '{"position":200}');
      assert.equal(most, 64);
      await sent(200);
    });

    it('of split records, and those that the log does not take, go their ways', async () => {
      world.log.faults = ({ operation, batch, queue }) =>
        operation === 'send' && queue?.topic === 't' && batch?.bytes.includes('7.') === true ? { fails: 'tooLarge' } : undefined;
      source.batches.push(numbers(0, 10).map((record) => ({ ...record, ...later(1_000) })));
      const dead = { 'errors.tolerance': 'all', 'errors.deadletterqueue.topic.name': 'dead' };
      world.start({ ...config, ...dead, transforms: 'x', 'transforms.x.type': 'Twice' });
      await sent(18);
      await world.committed();
      assert.equal(world.offsets.get('{"file":"a"}'), '{"position":10}');
      assert.deepEqual(world.bodies('dead').sort(), ['7.........', '7.........!']);
      const { acknowledged, deadLettered, inFlight } = await world.stats();
      assert.deepEqual({ acknowledged, deadLettered, inFlight }, { acknowledged: 9, deadLettered: 1, inFlight: 0 });
    });

    it('that cannot be one fail as bad records', async () => {
      source.batches.push(numbers(0, 1).map((record) => ({ ...record, ...later('soon') })));
      world.start(config);
      const error = await world.failed();
      assert.deepEqual([error.code, error.field], ['DELAY_INVALID', 'rocketmq.delay.ms']);
    });
  });
});
