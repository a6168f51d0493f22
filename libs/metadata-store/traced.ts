import type { AttributeValue, Tracer } from '@rocketmq-connect/tracing';
import type { MetadataStore, Operation, Txn } from './index.ts';

/**
 * A store whose calls show in the trace of the request that they serve; what nobody asked for is not traced. Keys are told, values never:
 * there may be secrets in them.
 */
export function tracedStore(store: MetadataStore, tracer: Tracer, system: 'etcd' | 'sqlite'): MetadataStore {
  const within = <T>(operation: string, more: Readonly<Record<string, AttributeValue>>, work: () => Promise<T>): Promise<T> => {
    const attributes = { 'db.system.name': system, 'db.operation.name': operation, ...more };
    return tracer.span(`${system} ${operation}`, { kind: 'client', attributes, onlyBelow: true }, work);
  };
  return {
    get: (key) => within('get', { 'db.query.text': key }, () => store.get(key)),
    range: (range) => within('range', { 'db.query.text': range.start }, () => store.range(range)),
    txn: (txn) => within('txn', describe(txn), () => store.txn(txn)),
    watch: (range, fromRevision, listener) => store.watch(range, fromRevision, listener),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    close: () => store.close(),
  };
}

const SHOWN = 8;

function describe({ then, compare }: Txn): Readonly<Record<string, AttributeValue>> {
  const shown = then.slice(0, SHOWN).map((operation) => `${operation.op} ${keyOf(operation)}`);
  const more = then.length > SHOWN ? [`and ${then.length - SHOWN} more`] : [];
  return { 'db.query.text': [...shown, ...more].join('; '), 'db.operation.batch.size': then.length, 'rmqc.compares': compare.length };
}

function keyOf(operation: Operation): string {
  return 'range' in operation ? `${operation.range.start}…` : operation.key;
}
