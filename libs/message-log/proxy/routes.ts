import type { Clock } from '@rocketmq-connect/sdk';
import type { Proxies } from './proxies.ts';
import { isOk, statusError } from './status.ts';
import { endpointsOf, methods, resource, wire } from './wire.ts';

/** A queue of a topic, and the proxies that its broker is reached by. */
export interface RoutedQueue {
  readonly broker: string;
  readonly queue: number;
  readonly addresses: readonly string[];
  readonly readable: boolean;
  readonly writable: boolean;
}

export interface Route {
  /** Sorted by broker, then queue. */
  readonly queues: readonly RoutedQueue[];
  /** Kinds of messages that the topic takes. */
  readonly types: readonly number[];
}

export interface RoutesSettings {
  /** As configured. */
  readonly addresses: readonly string[];
  readonly clientId: string;
  readonly clock: Clock;
  readonly routeRefreshMs: number;
}

interface Known {
  readonly route: Route;
  readonly sinceMs: number;
}

/** Where topics are. Answers of proxies are kept for a while; what turns out to be wrong is asked for anew. */
export class Routes {
  readonly #settings: RoutesSettings;
  readonly #proxies: Proxies;
  readonly #known = new Map<string, Known>();

  constructor(settings: RoutesSettings, proxies: Proxies) {
    this.#settings = settings;
    this.#proxies = proxies;
  }

  /** Rejects with `DataError` TOPIC_NOT_FOUND. A proxy remembers for about 20 s that a topic was not there. */
  async of(topic: string): Promise<Route> {
    const { clock, routeRefreshMs } = this.#settings;
    const known = this.#known.get(topic);
    if (known !== undefined && clock.monotonic() - known.sinceMs < routeRefreshMs) return known.route;
    return this.fresh(topic);
  }

  async fresh(topic: string): Promise<Route> {
    const { addresses, clientId, clock } = this.#settings;
    const connection = await this.#proxies.any(addresses);
    const request = new wire.QueryRouteRequest().setTopic(resource(topic)).setEndpoints(endpointsOf(addresses));
    const answer = await connection.call(methods.queryRoute, request, clientId);
    if (!isOk(answer.getStatus())) throw statusError(`the route of topic ${topic}`, connection.address, answer.getStatus());
    const route = parse(answer.getMessageQueuesList(), addresses);
    this.#known.set(topic, { route, sinceMs: clock.monotonic() });
    return route;
  }

  /** What is known of the topic may be wrong. */
  doubt(topic: string): void {
    this.#known.delete(topic);
  }
}

type WireQueue = ReturnType<InstanceType<typeof wire.QueryRouteResponse>['getMessageQueuesList']>[number];

function parse(queues: readonly WireQueue[], configured: readonly string[]): Route {
  const { READ, WRITE, READ_WRITE } = wire.Permission;
  const byName = new Map<string, RoutedQueue>();
  for (const one of queues) {
    const broker = one.getBroker();
    const permission = one.getPermission();
    const name = `${broker?.getName()}/${one.getId()}`;
    // Slaves are listed like masters.
    if (broker === undefined || (permission !== READ && permission !== WRITE && permission !== READ_WRITE) || byName.has(name)) continue;
    const addresses = (broker.getEndpoints()?.getAddressesList() ?? []).map((address) => `${address.getHost()}:${address.getPort()}`);
    byName.set(name, {
      broker: broker.getName(),
      queue: one.getId(),
      // A proxy names itself by the host it was reached by and its own port, which may lie behind another.
      addresses: [...new Set([...addresses, ...configured])],
      readable: permission !== WRITE,
      writable: permission !== READ,
    });
  }
  return {
    queues: [...byName.values()].sort((a, b) => (a.broker === b.broker ? a.queue - b.queue : a.broker < b.broker ? -1 : 1)),
    types: queues[0]?.getAcceptMessageTypesList() ?? [],
  };
}
