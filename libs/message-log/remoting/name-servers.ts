import { type Clock, ConnectError, RetriableError } from '@rocketmq-connect/sdk';
import { topicNotFound } from '../checks.ts';
import type { Request } from './connection.ts';
import { adviceIn } from './connection-trouble.ts';
import type { Connections } from './connections.ts';
import type { Frame } from './frame.ts';
import { parseRoute, routeRequest, type TopicRoute } from './requests/route.ts';
import { type ClusterInfo, clusterRequest, parseCluster } from './requests/topics.ts';
import { ResponseCode, responseError } from './response-code.ts';

export interface NameServerSettings {
  readonly addresses: readonly string[];
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** A cached route is asked for again after this time. */
  readonly routeRefreshMs: number;
}

interface KnownRoute {
  readonly route: TopicRoute;
  /** Monotonic. */
  freshUntilMs: number;
}

/** Asks name servers for routes: any of them answers, the next is asked when one does not. */
export class NameServers {
  readonly addresses: readonly string[];
  readonly #settings: NameServerSettings;
  readonly #connections: Connections;
  readonly #known = new Map<string, KnownRoute>();
  readonly #asking = new Map<string, Promise<TopicRoute>>();
  #preferred = 0;
  #isProxy: boolean | undefined;

  constructor(settings: NameServerSettings, connections: Connections) {
    this.addresses = settings.addresses;
    this.#settings = settings;
    this.#connections = connections;
  }

  /**
   * The route as last heard of, for what goes to a broker that decides by itself. A name server that lost its memory in a restart, or one that is
   * away, must not stop what runs: then the route known before still counts.
   */
  async route(topic: string): Promise<TopicRoute> {
    const known = this.#known.get(topic);
    const now = this.#settings.clock.monotonic();
    if (known !== undefined && now < known.freshUntilMs) return known.route;
    try {
      return await this.freshRoute(topic);
    } catch (error) {
      if (known === undefined) throw error;
      known.freshUntilMs = now + STALE_MS;
      return known.route;
    }
  }

  /** Rejects with `DataError` TOPIC_NOT_FOUND; with `RetriableError` when no name server answers or no broker is registered. */
  freshRoute(topic: string): Promise<TopicRoute> {
    let asking = this.#asking.get(topic);
    if (asking === undefined) {
      asking = this.#askRoute(topic).finally(() => this.#asking.delete(topic));
      this.#asking.set(topic, asking);
    }
    return asking;
  }

  /** The next `route` of this topic is asked for anew: what it said did not hold. */
  doubt(topic: string): void {
    const known = this.#known.get(topic);
    if (known !== undefined) known.freshUntilMs = 0;
  }

  /** The topic is gone. */
  forget(topic: string): void {
    this.#known.delete(topic);
  }

  async cluster(): Promise<ClusterInfo> {
    const frame = await this.ask(clusterRequest());
    if (frame.code !== ResponseCode.success) throw responseError('the brokers of the cluster', 'the name server', frame);
    return parseCluster(frame);
  }

  /** Whether a RocketMQ 5 proxy stands in the place of the name server: it knows no cluster. False while nobody can tell. */
  async isProxy(): Promise<boolean> {
    try {
      this.#isProxy ??= (await this.ask(clusterRequest())).code === ResponseCode.requestCodeNotSupported;
    } catch {
      return false;
    }
    return this.#isProxy;
  }

  /** The first answer of any name server, beginning with the one that answered last. */
  async ask(request: Request): Promise<Frame> {
    const { addresses, requestTimeoutMs } = this.#settings;
    let failure: unknown;
    for (let i = 0; i < addresses.length; i++) {
      const index = (this.#preferred + i) % addresses.length;
      try {
        const connection = await this.#connections.to(addresses[index] ?? '');
        const frame = await connection.invoke(request, requestTimeoutMs);
        this.#preferred = index;
        return frame;
      } catch (error) {
        if (error instanceof ConnectError && error.code === 'LOG_CLOSED') throw error;
        failure = error;
      }
    }
    throw new RetriableError(`no name server of ${addresses.join(', ')} answers: ${String((failure as Error | undefined)?.message)}`, {
      code: 'NAME_SERVER_UNAVAILABLE',
      field: 'rocketmq.namesrv',
      remedy: 'Check the addresses, and that the name server runs.',
      ...(failure instanceof ConnectError ? adviceIn(failure) : {}),
      cause: failure,
    });
  }

  async #askRoute(topic: string): Promise<TopicRoute> {
    const frame = await this.ask(routeRequest(topic));
    if (frame.code === ResponseCode.topicNotExist) {
      if (await this.#isEmpty()) {
        throw new RetriableError(`no broker is registered with the name server, so nobody knows topic ${topic}`, {
          code: 'BROKER_UNAVAILABLE',
        });
      }
      throw topicNotFound(topic);
    }
    if (frame.code !== ResponseCode.success) throw responseError(`the route of ${topic}`, 'the name server', frame);
    const route = parseRoute(frame);
    this.#known.set(topic, { route, freshUntilMs: this.#settings.clock.monotonic() + this.#settings.routeRefreshMs });
    return route;
  }

  /** Just started: brokers register anew within half a minute. A proxy in the place of a name server cannot tell. */
  async #isEmpty(): Promise<boolean> {
    const frame = await this.ask(clusterRequest());
    return frame.code === ResponseCode.success && parseCluster(frame).masters.size === 0;
  }
}

/** So long a route that could not be refreshed is used before the next try. */
const STALE_MS = 1_000;
