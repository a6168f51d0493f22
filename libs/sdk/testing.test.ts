import { deepEqual, equal, rejects, throws } from 'node:assert/strict';
import {
  type Check,
  CommittedSink,
  type SinkSubject,
  SourceRun,
  seededRandom,
  sinkChecks,
  sourceChecks,
  typedConfig,
} from '@rocketmq-connect/sdk/testing';
import { defineSink, defineSource, type SinkTask, type SourceRecord, type SourceTask, type SourceTaskContext, Type } from './index.ts';

describe('the conformance kit', () => {
  it('passes a source that keeps the contract', async () => {
    deepEqual(await failures(checksOf((items, context) => new ListSource(items, context))), []);
  });

  const wrongSources: Record<
    string,
    readonly [mistake: string, make: (items: readonly number[], context: SourceTaskContext) => SourceTask, check: RegExp]
  > = {
    loses: [
      'loses a record when it resumes',
      (items, context) => new ListSource(items, context, (position) => (position === 0 ? 0 : position + 1)),
      /resumes|goes on/,
    ],
    repeats: ['ignores its committed offsets', (items, context) => new ListSource(items, context, () => 0), /resumes|goes on/],
    swaps: [
      'swaps records',
      (items, context) => new WrappedSource(new ListSource(items, context), (records) => [...records].reverse()),
      /in order/,
    ],
    partitions: [
      'makes a partition object for every record',
      (items, context) =>
        new WrappedSource(new ListSource(items, context), (records) =>
          records.map((record) => ({ ...record, partition: { ...record.partition } })),
        ),
      /the same object/,
    ],
    random: [
      'is declared deterministic and is not',
      (items, context) => {
        const salt = context.now() + Math.random();
        return new WrappedSource(new ListSource(items, context), (records) => records.map((record) => ({ ...record, key: salt })));
      },
      /resumes/,
    ],
    deaf: [
      'does not mind the signal',
      (items, context) => {
        const source = new ListSource(items, context);
        return { poll: async () => source.now() ?? new Promise((resolve) => setTimeout(() => resolve(null), 1_500)) };
      },
      /ends soon/,
    ],
  };
  for (const [mistake, make, check] of Object.values(wrongSources)) {
    it(`finds a source that ${mistake}`, async () => {
      const failed = await failures(checksOf(make).filter(({ name }) => check.test(name)));
      equal(failed.length > 0, true, 'no check failed');
    });
  }

  it('passes a sink that keeps the contract, and finds one that promises exactly once without it', async () => {
    deepEqual(await failures(sinkChecksOf('exactlyOnce', true)), []);
    deepEqual(await failures(sinkChecksOf('atLeastOnce', false)), []);
    const failed = await failures(sinkChecksOf('exactlyOnce', false));
    equal(failed.length > 0 && failed.every((name) => /killed/.test(name)), true, failed.join());
  });

  it('finds a sink that loses what it buffered', async () => {
    const checks = sinkChecks({ definition: bufferingSink(), delivery: 'atLeastOnce', rounds: 3, open: async () => memory(new Map()) });
    equal((await failures(checks)).length > 0, true);
  });

  it('converts configurations as the runner does, and names the fields at fault', () => {
    const definition = defineSource({
      name: 'S',
      version: '1',
      config: Type.Object({ size: Type.Integer({ minimum: 1, default: 5 }), on: Type.Boolean(), topic: Type.String() }),
      validate: ({ size }) => (size === 13 ? [{ field: 'size', message: 'unlucky' }] : []),
      task: () => ({ poll: () => null }),
    });
    deepEqual(typedConfig(definition, { on: 'true', topic: 't', name: 'x' }), { size: 5, on: true, topic: 't' });
    throws(() => typedConfig(definition, { on: 'true' }), { kind: 'config', field: 'topic' });
    throws(() => typedConfig(definition, { on: 'true', topic: 't', size: '0' }), { field: 'size' });
    throws(() => typedConfig(definition, { on: 'true', topic: 't', size: '13' }), { field: 'size', message: 'size: unlucky' });
  });

  it('frees the tasks of a run that could not start', async () => {
    let stops = 0;
    const definition = defineSource({
      name: 'S',
      version: '1',
      config: Type.Object({}),
      task: () => ({
        start: () => Promise.reject(new Error('no')),
        poll: () => null,
        stop: () => {
          stops += 1;
        },
      }),
    });
    await rejects(SourceRun.start(definition, {}), /no/);
    equal(stops, 1);
  });

  it('its random numbers are the same for the same seed, and spread', () => {
    const [first, second] = [seededRandom(3), seededRandom(3)];
    const numbers = Array.from({ length: 1_000 }, () => first());
    deepEqual(
      numbers,
      Array.from({ length: 1_000 }, () => second()),
    );
    const mean = numbers.reduce((sum, number) => sum + number, 0) / 1_000;
    equal(mean > 0.45 && mean < 0.55, true, String(mean));
  });

  it('a reset forgets positions and states', () => {
    const committed = new CommittedSink();
    committed.set(3, { a: 1 });
    const { startTimeMs } = committed;
    committed.reset();
    deepEqual([committed.position, committed.states(), committed.startTimeMs > startTimeMs], [0, {}, true]);
  });
});

/** The names of the checks that fail. */
async function failures(checks: readonly Check[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of checks) {
    await run().catch(() => failed.push(name));
  }
  return failed;
}

function checksOf(make: (items: readonly number[], context: SourceTaskContext) => SourceTask): readonly Check[] {
  const items: number[] = [];
  return sourceChecks({
    definition: defineSource({
      name: 'ListSource',
      version: '1',
      deterministic: true,
      config: Type.Object({ topic: Type.String({ description: 'Where to' }) }),
      task: (_config, context) => make(items, context),
    }),
    items: 40,
    rounds: 3,
    patienceMs: 100,
    async open() {
      items.length = 0;
      return {
        config: { topic: 't' },
        async write(from, to) {
          for (let item = from; item < to; item += 1) items.push(item);
        },
        itemOf: ({ value }) => Number(value),
      };
    },
  });
}

class ListSource implements SourceTask {
  readonly #items: readonly number[];
  readonly #partition = { list: 'l' };
  #position: number;

  constructor(items: readonly number[], context: SourceTaskContext, resume: (position: number) => number = (position) => position) {
    this.#items = items;
    this.#position = resume(Number(context.offset(this.#partition)?.['position'] ?? 0));
  }

  now(): { records: SourceRecord[] } | null {
    const records: SourceRecord[] = [];
    while (this.#position < this.#items.length && records.length < 7) {
      const value = this.#items[this.#position];
      this.#position += 1;
      records.push({ topic: 't', value, partition: this.#partition, offset: { position: this.#position } });
    }
    return records.length > 0 ? { records } : null;
  }

  async poll(signal: AbortSignal): Promise<{ records: SourceRecord[] } | null> {
    const batch = this.now();
    if (batch !== null || signal.aborted) return batch;
    return new Promise((resolve) => setTimeout(() => resolve(null), 5));
  }
}

class WrappedSource implements SourceTask {
  readonly #source: ListSource;
  readonly #change: (records: readonly SourceRecord[]) => readonly SourceRecord[];

  constructor(source: ListSource, change: (records: readonly SourceRecord[]) => readonly SourceRecord[]) {
    this.#source = source;
    this.#change = change;
  }

  async poll(signal: AbortSignal): Promise<{ records: readonly SourceRecord[] } | null> {
    const batch = await this.#source.poll(signal);
    return batch && { records: this.#change(batch.records) };
  }
}

/** A sink into lists in memory; `exact` cuts them to the committed length when it opens. */
function sinkChecksOf(delivery: 'exactlyOnce' | 'atLeastOnce', exact: boolean): readonly Check[] {
  const lists = new Map<string, number[]>();
  const definition = defineSink({
    name: 'ListSink',
    version: '1',
    config: Type.Object({ list: Type.String({ description: 'Which' }) }),
    task: ({ list }): SinkTask => {
      const values = lists.get(list) ?? [];
      lists.set(list, values);
      return {
        open(_queues, state) {
          if (exact) values.length = Number(state['length'] ?? 0);
        },
        put(records) {
          for (const { value } of records) values.push(Number(value));
        },
        flush: () => ({ length: values.length }),
      };
    },
  });
  return sinkChecks({ definition, delivery, items: 40, rounds: 5, open: async () => memory(lists) });
}

let subjects = 0;
function memory(lists: Map<string, number[]>): SinkSubject {
  subjects += 1;
  const list = `list ${subjects}`;
  return { config: { list }, value: (item) => item, effects: async () => lists.get(list) ?? [] };
}

function bufferingSink(): ReturnType<typeof defineSink> {
  return defineSink({
    name: 'Buffering',
    version: '1',
    config: Type.Object({ list: Type.String({ description: 'Which' }) }),
    task: () => ({ put: () => undefined }),
  });
}
