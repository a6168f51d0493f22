import { type Clock, DataError, RetriableError } from '@rocketmq-connect/sdk';
import type { Request } from './connection.ts';
import type { Connections } from './connections.ts';
import type { Frame } from './frame.ts';
import { parseRoute, routeRequest, type TopicRoute } from './requests/route.ts';
import { ResponseCode, responseError } from './response-code.ts';

export interface NameServerSettings {
  readonly addresses: readonly string[];
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** A cached route is asked for again after this time. */
  readonly routeRefreshMs: number;
}

/** Asks name servers for routes: any of them answers, the next is asked when one does not. */
export class NameServers {
  readonly #settings: NameServerSettings;
  readonly #connections: Connections;
  readonly #routes = new Map<string, { readonly route: TopicRoute; readonly atMs: number }>();
  #preferred = 0;

  constructor(settings: NameServerSettings, connections: Connections) {
    this.#settings = settings;
    this.#connections = connections;
  }

  /** Rejects with `DataError` TOPIC_NOT_FOUND, or `RetriableError` when no name server answers. */
  async route(topic: string): Promise<TopicRoute> {
    const cached = this.#routes.get(topic);
    if (cached !== undefined && this.#settings.clock.monotonic() - cached.atMs < this.#settings.routeRefreshMs) return cached.route;
    const frame = await this.ask(routeRequest(topic));
    if (frame.code === ResponseCode.topicNotExist) {
      this.#routes.delete(topic);
      throw new DataError(`there is no topic ${topic}`, {
        code: 'TOPIC_NOT_FOUND',
        remedy: 'create it, or let topic.creation.enable do it',
      });
    }
    if (frame.code !== ResponseCode.success) throw responseError(`the route of ${topic}`, 'the name server', frame);
    const route = parseRoute(frame);
    this.#routes.set(topic, { route, atMs: this.#settings.clock.monotonic() });
    return route;
  }

  /** The next `route` of this topic is asked for anew: what it said did not hold. */
  forget(topic: string): void {
    this.#routes.delete(topic);
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
        failure = error;
      }
    }
    throw new RetriableError(`no name server of ${addresses.join(', ')} answers: ${String((failure as Error | undefined)?.message)}`, {
      code: 'NAME_SERVER_UNAVAILABLE',
      field: 'rocketmq.namesrv',
      remedy: 'check the addresses and that the name server runs',
      cause: failure,
    });
  }
}
