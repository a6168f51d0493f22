import type { ClusterKeys, UnitRef } from '@rocketmq-connect/cluster';
import { decodeStored, encodeStored } from '@rocketmq-connect/cluster/codec';
import {
  absent,
  type Compare,
  type KeyRange,
  type KeyValue,
  keyRange,
  type MetadataStore,
  modifiedAt,
  OutcomeUnknownError,
  rangeEmpty,
} from '@rocketmq-connect/metadata-store';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredOwner, StoredSpec } from '@rocketmq-connect/proto/storage';

/** This runner's registration: what its claims are bound to. */
export interface Registration {
  readonly runner: string;
  readonly session: string;
  readonly leaseId: bigint;
  /** `mod_revision` of `runners/{runner}`. */
  readonly modRevision: bigint;
  /** Puts `runners/{runner}` again until that is certain. Rejects when the session is over. */
  renew(): Promise<void>;
}

/** A unit as it is claimed: a task in its generation, or a connector instance by its spec as read. */
export interface ClaimedUnit extends UnitRef {
  /** '' for a connector instance. */
  readonly generation: string;
}

export type ClaimResult =
  /** `statusModRevision`: of the unit's status key, 0n if it has none. */
  | { readonly type: 'claimed'; readonly token: bigint; readonly statusModRevision: bigint }
  /** `blocker` null: try again after a moment. */
  | { readonly type: 'refused'; readonly blocker: Blocker | null; readonly why: string }
  /** The registration is not ours any more. */
  | { readonly type: 'sessionLost' };

/** A change here after `revision` may unblock the claim. */
export interface Blocker {
  readonly range: KeyRange;
  readonly revision: bigint;
}

export function ownerKeyOf(keys: ClusterKeys, unit: ClaimedUnit): string {
  return unit.task === undefined ? keys.connectorOwner(unit.connector) : keys.taskOwner(unit.connector, unit.generation, unit.task);
}

/**
 * One attempt to become a unit's owner (invariants 1 and 2). Rejects with `StoreUnavailableError` when nothing was written, and with the
 * session's error when that ended meanwhile.
 */
export async function claim(store: MetadataStore, keys: ClusterKeys, registration: Registration, unit: ClaimedUnit): Promise<ClaimResult> {
  const ownerKey = ownerKeyOf(keys, unit);
  const runnerKey = keys.runner(registration.runner);
  const registered = registration.modRevision;
  const condition = await conditionOf(store, keys, unit);
  if (condition.refused !== undefined) return condition.refused;
  try {
    const result = await store.txn({
      compare: [absent(ownerKey), ...condition.compare, modifiedAt(runnerKey, registered)],
      then: [
        { op: 'put', key: ownerKey, value: ownerValue(registration), leaseId: registration.leaseId },
        { op: 'get', key: keys.status(unit) },
      ],
      otherwise: [
        { op: 'get', key: ownerKey },
        { op: 'get', key: runnerKey },
        { op: 'range', range: condition.range },
      ],
    });
    if (result.succeeded)
      return { type: 'claimed', token: result.revision, statusModRevision: result.responses[1]?.[0]?.modRevision ?? 0n };
    const [owner = [], runner = [], rest = []] = result.responses;
    if (owner[0] !== undefined && isOurs(owner[0], registration)) return await adopt(store, keys, unit, owner[0]);
    if (runner[0]?.leaseId !== registration.leaseId) return { type: 'sessionLost' };
    if (runner[0].modRevision !== registered) return { type: 'refused', blocker: null, why: 'the runner registered again meanwhile' };
    const watch = (range: KeyRange): Blocker => ({ range, revision: result.revision });
    if (owner[0] !== undefined) {
      const holder = decodeStored(StoredOwner, owner[0]).runner;
      return { type: 'refused', blocker: watch(keyRange(ownerKey)), why: `owned by ${holder}` };
    }
    return condition.explain(rest, watch);
  } catch (error) {
    if (!(error instanceof OutcomeUnknownError)) throw error;
    // The claim may still land. Once our registration has a new mod revision it cannot, and what the owner key shows is final.
    await registration.renew();
    const { kv } = await store.get(ownerKey);
    if (kv !== null && isOurs(kv, registration)) return adopt(store, keys, unit, kv);
    return { type: 'refused', blocker: null, why: 'the store did not answer the claim; it did not happen' };
  }
}

interface Condition {
  readonly compare: readonly Compare[];
  /** What to read when the claim is refused, and how to tell from it why. */
  readonly range: KeyRange;
  readonly explain: (present: readonly KeyValue[], watch: (range: KeyRange) => Blocker) => ClaimResult;
  readonly refused?: ClaimResult;
}

async function conditionOf(store: MetadataStore, keys: ClusterKeys, unit: ClaimedUnit): Promise<Condition> {
  if (unit.task !== undefined) return taskCondition(keys, unit);
  const key = keys.spec(unit.connector);
  const { kv, revision } = await store.get(key);
  const changed: ClaimResult = { type: 'refused', blocker: null, why: 'the connector was changed meanwhile' };
  const condition = { compare: [modifiedAt(key, kv?.modRevision ?? 0n)], range: keyRange(key), explain: () => changed };
  if (kv !== null && decodeStored(StoredSpec, kv).targetState !== TargetState.STOPPED) return condition;
  return {
    ...condition,
    refused: { type: 'refused', blocker: { range: keyRange(key), revision }, why: 'the connector is stopped or deleted' },
  };
}

/** Invariant 2: nothing of an older generation is owned, and the generation is the published one. */
function taskCondition(keys: ClusterKeys, unit: ClaimedUnit): Condition {
  const older = keys.olderTaskOwners(unit.connector, unit.generation);
  const pointer = keys.taskSet(unit.connector);
  return {
    compare: [rangeEmpty(older), modifiedAt(pointer, BigInt(`0x${unit.generation}`))],
    range: older,
    explain: (present, watch) =>
      present.length > 0
        ? { type: 'refused', blocker: watch(older), why: `${present.length} tasks of an older generation are still owned` }
        : { type: 'refused', blocker: watch(keyRange(pointer)), why: 'another task set is published, or none' },
  };
}

async function adopt(store: MetadataStore, keys: ClusterKeys, unit: ClaimedUnit, owner: KeyValue): Promise<ClaimResult> {
  const { kv } = await store.get(keys.status(unit));
  return { type: 'claimed', token: owner.createRevision, statusModRevision: kv?.modRevision ?? 0n };
}

function isOurs(owner: KeyValue, registration: Registration): boolean {
  const { runner, session } = decodeStored(StoredOwner, owner);
  return runner === registration.runner && session === registration.session && owner.leaseId === registration.leaseId;
}

function ownerValue(registration: Registration): string {
  return encodeStored(StoredOwner, { runner: registration.runner, session: registration.session });
}
