import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { type Clock, FatalError, type Random } from '@rocketmq-connect/sdk';
import type { Etcd3, IResponseHeader } from 'etcd3';
import { LeaseGoneError, StoreUnavailableError } from './errors.ts';
import { type EtcdConnection, EtcdEndpoints } from './etcd/endpoints.ts';
import { isLeaseNotFound } from './etcd/failure.ts';
import { keysOf, keyValueOf, keyValuesOf, txnRequest } from './etcd/messages.ts';
import { EtcdWatch } from './etcd/watch.ts';
import type { KeyRange, KeyValue, Lease, MetadataStore, Txn, TxnResult, Watch, WatchListener } from './index.ts';
import { checkFromRevision, checkKey, checkRange, checkTtl, checkTxn } from './limits.ts';
import { Watchers } from './watchers.ts';

export interface EtcdStoreOptions extends EtcdConnection {
  readonly clock?: Clock;
  readonly random?: Random;
}

/** The metadata store on an etcd cluster, 3.4 or newer. */
export class EtcdStore implements MetadataStore {
  readonly #endpoints: EtcdEndpoints;
  readonly #clock: Clock;
  readonly #watches = new Set<EtcdWatch>();
  #clusterId: string | undefined;

  /** Connects. Throws `StoreUnavailableError` when no member answers, `ConnectError` of kind `denied` when the user is not accepted. */
  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const store = new EtcdStore(options);
    try {
      await store.get('/rocketmq-connect/');
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  private constructor(options: EtcdStoreOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#endpoints = new EtcdEndpoints(options, this.#clock, options.random ?? Math.random);
  }

  async get(key: string): Promise<{ kv: KeyValue | null; revision: bigint }> {
    checkKey(key);
    const { kvs, header } = await this.#endpoints.call(`a read of ${key}`, true, (etcd) => etcd.kv.range({ key: Buffer.from(key) }));
    const [kv] = kvs;
    return { kv: kv === undefined ? null : keyValueOf(kv), revision: this.#revisionOf(header) };
  }

  async range(range: KeyRange): Promise<{ kvs: readonly KeyValue[]; revision: bigint }> {
    checkRange(range);
    const { kvs, header } = await this.#endpoints.call(`a read of ${range.start}`, true, (etcd) => etcd.kv.range(keysOf(range)));
    return { kvs: kvs.map(keyValueOf), revision: this.#revisionOf(header) };
  }

  async txn(txn: Txn): Promise<TxnResult> {
    checkTxn(txn);
    const request = txnRequest(txn);
    const { succeeded, header, responses } = await this.#endpoints.call('a transaction', false, (etcd) =>
      etcd.kv.txn(request).catch((error: unknown) => {
        throw isLeaseNotFound(error) ? new LeaseGoneError(leaseOf(txn)) : error;
      }),
    );
    return { succeeded, revision: this.#revisionOf(header), responses: responses.map(keyValuesOf) };
  }

  watch(range: KeyRange, fromRevision: bigint, listener: WatchListener): Watch {
    checkRange(range);
    checkFromRevision(fromRevision);
    if (this.#endpoints.closed) return new Watchers().refuse(listener, new StoreUnavailableError('the connection to etcd is closed'));
    const watch = new EtcdWatch({
      endpoints: this.#endpoints,
      clock: this.#clock,
      range,
      fromRevision,
      listener,
      check: (header) => this.#checkCluster(header),
      onOver: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    return watch;
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkTtl(ttlMs);
    const granted = await this.#endpoints.call('a new lease', false, (etcd) =>
      etcd.leaseClient.leaseGrant({ TTL: Math.ceil(ttlMs / 1000) }),
    );
    this.#checkCluster(granted.header);
    const id = BigInt(granted.ID);
    return {
      id,
      ttlMs: Number(granted.TTL) * 1000,
      keepAlive: () => this.#endpoints.call('a keep-alive', true, (etcd) => keepAlive(etcd, id, this.#endpoints.callTimeoutMs)),
      revoke: () =>
        this.#endpoints.call('the end of a lease', false, async (etcd) => {
          await etcd.leaseClient.leaseRevoke({ ID: String(id) }).catch((error: unknown) => {
            if (!isLeaseNotFound(error)) throw error;
          });
        }),
    };
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.cancel();
    this.#endpoints.close();
  }

  #revisionOf(header: IResponseHeader): bigint {
    this.#checkCluster(header);
    return BigInt(header.revision);
  }

  #checkCluster(header: IResponseHeader): void {
    this.#clusterId ??= header.cluster_id;
    if (header.cluster_id === this.#clusterId) return;
    throw new FatalError(`etcd has become another cluster: ${header.cluster_id} instead of ${this.#clusterId}`, { code: 'STORE_REPLACED' });
  }
}

// A stream per keep-alive: whatever became of the one before, this one is tried afresh.
async function keepAlive(etcd: Etcd3, id: bigint, timeoutMs: number): Promise<number> {
  const stream = await etcd.leaseClient.leaseKeepAlive({ deadline: Date.now() + timeoutMs });
  return new Promise((resolve, reject) => {
    stream.on('data', ({ TTL }) => resolve(Number(TTL) * 1000));
    stream.on('error', reject);
    stream.on('end', () => reject(new Error('14 UNAVAILABLE: the stream ended without an answer')));
    stream.write({ ID: String(id) });
    stream.end();
  });
}

// The server does not say which.
function leaseOf({ then, otherwise = [] }: Txn): bigint {
  const put = [...then, ...otherwise].find((operation) => operation.op === 'put' && operation.leaseId);
  return put?.op === 'put' ? (put.leaseId ?? 0n) : 0n;
}
