import assert from 'node:assert/strict';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import type { FaultPlan } from '@rocketmq-connect/message-log/simulated';
import type { TaskCounters } from '@rocketmq-connect/pipeline/host-protocol';
import {
  type ConnectRecord,
  DataError,
  defineSink,
  defineSource,
  defineTransform,
  RetriableError,
  type SinkTaskContext,
  Type,
} from '@rocketmq-connect/sdk';
import { TaskLedger } from '@rocketmq-connect/task-runner-service/ledger';
import fc from 'fast-check';
import { HostWorld, UNIT } from './support/host-world.ts';

const RECORDS = 60;

/** What becomes of a record; told by its value. `flaky` fails twice and then passes. */
const FATES = ['pass', 'pass', 'pass', 'drop', 'split', 'vanish', 'bad', 'flaky', 'later'] as const;
type Fate = (typeof FATES)[number];

function fates(tries: Map<string, number>) {
  return defineTransform({
    name: 'Fates',
    version: '1',
    config: Type.Object({}),
    create: () => ({
      apply: <R extends ConnectRecord>(record: R): R | null | R[] | Promise<R> => {
        const value = String(record.value);
        switch (value.split(' ')[0] as Fate) {
          case 'drop':
            return null;
          case 'split':
            return [0, 1, 2].map((part) => ({ ...record, value: `${value}.${part}` }));
          case 'vanish':
            return [];
          case 'bad':
            throw new DataError('it is bad', { code: 'BAD' });
          case 'flaky': {
            const count = (tries.get(value) ?? 0) + 1;
            tries.set(value, count % 3);
            if (count < 3) throw new RetriableError('not yet', { code: 'FLAKY' });
            return record;
          }
          case 'later':
            return Promise.resolve(record);
          default:
            return record;
        }
      },
    }),
  });
}

const config = {
  topic: 't',
  transforms: 'f',
  'transforms.f.type': 'Fates',
  'errors.tolerance': 'all',
  'errors.retry.timeout': '60000',
  'errors.retry.delay.max.ms': '100',
};
const fate = fc.constantFrom(...FATES);
/** A step of the world: some time, then what happens. */
const step = fc.record({
  ms: fc.integer({ min: 0, max: 1200 }),
  then: fc.constantFrom('nothing', 'nothing', 'commit', 'kill', 'stop', 'pause'),
});
const run = fc.record({
  fates: fc.array(fate, { minLength: RECORDS, maxLength: RECORDS }),
  steps: fc.array(step, { maxLength: 12 }),
  deadLetters: fc.boolean(),
  sizes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 5, maxLength: 5 }),
  faults: fc.array(fc.constantFrom('none', 'none', 'unavailable', 'lost', 'stored'), { minLength: 7, maxLength: 7 }),
});

/** Checks every figure that a host tells, and keeps the runner's ledger over all lives of the task. */
class Auditor {
  readonly ledger = new TaskLedger();
  readonly #world: HostWorld;
  #before = this.ledger.totals();

  constructor(world: HostWorld) {
    this.#world = world;
    world.onEvent = (event) => {
      if (event.type === 'stats') this.#audit(event.counters[UNIT]);
      return true;
    };
  }

  lives(): void {
    this.ledger.endIncarnation();
    this.#check();
  }

  #audit(counters: TaskCounters | undefined): void {
    if (counters === undefined) return;
    this.ledger.update(counters);
    assert.equal(this.ledger.imbalance, 0, `the host's own ledger: ${JSON.stringify(counters)}`);
    this.#check();
  }

  #check(): void {
    const now = this.ledger.totals();
    const { polled, acknowledged, deduplicated, filtered, deadLettered, skipped, inFlight } = now;
    assert.equal(polled, acknowledged + deduplicated + filtered + deadLettered + skipped + inFlight);
    for (const name of ['polled', 'acknowledged', 'deduplicated', 'filtered', 'deadLettered', 'skipped'] as const)
      assert.ok(now[name] >= this.#before[name], `${name} falls`);
    assert.ok(inFlight >= 0);
    this.#before = now;
  }

  /** Goes through the steps, each life of the task after the other, until nothing is in flight. */
  async walk(steps: readonly { readonly ms: number; readonly then: string }[], start: () => void, isDone: () => boolean): Promise<void> {
    const world = this.#world;
    start();
    for (const { ms, then } of steps) {
      await world.clock.advance(ms);
      if (world.state === 'failed') assert.fail(`the task failed: ${world.error?.message}`);
      if (then === 'commit' && world.state === 'running') world.commit();
      if (then === 'pause' && world.state === 'running') world.runtime().handle({ type: 'pause', unit: UNIT });
      if (then === 'kill') world.kill();
      if (then === 'stop') {
        await world.started();
        await world.stop();
      }
      if (then === 'kill' || then === 'stop') {
        this.lives();
        start();
      }
    }
    world.log.faults = () => undefined;
    await world.started();
    world.runtime().handle({ type: 'resume', unit: UNIT });
    for (let rounds = 0; !isDone(); rounds++) {
      assert.ok(rounds < 200, `it never ends: ${JSON.stringify(this.ledger.totals())}`);
      await world.clock.advance(500);
      if (world.state === 'running') world.commit();
    }
    await world.clock.advance(2000);
    assert.equal(this.ledger.totals().inFlight, 0, JSON.stringify(this.ledger.totals()));
  }
}

function faultPlan(faults: readonly string[]): FaultPlan {
  let at = 0;
  return ({ operation }) => {
    if (operation !== 'send') return undefined;
    const fails = faults[at++ % faults.length];
    return fails === undefined || fails === 'none' ? undefined : { fails: fails as 'lost' };
  };
}

describe('S146: the ledger of a task adds up at every moment', function () {
  this.timeout(60_000);

  it('of a source: filtered, split, retried, dead-lettered records, a log that fails, and the task killed at any time', async () => {
    await fc.assert(
      fc.asyncProperty(run, async ({ fates: plan, steps, deadLetters, sizes, faults }) => {
        const tries = new Map<string, number>();
        const source = defineSource({
          name: 'Fateful',
          version: '1',
          deterministic: true,
          config: Type.Object({ topic: Type.String() }),
          task: (_config, context) => {
            const partition = { p: 1 };
            let at = Number(context.offset(partition)?.['at'] ?? 0);
            return {
              poll: async () => {
                await context.sleep(20);
                const end = Math.min(RECORDS, at + (sizes[at % sizes.length] ?? 1));
                const records = plan.slice(at, end).map((what, i) => {
                  return { topic: 't', value: `${what} ${at + i}`, partition, offset: { at: at + i + 1 }, timestamp: 1 };
                });
                at = end;
                return { records };
              },
            };
          },
        });
        const world = new HostWorld([source, fates(tries)]);
        world.log.faults = faultPlan(faults);
        const auditor = new Auditor(world);
        const dead = deadLetters ? { 'errors.deadletterqueue.topic.name': 'dead' } : {};
        const start = (): void => world.start({ 'connector.class': 'Fateful', ...config, ...dead });
        await auditor.walk(steps, start, () => [...world.offsets.values()].includes(`{"at":${RECORDS}}`));
        const { polled, filtered, deadLettered, skipped } = auditor.ledger.totals();
        assert.ok(polled >= RECORDS);
        const count = (...what: Fate[]): number => plan.filter((one) => what.includes(one)).length;
        assert.ok(filtered >= count('drop', 'vanish'));
        assert.ok((deadLetters ? deadLettered : skipped) >= count('bad'));
        assert.equal(deadLetters ? skipped : deadLettered, 0);
      }),
      { numRuns: 100 },
    );
  });

  it('of a sink: filtered, split, retried, reported records, puts that are repeated, and the task killed at any time', async () => {
    await fc.assert(
      fc.asyncProperty(run, async ({ fates: plan, steps, deadLetters, faults }) => {
        const tries = new Map<string, number>();
        const put = new Set<string>();
        let puts = 0;
        const sink = defineSink({
          name: 'Fateful',
          version: '1',
          config: Type.Object({ topic: Type.String() }),
          task: (_config, context: SinkTaskContext) => ({
            put: async (records) => {
              const how = faults[puts++ % faults.length];
              await context.sleep(10);
              if (how === 'unavailable') throw new RetriableError('not now', { code: 'BUSY' });
              for (const record of records) {
                const at = Number(String(record.value).split(' ')[1]);
                if (how === 'lost' && at % 7 === 0)
                  void context.report(record, new DataError('no', { code: 'REFUSED' })).catch(() => undefined);
                if (how === 'stored' && at % 7 === 0) await context.report(record, new DataError('no', { code: 'REFUSED' }));
                put.add(String(record.value));
              }
            },
          }),
        });
        const world = new HostWorld([sink, fates(tries)]);
        world.log.create('t', 2);
        for (const queue of [0, 1]) {
          const builder = new BatchBuilder();
          for (const [at, what] of plan.entries()) if (at % 2 === queue) builder.add(Buffer.from(`${what} ${at}`), '');
          world.log.append({ topic: 't', broker: 'simulated', queue }, builder.take());
        }
        const auditor = new Auditor(world);
        const dead = deadLetters ? { 'errors.deadletterqueue.topic.name': 'dead' } : {};
        const start = (): void =>
          world.start(
            { 'connector.class': 'Fateful', topics: 't', 'put.max.records': '8', ...config, ...dead },
            { queues: world.queues('t') },
          );
        const ends = (): boolean => [...world.positions.values()].reduce((sum, { position }) => sum + position, 0) === RECORDS;
        await auditor.walk(steps, start, ends);
        assert.ok(auditor.ledger.totals().polled >= RECORDS);
      }),
      { numRuns: 100 },
    );
  });
});
