import {
  type ClusterKeys,
  endpointOf,
  PrefixCache,
  registerService,
  type ServiceRegistration,
  serviceEndpoints,
} from '@rocketmq-connect/cluster';
import type { Settings } from '@rocketmq-connect/configuration';
import type { Endpoints } from '@rocketmq-connect/mesh';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { PeerKind, ProcessContext, ProcessService, SoughtKind } from './main.ts';

interface PeersDeps {
  readonly openStore: () => Promise<MetadataStore>;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly log: Logger;
  /** The address of this process where it is all there is; null in a cluster. */
  readonly own: (() => string) | null;
  readonly settings: Settings;
}

/** Of the services that others look for. */
export type Registrations = ReadonlyMap<ProcessService, ServiceRegistration>;

/** How a process finds the others and is found: by fixed addresses (`peers`), or by registrations in the store. */
export class Peers {
  readonly #deps: PeersDeps;
  readonly #caches = new Map<PeerKind, PrefixCache>();

  constructor(deps: PeersDeps) {
    this.#deps = deps;
  }

  /** Resolves when the registrations were read once, so that the first call finds somebody. */
  async endpointsOf(kind: SoughtKind): Promise<Endpoints> {
    const { settings, own } = this.#deps;
    const given = settings.peers[kind];
    if (given.length > 0) return () => given;
    if (own !== null && settings.etcd.length === 0) return () => [own()].filter((address) => address !== '');
    const cache = this.#caches.get(kind) ?? (await this.#follow(kind));
    await cache.synced;
    return () => serviceEndpoints(cache);
  }

  /** Where the runner of an id is; of fixed addresses nobody knows which is whose. */
  async runnerEndpoints(): Promise<(runner: string) => readonly string[]> {
    const all = await this.endpointsOf('runner');
    const cache = this.#caches.get('runner');
    if (cache === undefined) return all;
    return (runner) => {
      const registered = cache.entries().get(this.#deps.keys.runner(runner));
      return registered === undefined ? [] : [endpointOf(registered)].filter((address) => address !== '');
    };
  }

  /** Resolves when all were registered for the first time, and this process finds them itself: what it is asked from then on may need them. */
  async register(services: readonly ProcessService[], context: Pick<ProcessContext, 'id' | 'version' | 'address'>): Promise<Registrations> {
    const { keys, clock, log, settings } = this.#deps;
    const store = await this.#deps.openStore();
    const { id, version } = context;
    const { leaseTtlMs: ttlMs } = settings;
    const registrations = new Map<ProcessService, ServiceRegistration>();
    for (const service of services) {
      const kind = service.registersAs;
      if (kind === undefined) continue;
      const onTrouble = (error: Error): void => log.warn(`cannot register, trying on: ${error.message}`, { kind });
      const options = { store, keys, clock, kind, id, endpoint: context.address(), version, ttlMs, onTrouble };
      registrations.set(service, registerService(options));
    }
    await Promise.all([...registrations.values()].map(({ registered }) => registered));
    // A runner registers itself.
    await Promise.all(services.map(({ registersAs }) => this.#found(registersAs ?? 'runner', context.address())));
    return registrations;
  }

  close(): void {
    for (const cache of this.#caches.values()) cache.stop();
  }

  /** Resolves when the watch has told of it, where registrations of this kind are followed. */
  async #found(kind: PeerKind, address: string): Promise<void> {
    const cache = this.#caches.get(kind);
    if (cache === undefined) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!serviceEndpoints(cache).includes(address)) return;
        forget();
        resolve();
      };
      const forget = cache.onChange(look);
      look();
    });
  }

  async #follow(kind: PeerKind): Promise<PrefixCache> {
    const { keys, clock, log } = this.#deps;
    const cache = new PrefixCache({
      store: await this.#storeFor(kind),
      range: kind === 'runner' ? keys.runners : keys.servicesOf(kind),
      clock,
      onSetBack: (error) =>
        log.error(`${error.message}: the addresses of others stay as they are; restart when the store is right`, { kind }),
      onTrouble: (error) => log.debug('looking for others is interrupted and goes on', { kind, error: error.message }),
    });
    this.#caches.set(kind, cache);
    cache.start();
    return cache;
  }

  async #storeFor(kind: PeerKind): Promise<MetadataStore> {
    try {
      return await this.#deps.openStore();
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== 'ETCD_MISSING') throw error;
      throw new ConnectError('config', `neither an etcd is given nor the addresses of ${kind} services`, {
        code: error.code,
        field: 'etcd',
        remedy: `give --etcd host:port[,…] (RMQC_ETCD, or etcd in the file), or fixed addresses with --peers-${kind}`,
      });
    }
  }
}
