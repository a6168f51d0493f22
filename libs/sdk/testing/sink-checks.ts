import { deepEqual, ok } from 'node:assert/strict';
import type { TObject } from 'typebox';
import type { SinkDefinition } from '../connector.ts';
import { type Check, within } from './check.ts';
import { typedConfig } from './config.ts';
import { between, seededRandom } from './seeded-random.ts';
import { CommittedSink, SinkRun } from './sink-run.ts';

const stateBytesMax = 64 * 1024;

/** An outside system of one check, empty at first. */
export interface SinkSubject {
  readonly config: Readonly<Record<string, string>>;
  /** The record value of item `item`. */
  value(item: number): unknown;
  /** The items that the system holds, in its order. */
  effects(): Promise<readonly number[]>;
  close?(): Promise<void>;
}

export interface SinkSubjects<C extends TObject> {
  readonly definition: SinkDefinition<C>;
  /** Called once for each check, and for each round of those that have rounds. */
  open(): Promise<SinkSubject>;
  /** What the connector declares: items that are put again after a kill have one effect, or may have several. */
  readonly delivery: 'exactlyOnce' | 'atLeastOnce';
  /** Items of a round; default 200. */
  readonly items?: number;
  /** Default 20. */
  readonly rounds?: number;
  /** Of the first round; the next ones count on. Named by a failure. Default 1. */
  readonly seed?: number;
}

/** What every sink connector must do; more for those that promise exactly once. */
export function sinkChecks<C extends TObject>(subjects: SinkSubjects<C>): readonly Check[] {
  const { definition, delivery, items = 200, rounds = 20, seed = 1 } = subjects;

  const check = (name: string, body: (subject: SinkSubject) => Promise<void>): Check => ({
    name,
    run: async () => {
      const subject = await subjects.open();
      try {
        await body(subject);
      } finally {
        await subject.close?.();
      }
    },
  });

  const checks: Check[] = [
    check('its configuration is described and accepted', async ({ config }) => {
      typedConfig(definition, config);
      for (const [key, field] of Object.entries(definition.config.properties)) {
        ok('description' in field && typeof field.description === 'string', `the key ${key} has no description`);
      }
    }),
    check('it stops once, twice, and without a put', async ({ config }) => {
      const run = await SinkRun.start(definition, config);
      await within(10_000, 'flush without a put', run.flush());
      await run.kill();
      await run.kill();
    }),
    check('what was put has its effect after a flush, in order', async (subject) => {
      const run = await SinkRun.start(definition, subject.config);
      await run.put();
      await run.put(...numbers(0, items).map(subject.value));
      await run.flush();
      deepEqual(await subject.effects(), numbers(0, items));
      await run.stop();
    }),
    check('two flushes in a row change nothing', async (subject) => {
      const run = await SinkRun.start(definition, subject.config);
      await run.put(...numbers(0, 3).map(subject.value));
      await run.flush();
      await run.flush();
      deepEqual(await subject.effects(), numbers(0, 3));
      await run.stop();
    }),
    check('the state that flush returns is plain JSON of at most 64 KiB a name', async (subject) => {
      const run = await SinkRun.start(definition, subject.config);
      await run.put(subject.value(0));
      for (const [name, state] of Object.entries(await run.flush())) {
        deepEqual(JSON.parse(JSON.stringify(state)), state);
        ok(Buffer.byteLength(JSON.stringify(state)) <= stateBytesMax, `the state ${name} is too large`);
      }
      await run.stop();
    }),
    check('after a clean stop it goes on where it stopped', async (subject) => {
      const committed = new CommittedSink();
      for (const [from, to] of [
        [0, 5],
        [5, 10],
      ] as const) {
        const run = await SinkRun.start(definition, subject.config, committed);
        await run.put(...numbers(from, to).map(subject.value));
        await run.stop();
      }
      deepEqual(await subject.effects(), numbers(0, 10));
    }),
  ];

  for (let round = 0; round < rounds; round += 1) {
    checks.push(
      check(`killed between put, flush and commit it has the effects of ${delivery} (seed ${seed + round})`, async (subject) => {
        await killAndResume(definition, subject, items, seed + round);
        const effects = await subject.effects();
        // At least once: every item, and first occurrences in order.
        deepEqual(delivery === 'exactlyOnce' ? effects : [...new Set(effects)], numbers(0, items));
      }),
    );
  }
  return checks;
}

/** Puts, flushes, commits and kills in random order until all items are committed. */
async function killAndResume<C extends TObject>(
  definition: SinkDefinition<C>,
  subject: SinkSubject,
  items: number,
  seed: number,
): Promise<void> {
  const random = seededRandom(seed);
  const committed = new CommittedSink();
  let kills = between(random, 1, 12);
  let run = await SinkRun.start(definition, subject.config, committed);
  while (committed.position < items) {
    const dice = random();
    if (dice < 0.15 && kills > 0) {
      kills -= 1;
      await run.kill();
      run = await SinkRun.start(definition, subject.config, committed);
    } else if (dice < 0.6 && run.position < items) {
      const to = Math.min(items, run.position + between(random, 1, Math.ceil(items / 8)));
      await run.put(...numbers(run.position, to).map(subject.value));
    } else if (dice < 0.8) {
      // A commit before the next flush, as the runner does; its outcome may be "not stored".
      run.commit();
      await run.flush();
    } else {
      run.commit();
    }
  }
  await run.kill();
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
}
