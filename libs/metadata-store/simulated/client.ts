import { sleep } from '@rocketmq-connect/sdk';
import { OutcomeUnknownError, StoreUnavailableError } from '../errors.ts';
import type { KeyRange, Lease, MetadataStore, Txn, TxnResult, Watch, WatchEvent, WatchListener } from '../index.ts';
import { checkFromRevision, checkKey, checkRange, checkTtl, checkTxn } from '../limits.ts';
import { keyRange } from '../ranges.ts';
import type { SimulatedStore, StoreCall, StoreFault } from '../simulated.ts';
import { Watchers } from '../watchers.ts';

/** One process's connection to a simulated store. */
export class SimulatedClient implements MetadataStore {
  readonly name: string;
  closed = false;
  /** How late events reach this client's watches. */
  watchDelayMs = 0;
  /** After this a call to a store that does not answer fails. */
  timeoutMs = 2_000;
  #partitioned = false;
  readonly #store: SimulatedStore;
  readonly #faults: { readonly method: StoreCall['method'] | undefined; readonly fault: StoreFault }[] = [];
  readonly #watchers: Watchers;

  constructor(store: SimulatedStore, name: string) {
    this.#store = store;
    this.name = name;
    this.#watchers = new Watchers((deliver) => {
      if (this.watchDelayMs > 0) store.clock.after(this.watchDelayMs, deliver);
      else queueMicrotask(deliver);
    });
  }

  /** The next call (of that method) meets this fault. */
  failNext(fault: StoreFault, method?: StoreCall['method']): void {
    this.#faults.push({ method, fault });
  }

  /** Nothing gets through any more and nobody is told: calls time out, watches fall silent. */
  partition(): void {
    this.#partitioned = true;
    this.#watchers.deafen();
  }

  /** Calls get through again; the connections of the watches turn out to be broken. */
  heal(): void {
    this.#partitioned = false;
    this.cutWatches();
  }

  /** The connections of all watches break. */
  cutWatches(): void {
    this.#watchers.endAll(new StoreUnavailableError('the watch was cut'));
  }

  /** The watches that are open deliver nothing from here on, and never end. */
  deafenWatches(): void {
    this.#watchers.deafen();
  }

  async get(key: string) {
    checkKey(key);
    return this.#call({ client: this.name, method: 'get' }, () => ({
      kv: this.#store.peek(keyRange(key))[0] ?? null,
      revision: this.#store.revision,
    }));
  }

  async range(range: KeyRange) {
    checkRange(range);
    return this.#call({ client: this.name, method: 'range' }, () => ({ kvs: this.#store.peek(range), revision: this.#store.revision }));
  }

  async txn(txn: Txn): Promise<TxnResult> {
    checkTxn(txn);
    return this.#call({ client: this.name, method: 'txn', txn }, () => this.#store.txn(txn));
  }

  watch(range: KeyRange, fromRevision: bigint, listener: WatchListener): Watch {
    checkRange(range);
    checkFromRevision(fromRevision);
    if (this.closed) return this.#watchers.refuse(listener, closed());
    if (this.#partitioned) {
      const watch = this.#watchers.add(range, fromRevision, [], listener);
      this.#watchers.deafen();
      return watch;
    }
    try {
      return this.#watchers.add(range, fromRevision, this.#store.eventsSince(fromRevision), listener);
    } catch (error) {
      return this.#watchers.refuse(listener, error as Error);
    }
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkTtl(ttlMs);
    const id = await this.#call({ client: this.name, method: 'grantLease' }, () => this.#store.grant(ttlMs));
    return {
      id,
      ttlMs,
      keepAlive: () => this.#call({ client: this.name, method: 'keepAlive' }, () => this.#store.keepAlive(id)),
      revoke: () => this.#call({ client: this.name, method: 'revoke' }, () => this.#store.expireLease(id)),
    };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#watchers.endAll();
  }

  /** For the store: the events of one revision. */
  deliver(events: readonly WatchEvent[]): void {
    this.#watchers.publish(events);
  }

  async #call<T>(call: StoreCall, apply: () => T): Promise<T> {
    if (this.closed) throw closed();
    const fault = this.#faultOf(call);
    await this.#pass(fault.delayMs ?? 0);
    if (this.#partitioned) return this.#lose(call);
    switch (fault.outcome) {
      case 'unavailable':
        throw new StoreUnavailableError(`the store refused ${call.method} of ${this.name}`);
      case 'unknownNotApplied':
        throw lost(call);
      case 'unknownAppliedLater':
        this.#store.clock.after(fault.laterMs ?? 1_000, () => carryOut(apply));
        throw lost(call);
      case 'unknownApplied':
        carryOut(apply);
        throw lost(call);
    }
    const result = apply();
    await this.#pass(fault.answerDelayMs ?? 0);
    return this.#partitioned ? this.#lose(call) : result;
  }

  async #pass(ms: number): Promise<void> {
    if (ms > 0) await sleep(this.#store.clock, ms);
    else await null;
  }

  async #lose(call: StoreCall): Promise<never> {
    await sleep(this.#store.clock, this.timeoutMs);
    throw lost(call);
  }

  #faultOf(call: StoreCall): StoreFault {
    const at = this.#faults.findIndex(({ method }) => method === undefined || method === call.method);
    return (at === -1 ? this.#store.faults?.(call) : this.#faults.splice(at, 1)[0]?.fault) ?? {};
  }
}

function lost(call: StoreCall): Error {
  const message = `no answer to ${call.method} of ${call.client}`;
  return call.method === 'get' || call.method === 'range' ? new StoreUnavailableError(message) : new OutcomeUnknownError(message);
}

// Whoever asked was told that nobody knows: a refusal by the store goes the same way.
function carryOut(apply: () => unknown): void {
  try {
    apply();
  } catch (error) {
    if (!(error instanceof Error && 'kind' in error)) throw error;
  }
}

function closed(): StoreUnavailableError {
  return new StoreUnavailableError('the connection to the store is closed');
}
