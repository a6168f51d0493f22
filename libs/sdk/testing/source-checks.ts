import { deepEqual, equal, ok } from 'node:assert/strict';
import type { TObject } from 'typebox';
import type { SourceDefinition } from '../connector.ts';
import type { SourceRecord } from '../record.ts';
import { type Check, within } from './check.ts';
import { typedConfig } from './config.ts';
import { between, seededRandom } from './seeded-random.ts';
import { CommittedOffsets, SourceRun } from './source-run.ts';

/** An outside system of one check, empty at first. It holds numbered items, each of which becomes one record. */
export interface SourceSubject {
  readonly config: Readonly<Record<string, string>>;
  /** Adds items `from` to `to - 1`. */
  write(from: number, to: number): Promise<void>;
  /** The number of the item that a record was made of. */
  itemOf(record: SourceRecord): number;
  close?(): Promise<void>;
}

export interface SourceSubjects<C extends TObject> {
  readonly definition: SourceDefinition<C>;
  /** Called once for each check, and for each round of those that have rounds. */
  open(): Promise<SourceSubject>;
  /** Items of a round; default 200. */
  readonly items?: number;
  /** Default 10. */
  readonly rounds?: number;
  /** Of the first round; the next ones count on. Named by a failure. Default 1. */
  readonly seed?: number;
  /** How long to wait for what should come; default 10 s. */
  readonly patienceMs?: number;
}

/** What every source connector must do; more for those that are `deterministic`. */
export function sourceChecks<C extends TObject>(subjects: SourceSubjects<C>): readonly Check[] {
  const { definition, items = 200, rounds = 10, seed = 1, patienceMs = 10_000 } = subjects;

  const check = (name: string, body: (subject: SourceSubject) => Promise<void>): Check => ({
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

  const all = (subject: SourceSubject, records: readonly SourceRecord[]): boolean =>
    new Set(records.map((record) => subject.itemOf(record))).size >= items;

  const checks: Check[] = [
    check('its configuration is described and accepted', async ({ config }) => {
      typedConfig(definition, config);
      for (const [key, field] of Object.entries(definition.config.properties)) {
        ok('description' in field && typeof field.description === 'string', `the key ${key} has no description`);
      }
    }),
    check('it stops once, twice, and without a poll', async ({ config }) => {
      const run = await SourceRun.start(definition, config);
      await run.kill();
      await run.kill();
    }),
    check('a poll that waits ends soon when the task is stopped', async ({ config }) => {
      const run = await SourceRun.start(definition, config);
      const waiting = run.poll().catch(() => undefined);
      setTimeout(() => void run.kill(), 50);
      await within(1_000, 'the poll after the abort', waiting);
    }),
    check('every item becomes a record, once and in order per partition', async (subject) => {
      await subject.write(0, items);
      const run = await SourceRun.start(definition, subject.config);
      await run.until((records) => all(subject, records), patienceMs);
      equal(run.records.length, items, 'records, as many as items');
      assertOrder(subject, run.records);
      await run.stop();
    }),
    check('items that are added later come too', async (subject) => {
      const run = await SourceRun.start(definition, subject.config);
      await subject.write(0, Math.floor(items / 2));
      await run.until((records) => records.length >= Math.floor(items / 2), patienceMs);
      await subject.write(Math.floor(items / 2), items);
      await run.until((records) => all(subject, records), patienceMs);
      assertOrder(subject, run.records);
      await run.stop();
    }),
    check('partitions and offsets are plain JSON, and partitions the same object', async (subject) => {
      await subject.write(0, items);
      const run = await SourceRun.start(definition, subject.config);
      await run.until((records) => all(subject, records), patienceMs);
      const partitions = new Map<string, unknown>();
      for (const { partition, offset } of run.records) {
        deepEqual(JSON.parse(JSON.stringify(partition)), partition);
        deepEqual(JSON.parse(JSON.stringify(offset)), offset);
        const text = JSON.stringify(partition);
        ok(partitions.get(text) === undefined || partitions.get(text) === partition, `partition ${text} is not one object`);
        partitions.set(text, partition);
      }
      await run.stop();
    }),
    check('after a clean stop it goes on where it stopped', async (subject) => {
      const committed = new CommittedOffsets();
      await subject.write(0, Math.floor(items / 2));
      const first = await SourceRun.start(definition, subject.config, committed);
      await first.until((records) => records.length >= Math.floor(items / 2), patienceMs);
      await first.stop();
      await subject.write(Math.floor(items / 2), items);
      const second = await SourceRun.start(definition, subject.config, committed);
      await second.until((records) => records.length + first.records.length >= items, patienceMs);
      await second.stop();
      const seen = [...first.records, ...second.records];
      equal(new Set(seen.map((record) => subject.itemOf(record))).size, items, 'distinct items');
      equal(seen.length, items, 'records, as many as items');
    }),
  ];

  for (let round = 0; round < rounds; round += 1) {
    checks.push(
      check(`killed anywhere it resumes from its committed offsets and loses nothing (seed ${seed + round})`, (subject) =>
        killAndResume(definition, subject, { items, seed: seed + round, patienceMs }),
      ),
    );
  }
  return checks;
}

/** Writes, polls, commits some batches and kills in random order until all items were committed. */
async function killAndResume<C extends TObject>(
  definition: SourceDefinition<C>,
  subject: SourceSubject,
  { items, seed, patienceMs }: { readonly items: number; readonly seed: number; readonly patienceMs: number },
): Promise<void> {
  const random = seededRandom(seed);
  const committed = new CommittedOffsets();
  /** By partition and offset, to compare what comes again. */
  const known = new Map<string, string>();
  const delivered = new Set<number>();
  const done = new Set<number>();
  let written = 0;
  const write = async (): Promise<void> => {
    const to = Math.min(items, written + between(random, 1, Math.ceil(items / 5)));
    await subject.write(written, to);
    written = to;
  };
  await write();
  for (let life = 0; ; life += 1) {
    const run = await SourceRun.start(definition, subject.config, committed);
    const last = life >= 8;
    let cameMs = performance.now();
    /** What this life need not give any more. */
    const seen = new Set(done);
    for (let steps = between(random, 1, 6); steps > 0 || (last && seen.size < items); steps -= 1) {
      if (written < items && (last || random() < 0.4)) await write();
      if (seen.size < written) {
        const records = await run.poll();
        for (const record of records) {
          seen.add(subject.itemOf(record));
          delivered.add(subject.itemOf(record));
        }
        if (records.length > 0) cameMs = performance.now();
        ok(performance.now() - cameMs < patienceMs, `of ${written} items written, ${written - seen.size} did not come in ${patienceMs} ms`);
      }
      if (random() < 0.5) for (const record of await run.commit(between(random, 0, run.uncommitted))) done.add(subject.itemOf(record));
    }
    assertOrder(subject, run.records);
    if (definition.deterministic === true) assertSame(known, run.records);
    if (last) await run.commit();
    await run.kill();
    if (!last) continue;
    equal(delivered.size, items, 'distinct items delivered');
    const after = await SourceRun.start(definition, subject.config, committed);
    deepEqual((await after.last(50)).map(subject.itemOf), [], 'items that came again after all were committed');
    return;
  }
}

function assertOrder(subject: SourceSubject, records: readonly SourceRecord[]): void {
  const last = new Map<unknown, number>();
  for (const record of records) {
    const item = subject.itemOf(record);
    const before = last.get(record.partition) ?? -1;
    ok(item > before, `item ${item} came after item ${before} of its partition ${JSON.stringify(record.partition)}`);
    last.set(record.partition, item);
  }
}

/** A deterministic source gives the same record for the same offset, in every life. */
function assertSame(known: Map<string, string>, records: readonly SourceRecord[]): void {
  for (const { partition, offset, topic, key, value, headers, timestamp } of records) {
    const place = JSON.stringify([partition, offset]);
    const content = JSON.stringify([topic, key, value, headers, timestamp], (_, part) => (typeof part === 'bigint' ? `${part}n` : part));
    equal(content, known.get(place) ?? content, `the record at ${place} differs from an earlier one`);
    known.set(place, content);
  }
}
