import type { Client, Implementation, Rpc, ServiceDefinition } from '@rocketmq-connect/mesh';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import type { Clock } from '@rocketmq-connect/sdk';

/**
 * One process of the simulated mesh: everything that comes in (timers, answers, watch events, requests) passes through it. A dead process
 * gets nothing in and nothing out any more; a suspended one gets it all later, in order, while time passes.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #world: Clock;
  #dead = false;
  #suspended = false;
  #resumedMs = Number.NEGATIVE_INFINITY;
  #draining = false;
  readonly #held: (() => void)[] = [];

  /** Its monotonic clock begins anywhere, and runs `clockRate` times as fast as the world's. */
  constructor(name: string, world: Clock, clockOffsetMs = 0, clockRate = 1) {
    this.name = name;
    this.#world = world;
    const bornMs = world.monotonic();
    this.clock = {
      now: () => world.now(),
      monotonic: () => clockOffsetMs + (world.monotonic() - bornMs) * clockRate,
      after: (ms, callback) => {
        let cancelled = false;
        const cancel = world.after(ms / clockRate, () => this.enter(() => cancelled || callback()));
        return () => {
          cancelled = true;
          cancel();
        };
      },
    };
  }

  get dead(): boolean {
    return this.#dead;
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  /** Monotonic ms of the world; a process that just woke may not have noticed yet how late it is. */
  get resumedMs(): number {
    return this.#resumedMs;
  }

  kill(): void {
    this.#dead = true;
    this.#held.length = 0;
  }

  suspend(): void {
    this.#suspended = true;
  }

  resume(): void {
    if (!this.#suspended) return;
    this.#suspended = false;
    this.#resumedMs = this.#world.monotonic();
    this.#drain();
  }

  /** Runs in this process: now, or when it goes on, or never. */
  enter(action: () => void): void {
    if (this.#dead) return;
    if (this.#suspended || this.#draining) this.#held.push(action);
    else action();
  }

  /** A call out of this process, with its answer on the way back in. */
  call<T>(make: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.enter(() => {
        make().then(
          (value) => this.enter(() => resolve(value)),
          (error: unknown) => this.enter(() => reject(error)),
        );
      });
    });
  }

  store(inner: MetadataStore): MetadataStore {
    return {
      get: (key) => this.call(() => inner.get(key)),
      range: (range) => this.call(() => inner.range(range)),
      txn: (txn) => this.call(() => inner.txn(txn)),
      watch: (range, fromRevision, listener) => {
        let cancelled = false;
        const watch = inner.watch(range, fromRevision, {
          onEvents: (events, revision) => this.enter(() => cancelled || listener.onEvents(events, revision)),
          onEnd: (error) => this.enter(() => cancelled || listener.onEnd(error)),
        });
        return {
          cancel: () => {
            cancelled = true;
            watch.cancel();
          },
        };
      },
      grantLease: async (ttlMs) => {
        const lease = await this.call(() => inner.grantLease(ttlMs));
        return {
          id: lease.id,
          ttlMs: lease.ttlMs,
          keepAlive: () => this.call(() => lease.keepAlive()),
          revoke: () => this.call(() => lease.revoke()),
        };
      },
      close: () => inner.close(),
    };
  }

  rpc(inner: Rpc): Rpc {
    return {
      serve: (address, implementations) =>
        inner.serve(
          address,
          implementations.map((one) => this.#served(one)),
        ),
      client: (definition, endpoints) => this.#client(definition, inner.client(definition, endpoints)),
      close: () => inner.close(),
    };
  }

  #client<S extends ServiceDefinition>(definition: S, inner: Client<S>): Client<S> {
    const client: Record<string, unknown> = {};
    for (const [name, method] of Object.entries(definition.methods)) {
      const call = inner[name] as (request: unknown, options: unknown) => unknown;
      client[name] = method.responseStream
        ? (request: unknown, options: unknown) => this.#stream(call(request, options) as AsyncIterable<unknown>)
        : (request: unknown, options: unknown) => this.call(() => call(request, options) as Promise<unknown>);
    }
    return client as Client<S>;
  }

  #served({ definition, handlers }: Implementation): Implementation {
    const served: Record<string, unknown> = {};
    for (const [name, method] of Object.entries(definition.methods)) {
      const handler = handlers[name] as unknown as (request: unknown, context: unknown) => unknown;
      const input = (request: unknown): unknown => (method.requestStream ? this.#stream(request as AsyncIterable<unknown>) : request);
      served[name] = method.responseStream
        ? (request: unknown, context: unknown) => this.#stream(handler(input(request), context) as AsyncIterable<unknown>)
        : (request: unknown, context: unknown) => this.call(async () => handler(input(request), context));
    }
    return { definition, handlers: served as unknown as Implementation['handlers'] };
  }

  #stream<T>(inner: AsyncIterable<T>): AsyncIterable<T> {
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = inner[Symbol.asyncIterator]();
        return {
          next: () => this.call(() => iterator.next()),
          return: () => this.call(async () => (await iterator.return?.()) ?? { done: true as const, value: undefined }),
        };
      },
    };
  }

  /** One at a time, each with all that it sets off, as an event loop would. */
  #drain(): void {
    this.#draining = this.#held.length > 0;
    if (!this.#draining) return;
    this.#world.after(0, () => {
      if (this.#suspended || this.#dead) return;
      this.#held.shift()?.();
      this.#drain();
    });
  }
}
