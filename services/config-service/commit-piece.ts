import type { ClusterKeys } from '@rocketmq-connect/cluster';
import { decodeStored, encodeStored } from '@rocketmq-connect/cluster';
import { type Compare, createdAt, type KeyValue, modifiedAt, type Operation } from '@rocketmq-connect/metadata-store';
import { type CommitRequest, CommitResult } from '@rocketmq-connect/proto/commit';
import { StoredCommit, StoredOffset, StoredSinkState, StoredStatus } from '@rocketmq-connect/proto/storage';
import { ConfigError } from '@rocketmq-connect/sdk';
import { canonicalPartition, queueHash, sourceHash } from './partition.ts';

/** A piece and where it goes: the owner key that must hold its token, and the fence of its task. */
export interface Piece {
  readonly request: CommitRequest;
  readonly ownerKey: string;
  readonly fenceKey: string;
}

/** What the store said about a piece's owner and fence. */
export interface Fence {
  readonly owner: KeyValue | undefined;
  readonly last: KeyValue | undefined;
}

export function pieceOf(keys: ClusterKeys, request: CommitRequest): Piece {
  const { connector, task, generation } = request;
  return { request, ownerKey: keys.taskOwner(connector, generation, task), fenceKey: keys.commit(connector, task) };
}

/**
 * The answer that a fence gives without a write, or null to write. Invariant 3: equal (token, sequence) was stored before, a lower
 * sequence is a late duplicate, and without the owner key nothing is accepted.
 */
export function decideByFence({ request }: Piece, { owner, last }: Fence): CommitResult | null {
  const stored = last === undefined ? undefined : decodeStored(StoredCommit, last);
  if (stored !== undefined && stored.token === request.token) {
    if (request.sequence === stored.sequence) return CommitResult.OK;
    if (request.sequence < stored.sequence) return CommitResult.STALE;
  }
  if (stored !== undefined && stored.token > request.token) return CommitResult.FENCED;
  return owner?.createRevision === request.token ? null : CommitResult.FENCED;
}

/** The writes of a piece, guarded so that nothing of it applies unless all does, once. */
export function writesOf(
  keys: ClusterKeys,
  piece: Piece,
  fence: Fence,
  plugin: string,
): { readonly compare: readonly Compare[]; readonly then: readonly Operation[] } {
  const { request, ownerKey, fenceKey } = piece;
  const { connector, task, generation, token, sequence, marks, release } = request;
  const then = new Map<string, Operation>();
  for (const offset of request.offsets) {
    const operation = offsetOperation(keys, connector, { ...offset, token, plugin });
    then.set(operation.key, operation);
  }
  for (const [name, stateJson] of Object.entries(request.sinkStates)) {
    const key = keys.sinkState(connector, name);
    then.set(key, { op: 'put', key, value: encodeStored(StoredSinkState, { name, stateJson, token }) });
  }
  const topics = topicsAfter(request, fence.last);
  const commit = { token, sequence, generation, released: release, marks, topics };
  const operations: Operation[] = [...then.values(), { op: 'put', key: fenceKey, value: encodeStored(StoredCommit, commit) }];
  if (release) {
    operations.push({ op: 'delete', key: ownerKey });
    if (request.releaseStatus !== undefined) {
      const value = encodeStored(StoredStatus, { ...request.releaseStatus, token, generation });
      operations.push({ op: 'put', key: keys.status({ connector, task }), value });
    }
  }
  return { compare: [createdAt(ownerKey, token), modifiedAt(fenceKey, fence.last?.modRevision ?? 0n)], then: operations };
}

/** Those used before, then the new ones; the oldest go when they become too many for a value that is written with every commit. */
function topicsAfter({ topics, offsets }: CommitRequest, last: KeyValue | undefined): string[] {
  const before = last === undefined ? [] : decodeStored(StoredCommit, last).topics;
  const used = [...topics, ...offsets.flatMap(({ queue }) => queue?.topic ?? [])];
  return [...new Set([...before, ...used])].slice(-TOPICS_MAX);
}

/** A position as it is stored; a source offset without a value removes it. */
export function offsetOperation(keys: ClusterKeys, connector: string, offset: StoredOffset): Extract<Operation, { op: 'put' | 'delete' }> {
  if (offset.queue !== undefined) {
    const key = keys.offset(connector, queueHash(offset.queue));
    return { op: 'put', key, value: encodeStored(StoredOffset, offset) };
  }
  const key = keys.offset(connector, sourceHash(offset.partitionJson));
  if (offset.offsetJson === '') return { op: 'delete', key };
  const partitionJson = canonicalPartition(offset.partitionJson);
  return { op: 'put', key, value: encodeStored(StoredOffset, { ...offset, partitionJson }) };
}

export const pieceOffsetsMax = 50;
const sinkStateBytesMax = 64 * 1024;
const pieceOperationsMax = 97;
const pieceBytesMax = 900 * 1024;
const TOPICS_MAX = 100;

/** Throws `ConfigError` for a piece that can never be stored. */
export function checkPiece(request: CommitRequest): void {
  const { offsets, sinkStates, marks } = request;
  if (request.task < 0 || request.connector === '') throw wrong('task', 'a commit is of a task');
  if (request.token <= 0n || request.sequence <= 0n) throw wrong('token', 'a commit needs a token and a sequence above 0');
  if (offsets.length > pieceOffsetsMax) throw wrong('offsets', `a piece has ${offsets.length} offsets, more than ${pieceOffsetsMax}`);
  const states = Object.entries(sinkStates);
  if (offsets.length + states.length > pieceOperationsMax) throw wrong('sink_states', `a piece has ${states.length} sink states, too many`);
  for (const [name, state] of states) {
    const bytes = Buffer.byteLength(state);
    if (bytes > sinkStateBytesMax) throw wrong('sink_states', `the sink state ${name} has ${bytes} bytes, more than ${sinkStateBytesMax}`);
    if (name === '') throw wrong('sink_states', 'a sink state has no name');
  }
  for (const { queue, partitionJson } of offsets) if (queue === undefined) sourceHash(partitionJson);
  const bytes = bytesOf(request);
  if (bytes > pieceBytesMax) throw wrong('offsets', `a piece has ${bytes} bytes with ${marks.length} marks, more than ${pieceBytesMax}`);
}

/** About what a piece adds to a transaction. */
export function bytesOf({ offsets, sinkStates, marks, topics, releaseStatus, connector }: CommitRequest): number {
  const keyBytes = 200 + connector.length;
  let bytes = 3 * keyBytes + (releaseStatus === undefined ? 0 : 500 + 2 * releaseStatus.error.length);
  for (const { partitionJson, offsetJson } of offsets) bytes += keyBytes + 200 + jsonBytes(partitionJson) + jsonBytes(offsetJson);
  for (const [name, state] of Object.entries(sinkStates)) bytes += keyBytes + 100 + jsonBytes(name) + jsonBytes(state);
  for (const topic of topics) bytes += jsonBytes(topic);
  for (const { queue } of marks) bytes += 100 + jsonBytes(queue?.topic ?? '') + jsonBytes(queue?.broker ?? '');
  return bytes;
}

// Stored as a JSON string, where quotes and the like are escaped.
function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

function wrong(field: string, message: string): ConfigError {
  return new ConfigError(message, { code: 'PIECE_INVALID', field, remedy: 'send smaller pieces' });
}
