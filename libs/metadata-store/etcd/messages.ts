import {
  CompareResult,
  CompareTarget,
  type ICompare,
  type IKeyValue,
  type IRequestOp,
  type IResponseOp,
  type ITxnRequest,
  type ITxnResponse,
} from 'etcd3';
import type { Compare, KeyRange, KeyValue, Operation, Txn } from '../index.ts';

const TARGETS = { createRevision: CompareTarget.Create, modRevision: CompareTarget.Mod, value: CompareTarget.Value };
const RESULTS = {
  equal: CompareResult.Equal,
  notEqual: CompareResult.NotEqual,
  less: CompareResult.Less,
  greater: CompareResult.Greater,
};

/** The request of a checked transaction. */
export function txnRequest({ compare, then, otherwise = [] }: Txn): ITxnRequest {
  const [first] = compare;
  const failure = otherwise.map(requestOf);
  if (then.length + failure.length === 0 && first !== undefined) {
    // Without any operation a member would answer from what it happens to know; a read makes the transaction linearizable.
    failure.push({ request_range: { key: Buffer.from('key' in first ? first.key : first.range.start) } });
  }
  return { compare: compare.map(compareOf), success: then.map(requestOf), failure };
}

/** What the operations of the branch that ran answered. */
export function txnResponses(txn: Txn, { succeeded, responses }: ITxnResponse): (readonly KeyValue[])[] {
  const ran = succeeded ? txn.then : (txn.otherwise ?? []);
  return responses.slice(0, ran.length).map(keyValuesOf);
}

/** What one operation read, or what it removed. */
function keyValuesOf(response: IResponseOp): readonly KeyValue[] {
  // The decoder leaves out what is not set, whatever the type says.
  const { response_range: range, response_delete_range: deleted } = response as Partial<IResponseOp>;
  return (range?.kvs ?? deleted?.prev_kvs ?? []).map(keyValueOf);
}

export function keyValueOf(kv: IKeyValue): KeyValue {
  return {
    key: kv.key.toString('utf8'),
    value: kv.value.toString('utf8'),
    createRevision: BigInt(kv.create_revision),
    modRevision: BigInt(kv.mod_revision),
    version: BigInt(kv.version),
    leaseId: BigInt(kv.lease),
  };
}

export function keysOf(range: KeyRange): { readonly key: Buffer; readonly range_end: Buffer } {
  return { key: Buffer.from(range.start), range_end: Buffer.from(range.end) };
}

function compareOf(compare: Compare): ICompare {
  const over = 'key' in compare ? { key: Buffer.from(compare.key) } : keysOf(compare.range);
  const base = { ...over, target: TARGETS[compare.target], result: RESULTS[compare.result ?? 'equal'] };
  switch (compare.target) {
    case 'createRevision':
      return { ...base, create_revision: String(compare.value) };
    case 'modRevision':
      return { ...base, mod_revision: String(compare.value) };
    case 'value':
      return { ...base, value: Buffer.from(compare.value) };
  }
}

function requestOf(operation: Operation): IRequestOp {
  switch (operation.op) {
    case 'get':
      return { request_range: { key: Buffer.from(operation.key) } };
    case 'range':
      return { request_range: keysOf(operation.range) };
    case 'put':
      return {
        request_put: { key: Buffer.from(operation.key), value: Buffer.from(operation.value), lease: String(operation.leaseId ?? 0n) },
      };
    case 'delete':
      return { request_delete_range: { key: Buffer.from(operation.key), prev_kv: true } };
    case 'deleteRange':
      return { request_delete_range: { ...keysOf(operation.range), prev_kv: true } };
  }
}
