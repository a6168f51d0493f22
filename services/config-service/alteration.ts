import { encodeStored } from '@rocketmq-connect/cluster';
import { absent, type KeyValue, modifiedAt, type Operation, rangeEmpty } from '@rocketmq-connect/metadata-store';
import { ConnectorType, TargetState } from '@rocketmq-connect/proto/common';
import type { AlterOffset } from '@rocketmq-connect/proto/plugin';
import { StoredAlter, type StoredSpec } from '@rocketmq-connect/proto/storage';
import { type Clock, ConfigError, ConnectError, type ErrorContext, toPlainError } from '@rocketmq-connect/sdk';
import { type ConfigContext, requireRunner } from './context.ts';
import { changeSpec, notFound, requireSpec } from './specs.ts';
import { transact } from './transact.ts';

/** A change of a STOPPED connector's offsets. */
export interface OffsetAlteration {
  /** What the plugin is asked; empty for nothing. */
  readonly asks: readonly AlterOffset[];
  readonly operations: readonly Operation[];
  /** Written with the last of them. */
  readonly last: readonly Operation[];
  readonly change: (spec: StoredSpec) => StoredSpec;
  readonly changedKeys: readonly string[];
}

const pieceOperations = 50;
const pieceBytes = 512 * 1024;
const hookDeadlineMs = 10_000;

/**
 * Changes offsets while nothing owns the tasks (Invariant 4), all or nothing: `alters/{connector}` is begun, which no resume passes; the
 * plugin is asked; then all is written with the end in one transaction, or first in pieces if it is much. A refusal aborts.
 */
export async function alterOffsets(
  context: ConfigContext,
  watch: AlterWatch,
  name: string,
  who: string,
  alteration: OffsetAlteration,
): Promise<void> {
  const { spec } = await requireSpec(context, name);
  const asks = alteration.asks.length > 0;
  if (asks) requireRunner(context, 'the plugin cannot be asked about the offsets');
  const own = await begin(context, watch, name, who);
  let writing: bigint | null = null;
  try {
    if (asks) {
      const request = { plugin: spec.plugin, config: spec.config, offsets: [...alteration.asks] };
      await context.pluginHost.alterOffsets(request, { deadlineMs: hookDeadlineMs });
    }
    const pieces = inPieces(alteration.operations);
    const last = pieces.pop() ?? [];
    for (const piece of pieces) writing = await writePiece(context, name, who, writing ?? own, piece);
    await end(context, name, who, writing ?? own, alteration, last);
  } catch (error) {
    if (writing === null) await abort(context, name, own);
    throw error;
  }
}

/** Throws in Kafka Connect's words. */
export function requireStopped({ name, targetState }: StoredSpec): void {
  if (targetState === TargetState.STOPPED) return;
  const context: ErrorContext = { code: 'CONNECTOR_NOT_STOPPED', field: 'connector', remedy: 'stop the connector first' };
  throw new ConfigError(
    'Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by ' +
      `issuing a 'PUT' request to the '/connectors/${name}/stop' endpoint`,
    context,
  );
}

/** Resolves to the `mod_revision` of `alters/{connector}` by which this alteration is known. */
function begin(context: ConfigContext, watch: AlterWatch, name: string, who: string): Promise<bigint> {
  const { keys, store } = context;
  const key = keys.alter(name);
  const value = alterValue(context, who, false);
  return transact(context, async () => {
    const { spec, kv } = await requireSpec(context, name);
    requireStopped(spec);
    const [alter, owner, owners] = await Promise.all([
      store.get(key),
      store.get(keys.connectorOwner(name)),
      store.range(keys.taskOwners(name)),
    ]);
    if (owner.kv !== null || owners.kvs.length > 0) throw stillOwned(spec);
    if (alter.kv !== null && !watch.isDead(alter.kv)) throw underWay(name);
    return {
      txn: {
        compare: [
          modifiedAt(keys.spec(name), kv.modRevision),
          absent(keys.connectorOwner(name)),
          rangeEmpty(keys.taskOwners(name)),
          modifiedAt(key, alter.kv?.modRevision ?? 0n),
        ],
        then: [{ op: 'put', key, value }],
      },
      done: ({ revision }) => revision,
      readBack: async () => {
        const { kv: present } = await store.get(key);
        return present?.value === value ? present.modRevision : undefined;
      },
    };
  });
}

function writePiece(context: ConfigContext, name: string, who: string, own: bigint, piece: readonly Operation[]): Promise<bigint> {
  const key = context.keys.alter(name);
  const value = alterValue(context, who, true);
  return transact(context, async () => {
    const { kv } = await context.store.get(key);
    if (kv?.value === value) return { answer: kv.modRevision };
    if (kv?.modRevision !== own) throw takenOver(name);
    return {
      txn: { compare: [modifiedAt(key, own)], then: [...piece, { op: 'put', key, value }] },
      done: ({ revision }) => revision,
      readBack: async () => undefined,
    };
  });
}

async function end(
  context: ConfigContext,
  name: string,
  who: string,
  own: bigint,
  alteration: OffsetAlteration,
  operations: readonly Operation[],
): Promise<void> {
  const key = context.keys.alter(name);
  await changeSpec(context, name, who, notFound, async ({ spec }) => {
    const { kv } = await context.store.get(key);
    if (kv?.modRevision !== own) throw takenOver(name);
    return {
      spec: alteration.change(spec),
      what: 'offsets',
      changedKeys: alteration.changedKeys,
      compare: [modifiedAt(key, own)],
      then: [...operations, ...alteration.last, { op: 'delete', key }],
    };
  });
}

async function abort(context: ConfigContext, name: string, own: bigint): Promise<void> {
  const key = context.keys.alter(name);
  try {
    await context.store.txn({ compare: [modifiedAt(key, own)], then: [{ op: 'delete', key }] });
  } catch (error) {
    // The sweep takes it away once nobody has touched it for a while.
    context.log.warn('a change of offsets could not be aborted', { connector: name, error: toPlainError(error).message });
  }
}

function alterValue(context: ConfigContext, who: string, writing: boolean): string {
  // Tells this attempt from any other when it is read back.
  const nonce = Math.floor(context.random() * 2 ** 48).toString(16);
  return encodeStored(StoredAlter, { who: `${who === '' ? context.identity : who}#${nonce}`, writing });
}

function inPieces(operations: readonly Operation[]): Operation[][] {
  const pieces: Operation[][] = [];
  let bytes = 0;
  for (const operation of operations) {
    const size = 'value' in operation ? Buffer.byteLength(operation.value) + 300 : 300;
    const piece = pieces.at(-1);
    if (piece !== undefined && piece.length < pieceOperations && bytes + size <= pieceBytes) {
      piece.push(operation);
      bytes += size;
    } else {
      pieces.push([operation]);
      bytes = size;
    }
  }
  return pieces;
}

/**
 * Tells alterations whose process is gone: their key has not changed for longer than a live one waits for anything, by this
 * process's monotonic clock.
 */
export class AlterWatch {
  readonly #clock: Clock;
  readonly #seen = new Map<string, { readonly revision: bigint; readonly atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isDead(kv: KeyValue): boolean {
    const seen = this.#seen.get(kv.key);
    if (seen?.revision === kv.modRevision) return this.#clock.monotonic() - seen.atMs >= deadAfterMs;
    this.#seen.set(kv.key, { revision: kv.modRevision, atMs: this.#clock.monotonic() });
    return false;
  }

  /** Forgets all but these. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.#seen.keys()) if (!keys.has(key)) this.#seen.delete(key);
  }
}

const deadAfterMs = 30_000;

function stillOwned({ name, type }: StoredSpec): ConnectError {
  const kind = type === ConnectorType.SINK ? 'sink' : 'source';
  return new ConnectError(
    'conflict',
    `Failed to alter the offsets of connector ${name} because its tasks haven't stopped completely yet. This operation can be safely ` +
      `retried. If it doesn't eventually succeed, a runner may need to be restarted to get rid of the zombie ${kind} tasks.`,
    { code: 'TASKS_STILL_OWNED', field: 'connector', remedy: 'try again in a few seconds' },
  );
}

function underWay(name: string): ConnectError {
  return new ConnectError('conflict', `another change of the offsets of ${name} is under way`, {
    code: 'OFFSETS_CHANGING',
    remedy: `try again when it has ended; one that was interrupted gives way after ${deadAfterMs / 1_000} s`,
  });
}

function takenOver(name: string): ConnectError {
  return new ConnectError('conflict', `the change of the offsets of ${name} was ended by another, or the connector was deleted`, {
    code: 'OFFSETS_CHANGED_BY_OTHERS',
    remedy: 'read the offsets, and change them again',
  });
}
