import { type EtcdCluster, freePorts } from '../support/etcd-cluster.ts';
import { rocketmq } from '../support/rocketmq.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { PROCESSES } from './faults.ts';

export type Far = 'etcd' | 'broker' | 'config-services';

/** The connections of each process to others: through proxies of its own, which can be cut or silenced. */
export class Links {
  readonly #proxies = new Map<string, readonly TcpProxy[]>();
  readonly #args = new Map<string, readonly string[]>();

  static async open(etcd: EtcdCluster): Promise<Links> {
    const links = new Links();
    const toEtcd = async (id: string, renames: Readonly<Record<string, string>> = {}): Promise<readonly string[]> => {
      const endpoints = await links.#add('etcd', id, etcd.endpoints, renames);
      return ['--etcd', endpoints.join(',')];
    };
    const configs = PROCESSES['config-service'];
    const ports = await freePorts(configs.length);
    for (const [i, id] of configs.entries()) links.#args.set(id, [...(await toEtcd(id)), '--grpc-port', String(ports[i])]);
    for (const id of [...PROCESSES.scheduler, ...PROCESSES.gateway]) links.#args.set(id, await toEtcd(id));
    const addresses = ports.map((port) => `127.0.0.1:${port}`);
    for (const id of PROCESSES['task-runner']) {
      // A runner learns in etcd where config-services are, and from the name server where the broker is: there it reads of proxies.
      const near = await links.#add('config-services', id, addresses);
      const [broker = ''] = await links.#add('broker', id, [rocketmq.broker]);
      const names = await TcpProxy.open(rocketmq.nameServer, { [rocketmq.broker]: broker });
      links.#proxies.set(keyOf('name server', id), [names]);
      const ofEtcd = await toEtcd(id, Object.fromEntries(addresses.map((address, i) => [address, near[i] ?? address])));
      links.#args.set(id, [...ofEtcd, '--rocketmq-namesrv', names.address]);
    }
    return links;
  }

  /** For the command line of a process. */
  argsOf(id: string): readonly string[] {
    return this.#args.get(id) ?? [];
  }

  /** Breaks its connections and lets it make none. */
  cut(far: Far, id: string): void {
    for (const proxy of this.#of(far, id)) proxy.refuse();
  }

  /** No connection breaks, but nothing passes any more. */
  silence(far: Far, id: string): void {
    for (const proxy of this.#of(far, id)) proxy.silence();
  }

  /** All is well again; what waited passes first. */
  heal(): void {
    for (const proxies of this.#proxies.values()) for (const proxy of proxies) proxy.heal();
  }

  close(): void {
    for (const proxies of this.#proxies.values()) for (const proxy of proxies) proxy.close();
  }

  async #add(far: Far, id: string, targets: readonly string[], renames: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
    const proxies = await Promise.all(targets.map((target) => TcpProxy.open(target, renames)));
    this.#proxies.set(keyOf(far, id), proxies);
    return proxies.map(({ address }) => address);
  }

  #of(far: Far, id: string): readonly TcpProxy[] {
    return this.#proxies.get(keyOf(far, id)) ?? [];
  }
}

function keyOf(far: Far | 'name server', id: string): string {
  return `${id} to ${far}`;
}
