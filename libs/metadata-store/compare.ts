import type { Compare, KeyValue } from './index.ts';

/** Whether a compare holds over the keys that are present. What is absent has revision 0 and, as in etcd, no value that anything matches. */
export function holds(compare: Compare, present: readonly KeyValue[]): boolean {
  if (present.length === 0) return compare.target !== 'value' && matches(sign(0n, compare.value), compare.result);
  return present.every((kv) =>
    compare.target === 'value'
      ? matches(Buffer.compare(Buffer.from(kv.value), Buffer.from(compare.value)), compare.result)
      : matches(sign(kv[compare.target], compare.value), compare.result),
  );
}

function matches(order: number, result: Compare['result'] = 'equal'): boolean {
  switch (result) {
    case 'equal':
      return order === 0;
    case 'notEqual':
      return order !== 0;
    case 'less':
      return order < 0;
    case 'greater':
      return order > 0;
  }
}

function sign(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
