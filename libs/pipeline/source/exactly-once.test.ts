import assert from 'node:assert/strict';
import { type ConnectRecord, defineSource, defineTransform, FatalError, type SourceRecord, Type } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { HostWorld } from '../../../test/support/host-world.ts';

const PARTITIONS = ['a', 'b', 'c'].map((name) => ({ name }));

interface Shape {
  /** Records per partition. */
  readonly records: number;
  /** Records that share an offset. */
  readonly group: number;
  readonly keyed: boolean;
  readonly splits: boolean;
  readonly filters: boolean;
}

describe('exactly once into the log', () => {
  it('S122: killed at any moment, each record is in the log once, in order per key; the ledger adds up (S146)', async function () {
    this.timeout(30_000);
    const shape = fc.record({
      records: fc.integer({ min: 1, max: 60 }),
      group: fc.integer({ min: 1, max: 3 }),
      keyed: fc.boolean(),
      splits: fc.boolean(),
      filters: fc.boolean(),
    });
    const lives = fc.array(
      fc.record({
        ms: fc.nat(400),
        commits: fc.array(fc.nat(400), { maxLength: 4 }),
        end: fc.constantFrom('kill', 'kill', 'fail', 'stop'),
      }),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(shape, lives, fc.integer({ min: 1, max: 2 ** 31 - 1 }), async (shape, lives, seed) => {
        const random = seeded(seed);
        const world = new HostWorld([source(shape, random, () => mustFail), halves], random);
        let mustFail = false;
        let unmarked = 0;
        const config = {
          'connector.class': 'Deterministic',
          'batch.max.count': '5',
          'topic.creation.default.queues': '3',
          'errors.retry.delay.max.ms': '100',
          transforms: [shape.filters ? 'f' : '', shape.splits ? 's' : ''].filter((alias) => alias !== '').join(),
          'transforms.s.type': 'Halves',
          ...(shape.filters
            ? { 'transforms.f.type': 'Filter', 'transforms.f.predicate': 'n', predicates: 'n', 'predicates.n.type': 'RecordIsTombstone' }
            : {}),
        };
        world.log.faults = ({ operation, queue }) => {
          const chance = random();
          if (operation === 'send' && !world.marks.some((mark) => mark.queue.queue === queue?.queue)) unmarked++;
          if (operation !== 'send') return chance < 0.05 ? { delayMs: chance * 100, fails: 'unavailable' } : { delayMs: chance * 10 };
          const fails = chance < 0.1 ? 'lost' : chance < 0.2 ? 'stored' : chance < 0.3 ? 'unavailable' : undefined;
          return { delayMs: random() * 40, ...(fails === undefined ? {} : { fails }) };
        };
        for (const life of lives) {
          world.start(config);
          let at = 0;
          for (const ms of life.commits.toSorted((a, b) => a - b)) {
            await world.clock.advance(Math.min(ms, life.ms) - at);
            at = Math.min(ms, life.ms);
            if (world.state === 'running') world.commit();
          }
          await world.clock.advance(life.ms - at);
          checkLedger(world);
          if (life.end === 'stop') await world.stop();
          else if (life.end === 'fail') {
            // It is started again at once: nothing of it may be on its way then.
            mustFail = true;
            await world.failed();
            mustFail = false;
          } else {
            world.kill();
            // What was on its way lands before the next task looks, or never (lost).
            await world.clock.advance(100);
          }
        }
        world.start(config);
        await world.clock.until(() => (world.counters?.polled ?? 0) >= 0 && world.state === 'running');
        const isAtEnd = (): boolean =>
          PARTITIONS.every((partition) => world.offsets.get(JSON.stringify(partition)) === JSON.stringify({ position: lastOffset(shape) }));
        for (let round = 0; !isAtEnd(); round++) {
          assert.ok(round < 100 && world.error === null, `not at the end after ${round} commits: ${world.error?.message}`);
          await world.clock.advance(500);
          await world.committed();
        }
        checkLedger(world);
        assert.equal(world.error, null);
        await world.stop();
        assert.equal(world.lastContent === undefined, false);
        checkLog(world, shape);
        assert.equal(unmarked, 0, 'sent to a queue before its mark was committed');
      }),
      { numRuns: 60 },
    );
  });
});

function source(shape: Shape, random: () => number, mustFail: () => boolean) {
  return defineSource({
    name: 'Deterministic',
    version: '1',
    config: Type.Object({}),
    deterministic: true,
    task: (_config, context) => {
      const next = PARTITIONS.map((partition) => ((context.offset(partition)?.['position'] as number | undefined) ?? 0) * shape.group);
      return {
        poll: async () => {
          if (mustFail()) throw new FatalError('told to');
          if (random() < 0.5) await context.sleep(random() * 30);
          const records: SourceRecord[] = [];
          for (const [i, partition] of PARTITIONS.entries()) {
            // Whole groups: all records of one offset come in one poll.
            for (let groups = Math.floor(random() * 6); groups > 0; groups--) {
              for (let member = 0; member < shape.group; member++) {
                const at = next[i] ?? 0;
                if (at >= shape.records) break;
                records.push(recordAt(partition, at, shape));
                next[i] = at + 1;
              }
            }
          }
          if (records.length === 0) await context.sleep(20);
          return { records };
        },
      };
    },
  });
}

function isSplit(value: unknown): value is string {
  return typeof value === 'string' && Number(value.split(' ')[1]) % 3 === 0;
}

/** Makes two records of every third one. */
const halves = defineTransform({
  name: 'Halves',
  version: '1',
  config: Type.Object({}),
  create: () => ({
    apply: <R extends ConnectRecord>(record: R) => (isSplit(record.value) ? [record, { ...record, value: `${record.value}.5` }] : record),
  }),
});

function recordAt(partition: { name: string }, at: number, shape: Shape): SourceRecord {
  return {
    topic: 't',
    ...(shape.keyed ? { key: `${partition.name}${at % 4}` } : {}),
    value: shape.filters && at % 5 === 0 ? null : `${partition.name} ${at}`,
    partition,
    offset: { position: Math.floor(at / shape.group) + 1 },
  };
}

function lastOffset(shape: Shape): number {
  return Math.floor((shape.records - 1) / shape.group) + 1;
}

function checkLog(world: HostWorld, shape: Shape): void {
  const seen: string[] = [];
  for (const queue of world.messages('t')) {
    const lastOf = new Map<string, number>();
    for (const { body, key } of queue) {
      seen.push(body);
      const [name = '', at = ''] = body.split(' ');
      const stream = key ?? name;
      assert.ok((lastOf.get(stream) ?? -1) < Number(at), `${body} comes after ${lastOf.get(stream)} of ${stream}`);
      lastOf.set(stream, Number(at));
    }
  }
  const expected = PARTITIONS.flatMap((partition) =>
    Array.from({ length: shape.records }, (_, at) => recordAt(partition, at, shape).value).filter((value) => value !== null),
  );
  const parts = expected.flatMap((value) => (shape.splits && isSplit(value) ? [value, `${value}.5`] : [value]));
  assert.deepEqual(seen.sort(), parts.sort());
}

function checkLedger(world: HostWorld): void {
  const { counters } = world;
  if (counters === null) return;
  const { polled, acknowledged, deduplicated, filtered, deadLettered, skipped, inFlight } = counters;
  assert.equal(polled, acknowledged + deduplicated + filtered + deadLettered + skipped + inFlight);
  assert.ok(Math.min(...Object.values({ ...counters, lag: 0 })) >= 0);
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
