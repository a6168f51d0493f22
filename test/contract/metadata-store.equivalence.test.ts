import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Compare,
  type KeyRange,
  type KeyValue,
  type Lease,
  type MetadataStore,
  type Operation,
  prefixRange,
  spanRange,
  type Txn,
  type WatchEvent,
} from '@rocketmq-connect/metadata-store';
import { EmbeddedStore } from '@rocketmq-connect/metadata-store/embedded';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { ConnectError } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { VirtualClock } from '../support/virtual-clock.ts';

// Few keys, so that operations meet; some sort differently by UTF-16.
const key = fc.constantFrom('/a', '/a/1', '/a/2', '/b', '/b/1', '/\ufffd', '/😀');
const range: fc.Arbitrary<KeyRange> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.constantFrom(prefixRange('/'), prefixRange('/a/'), spanRange('/a', '/b'), spanRange('/a/2', '/b/2'), prefixRange('/😀')),
  },
  { weight: 1, arbitrary: fc.constant(spanRange('/b', '/a')) },
);
/** Leases are named by the order of their granting; -1 is none, and the last ones do not exist. */
const lease = fc.oneof({ weight: 3, arbitrary: fc.constant(-1) }, { weight: 2, arbitrary: fc.constantFrom(0, 1) }, fc.constant(4));
/** Revisions near the present one: an offset from it. */
const back = fc.integer({ min: -6, max: 2 });

type Step =
  | {
      readonly do: 'txn';
      readonly compare: readonly PlannedCompare[];
      readonly then: readonly Planned[];
      readonly otherwise: readonly Planned[];
    }
  | { readonly do: 'grant'; readonly ttlMs: number }
  | { readonly do: 'keepAlive'; readonly lease: number }
  | { readonly do: 'revoke'; readonly lease: number }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'watch'; readonly range: KeyRange; readonly back: number }
  | { readonly do: 'compact'; readonly back: number };
type Planned = (Exclude<Operation, { op: 'put' }> | { readonly op: 'put'; readonly key: string; readonly value: string }) & {
  readonly lease?: number;
};
interface PlannedCompare {
  readonly over: string | KeyRange;
  readonly target: 'createRevision' | 'modRevision' | 'value';
  readonly back: number | null;
  readonly value: string;
  readonly result: 'equal' | 'notEqual' | 'less' | 'greater';
}

const operation: fc.Arbitrary<Planned> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant('put' as const), key, value: fc.string({ maxLength: 4 }), lease }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('delete' as const, 'get' as const), key }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('deleteRange' as const, 'range' as const), range }) },
);
const compare: fc.Arbitrary<PlannedCompare> = fc.record({
  over: fc.oneof(key, range),
  target: fc.constantFrom('createRevision' as const, 'modRevision' as const, 'value' as const),
  back: fc.option(back, { freq: 2 }),
  value: fc.string({ maxLength: 1 }),
  result: fc.constantFrom('equal' as const, 'notEqual' as const, 'less' as const, 'greater' as const),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('txn' as const),
      compare: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(compare, { maxLength: 2 }) }),
      then: fc.array(operation, { minLength: 1, maxLength: 3 }),
      otherwise: fc.array(operation, { maxLength: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('grant' as const), ttlMs: fc.constantFrom(100, 1_000, 5_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('keepAlive' as const), lease }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), lease }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 99, 100, 950, 5_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('watch' as const), range, back }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const), back }) },
);

describe('the embedded and the simulated metadata store', () => {
  it('answer every sequence of operations alike, and show the same events', async () => {
    let watched = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 40 }), async (steps) => {
        const embedded = await runEmbedded(steps);
        const simulated = await runSimulated(steps);
        assert.deepEqual(embedded, simulated);
        watched += simulated.flat().filter((line) => isEvent(line)).length;
      }),
      { numRuns: 200 },
    );
    assert.ok(watched > 300, `the sequences write and watch: ${watched} events seen`);
  });
});

function isEvent(line: unknown): boolean {
  return typeof line === 'object' && line !== null && 'type' in line;
}

async function runEmbedded(steps: readonly Step[]): Promise<unknown[]> {
  const directory = mkdtempSync(join(tmpdir(), 'metadata-equivalence-'));
  const clock = new VirtualClock();
  const store = await EmbeddedStore.open(directory, { clock });
  try {
    return await run(steps, clock, store, (revision) => store.compact(revision));
  } finally {
    await store.close();
    rmSync(directory, { recursive: true });
  }
}

async function runSimulated(steps: readonly Step[]): Promise<unknown[]> {
  const clock = new VirtualClock();
  const server = new SimulatedStore(clock);
  return run(steps, clock, server.client('one'), (revision) => server.compact(revision));
}

/** Everything that can be seen from outside, in order. */
async function run(
  steps: readonly Step[],
  clock: VirtualClock,
  store: MetadataStore,
  compactBefore: (revision: bigint) => void,
): Promise<unknown[]> {
  const seen: unknown[] = [];
  const leases: Lease[] = [];
  const idOf = (name: number): bigint => (name < 0 ? 0n : (leases[name]?.id ?? 999_999n));
  // Lease ids are the store's own business.
  const named = (kv: KeyValue): unknown => ({
    ...kv,
    createRevision: String(kv.createRevision),
    modRevision: String(kv.modRevision),
    version: String(kv.version),
    leaseId: leases.findIndex(({ id }) => id === kv.leaseId),
  });
  const shown = (event: WatchEvent): unknown =>
    event.type === 'put' ? { type: 'put', kv: named(event.kv) } : { ...event, revision: String(event.revision) };
  let revision = (await store.get('/a')).revision;
  const toTxn = (planned: Extract<Step, { do: 'txn' }>): Txn => ({
    compare: planned.compare.map((each) => toCompare(each, revision)),
    then: planned.then.map((each) => toOperation(each, idOf)),
    otherwise: planned.otherwise.map((each) => toOperation(each, idOf)),
  });
  for (const each of steps) {
    try {
      if (each.do === 'txn') {
        const result = await store.txn(toTxn(each));
        seen.push({ succeeded: result.succeeded, revision: result.revision, responses: result.responses.map((kvs) => kvs.map(named)) });
      } else if (each.do === 'grant') leases.push(await store.grantLease(each.ttlMs));
      else if (each.do === 'keepAlive') seen.push(await leases[each.lease]?.keepAlive());
      else if (each.do === 'revoke') await leases[each.lease]?.revoke();
      else if (each.do === 'advance') await clock.advance(each.ms);
      else if (each.do === 'compact') compactBefore(atLeast(1n, revision + BigInt(each.back)));
      else {
        const from = atLeast(0n, revision + BigInt(each.back));
        const events: unknown[] = [];
        seen.push(events);
        store.watch(each.range, from, {
          onEvents: (more) => events.push(...more.map(shown)),
          onEnd: (error) => events.push(error instanceof ConnectError ? [error.code, error.message] : error),
        });
      }
    } catch (error) {
      seen.push(error instanceof ConnectError ? [error.code, error.kind] : error);
    }
    const now = await store.range({ start: '/', end: '0' });
    revision = now.revision;
    seen.push([String(revision), now.kvs.map(named)]);
  }
  await clock.advance(10_000);
  seen.push((await store.range({ start: '/', end: '0' })).kvs.map(named));
  return seen;
}

function atLeast(least: bigint, value: bigint): bigint {
  return value < least ? least : value;
}

function toOperation(planned: Planned, idOf: (lease: number) => bigint): Operation {
  const { lease: name = -1, ...operation } = planned;
  return operation.op === 'put' ? { ...operation, leaseId: idOf(name) } : operation;
}

function toCompare({ over, target, back: offset, value, result }: PlannedCompare, revision: bigint): Compare {
  const at = typeof over === 'string' ? { key: over } : { range: over };
  const near = offset === null ? 0n : revision + BigInt(offset);
  switch (target) {
    case 'value':
      return { ...at, target, value, result };
    case 'createRevision':
      return { ...at, target, value: near, result };
    case 'modRevision':
      return { ...at, target, value: near, result };
  }
}
