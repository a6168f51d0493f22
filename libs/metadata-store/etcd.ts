import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { type Clock, ConnectError, type Random, sleep } from '@rocketmq-connect/sdk';
import type { Etcd3, IResponseHeader } from 'etcd3';
import type { EtcdConnection } from './connection.ts';
import { LeaseGoneError, StoreSetBackError, StoreUnavailableError } from './errors.ts';
import { EtcdEndpoints } from './etcd/endpoints.ts';
import { isLeaseNotFound } from './etcd/failure.ts';
import { EtcdFigures } from './etcd/figures.ts';
import { checkMembers } from './etcd/members.ts';
import { keysOf, keyValueOf, txnRequest, txnResponses } from './etcd/messages.ts';
import { EtcdWatch } from './etcd/watch.ts';
import type { KeyRange, KeyValue, Lease, MetadataStore, Txn, TxnResult, Watch, WatchListener } from './index.ts';
import { checkFromRevision, checkKey, checkRange, checkTtl, checkTxn } from './limits.ts';
import { Watchers } from './watchers.ts';

export interface EtcdStoreOptions extends EtcdConnection {
  readonly clock?: Clock;
  readonly random?: Random;
  /** How long `open` waits for etcd to answer. Default 30 s. */
  readonly openTimeoutMs?: number;
  /** etcd does not answer yet, or a member is not as it should be. For the log. */
  readonly onTrouble?: (error: Error) => void;
  /** Kept up to date. */
  readonly figures?: EtcdFigures;
}

const RETRY_MS = 500;
const RETRY_MS_MAX = 5_000;

/** The metadata store on an etcd cluster, 3.4 or newer. */
export class EtcdStore implements MetadataStore {
  readonly #endpoints: EtcdEndpoints;
  readonly #clock: Clock;
  readonly #watches = new Set<EtcdWatch>();
  #clusterId: string | undefined;
  /** The highest revision that any answer showed. */
  #revision = 0n;
  /** Once set, every call fails with it. */
  #setBack: StoreSetBackError | undefined;

  /**
   * Connects, and looks at every member. Throws `StoreUnavailableError` when none answers in time, `ConnectError` of kind `denied` when
   * the user is not accepted, of kind `config` or `fatal` when this is no etcd that can be used.
   */
  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const store = new EtcdStore(options);
    try {
      await store.#connect(options);
      for (const warning of await checkMembers(store.#endpoints)) options.onTrouble?.(warning);
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  private constructor(options: EtcdStoreOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#endpoints = new EtcdEndpoints(options, this.#clock, options.random ?? Math.random, options.figures ?? new EtcdFigures());
  }

  async get(key: string): Promise<{ kv: KeyValue | null; revision: bigint }> {
    checkKey(key);
    const { kvs, header } = await this.#linearizable(`a read of ${key}`, true, (etcd) => etcd.kv.range({ key: Buffer.from(key) }));
    const [kv] = kvs;
    return { kv: kv === undefined ? null : keyValueOf(kv), revision: BigInt(header.revision) };
  }

  async range(range: KeyRange): Promise<{ kvs: readonly KeyValue[]; revision: bigint }> {
    checkRange(range);
    const { kvs, header } = await this.#linearizable(`a read of ${range.start}`, true, (etcd) => etcd.kv.range(keysOf(range)));
    return { kvs: kvs.map(keyValueOf), revision: BigInt(header.revision) };
  }

  async txn(txn: Txn): Promise<TxnResult> {
    checkTxn(txn);
    const request = txnRequest(txn);
    const response = await this.#linearizable('a transaction', false, (etcd) =>
      etcd.kv.txn(request).catch((error: unknown) => {
        throw isLeaseNotFound(error) ? new LeaseGoneError(leaseOf(txn)) : error;
      }),
    );
    return { succeeded: response.succeeded, revision: BigInt(response.header.revision), responses: txnResponses(txn, response) };
  }

  watch(range: KeyRange, fromRevision: bigint, listener: WatchListener): Watch {
    checkRange(range);
    checkFromRevision(fromRevision);
    const refused = this.#setBack ?? (this.#endpoints.closed ? new StoreUnavailableError('the connection to etcd is closed') : undefined);
    if (refused !== undefined) return new Watchers().refuse(listener, refused);
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
    const granted = await this.#call('a new lease', false, (etcd) => etcd.leaseClient.leaseGrant({ TTL: Math.ceil(ttlMs / 1000) }));
    const id = BigInt(granted.ID);
    const grantedMs = Number(granted.TTL) * 1000;
    // So short that there is time to ask another member.
    const timeoutMs = Math.min(this.#endpoints.callTimeoutMs, grantedMs / 8);
    return {
      id,
      ttlMs: grantedMs,
      keepAlive: async () => {
        const { TTL } = await this.#call('a keep-alive', true, (etcd) => keepAlive(etcd, id, timeoutMs));
        return Number(TTL) * 1000;
      },
      revoke: async () => {
        await this.#call('the end of a lease', false, (etcd) =>
          etcd.leaseClient.leaseRevoke({ ID: String(id) }).catch((error: unknown) => {
            if (!isLeaseNotFound(error)) throw error;
            return {};
          }),
        );
      },
    };
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.cancel();
    this.#endpoints.close();
  }

  async #connect({ openTimeoutMs = 30_000, onTrouble }: EtcdStoreOptions): Promise<void> {
    const giveUpMs = this.#clock.monotonic() + openTimeoutMs;
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      try {
        // Any key will do where every key may be read; a role that may not read it has been accepted all the same.
        await this.get('/rocketmq-connect/');
        return;
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        if (error.code === 'STORE_PERMISSION_DENIED') return;
        if (error.kind !== 'unavailable' || this.#clock.monotonic() + retryMs > giveUpMs) throw error;
        onTrouble?.(error);
      }
      await sleep(this.#clock, retryMs);
    }
  }

  /** A call whose answer shows a revision that is no lower than any that was seen before the call began. */
  async #linearizable<T extends { readonly header: IResponseHeader }>(
    what: string,
    repeatable: boolean,
    run: (etcd: Etcd3) => Promise<T>,
  ): Promise<T> {
    const seen = this.#revision;
    const answer = await this.#call(what, repeatable, run);
    const revision = BigInt(answer.header.revision);
    if (revision < seen) throw this.#refuse(`etcd answers revision ${revision} after it had answered ${seen}: it was set back`);
    if (revision > this.#revision) this.#revision = revision;
    return answer;
  }

  async #call<T extends { readonly header?: IResponseHeader }>(
    what: string,
    repeatable: boolean,
    run: (etcd: Etcd3) => Promise<T>,
  ): Promise<T> {
    if (this.#setBack !== undefined) throw this.#setBack;
    const answer = await this.#endpoints.call(what, repeatable, run);
    if (answer.header !== undefined) this.#checkCluster(answer.header);
    return answer;
  }

  #checkCluster({ cluster_id }: IResponseHeader): void {
    this.#clusterId ??= cluster_id;
    if (cluster_id !== this.#clusterId) {
      throw this.#refuse(`behind the addresses of etcd stands another cluster now: ${cluster_id} instead of ${this.#clusterId}`);
    }
  }

  #refuse(message: string): StoreSetBackError {
    this.#setBack ??= new StoreSetBackError(message);
    for (const watch of this.#watches) watch.end(this.#setBack);
    return this.#setBack;
  }
}

// A stream per keep-alive: whatever became of the one before, this one is tried afresh.
async function keepAlive(etcd: Etcd3, id: bigint, timeoutMs: number): Promise<{ readonly TTL: string; readonly header: IResponseHeader }> {
  const stream = await etcd.leaseClient.leaseKeepAlive({ deadline: Date.now() + timeoutMs });
  return new Promise((resolve, reject) => {
    stream.on('data', resolve);
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
