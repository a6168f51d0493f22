import { decodeStored, encodeStored, generationOf } from '@rocketmq-connect/cluster';
import { type Compare, type KeyValue, modifiedAt, type Operation } from '@rocketmq-connect/metadata-store';
import { StoredHistory, StoredSpec } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { ConfigContext } from './context.ts';
import { transact } from './transact.ts';

/** A connector's spec as a linearizable read gave it. */
export interface CurrentSpec {
  readonly kv: KeyValue;
  readonly spec: StoredSpec;
  /** The store's revision of the read. */
  readonly revision: bigint;
  readonly history: readonly KeyValue[];
}

export interface SpecChange {
  readonly spec: StoredSpec;
  readonly what: 'config' | 'lifecycle' | 'offsets';
  readonly changedKeys: readonly string[];
  readonly compare?: readonly Compare[];
  readonly then?: readonly Operation[];
}

export async function readSpec(context: ConfigContext, name: string): Promise<{ current: CurrentSpec | null; revision: bigint }> {
  const { keys, store } = context;
  const { responses, revision } = await store.txn({
    compare: [],
    then: [
      { op: 'get', key: keys.spec(name) },
      { op: 'range', range: keys.histories(name) },
    ],
  });
  const kv = responses[0]?.[0];
  if (kv === undefined) return { current: null, revision };
  return { current: { kv, spec: decodeStored(StoredSpec, kv), revision, history: responses[1] ?? [] }, revision };
}

/** The spec, or `notFound` in Kafka Connect's words. */
export async function requireSpec(
  context: ConfigContext,
  name: string,
  missing: (name: string) => ConnectError = notFound,
): Promise<CurrentSpec> {
  const { current } = await readSpec(context, name);
  if (current === null) throw missing(name);
  return current;
}

/** Changes a spec by `decide`, which is asked again after each lost race; null leaves it as it is. Resolves to the spec in force. */
export function changeSpec(
  context: ConfigContext,
  name: string,
  who: string,
  missing: (name: string) => ConnectError,
  decide: (current: CurrentSpec) => Promise<SpecChange | null>,
): Promise<StoredSpec> {
  return transact(context, async () => {
    const current = await requireSpec(context, name, missing);
    const change = await decide(current);
    if (change === null) return { answer: current.spec };
    const key = context.keys.spec(name);
    const entry = historyEntry(context, current, who, change);
    return {
      txn: {
        compare: [modifiedAt(key, current.kv.modRevision), ...(change.compare ?? [])],
        then: [
          { op: 'put', key, value: encodeStored(StoredSpec, change.spec, current.kv.value) },
          ...entry.operations,
          ...(change.then ?? []),
        ],
      },
      done: () => change.spec,
      // The key of its history entry names the revision that a change was made from, so it tells also what was changed again since.
      readBack: async () => ((await context.store.get(entry.key)).kv?.value === entry.value ? change.spec : undefined),
    };
  });
}

const historyMax = 50;

function historyEntry(context: ConfigContext, current: CurrentSpec, who: string, change: SpecChange) {
  const { name } = current.spec;
  const key = context.keys.history(name, generationOf(current.kv.modRevision));
  const value = historyValue(context, who, change.what, change.changedKeys, change.spec.configRevision);
  const excess = current.history.slice(0, Math.max(0, current.history.length + 1 - historyMax));
  const operations: Operation[] = [
    { op: 'put', key, value },
    ...excess.slice(0, 10).map((old): Operation => ({ op: 'delete', key: old.key })),
  ];
  return { key, value, operations };
}

export function historyValue(
  context: ConfigContext,
  who: string,
  what: string,
  changedKeys: readonly string[],
  configRevision: bigint,
): string {
  return encodeStored(StoredHistory, {
    atMs: BigInt(Math.floor(context.clock.now())),
    who: who === '' ? context.identity : who,
    what,
    changedKeys: [...changedKeys],
    configRevision,
  });
}

export function notFound(name: string): ConnectError {
  return new ConnectError('notFound', `Connector ${name} not found`, { code: 'NOT_FOUND', field: 'name' });
}
