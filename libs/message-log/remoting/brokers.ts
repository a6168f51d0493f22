import { RetriableError } from '@rocketmq-connect/sdk';
import { queueNotFound } from '../checks.ts';
import type { QueueAddress } from '../index.ts';
import type { RemotingConnection, Request } from './connection.ts';
import type { Connections } from './connections.ts';
import type { Frame } from './frame.ts';
import type { NameServers } from './name-servers.ts';
import type { BrokerRoute } from './requests/route.ts';
import { ResponseCode, responseError } from './response-code.ts';

/** To read by. What only a slave says proves nothing about what is stored: it may lag behind. */
export interface ReadConnection {
  readonly connection: RemotingConnection;
  readonly isMaster: boolean;
}

/** Finds the broker of a queue and talks to it. What a route says and does not hold is looked up anew before the next try. */
export class Brokers {
  readonly #nameServers: NameServers;
  readonly #connections: Connections;
  readonly #requestTimeoutMs: number;

  constructor(nameServers: NameServers, connections: Connections, requestTimeoutMs: number) {
    this.#nameServers = nameServers;
    this.#connections = connections;
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /**
   * To the master, which alone takes messages. Rejects with QUEUE_NOT_FOUND, or `RetriableError` while the broker is away. What shares no connection
   * with others behind a proxy names a lane.
   */
  async master(queue: QueueAddress, lane = ''): Promise<RemotingConnection> {
    const { master } = await this.#routeOf(queue);
    if (master === '') throw this.#away(queue);
    return this.#connect(queue, master, lane);
  }

  /** To where it is best read: the master, the slave that it suggests (`brokerId`), or any slave while the master is away. */
  async readable(queue: QueueAddress, brokerId: number, lane = ''): Promise<ReadConnection> {
    const { master, slaves } = await this.#routeOf(queue);
    const suggested = slaves.find(({ id }) => id === brokerId)?.address;
    const addresses = [suggested, master, ...slaves.map(({ address }) => address)].filter(
      (address) => address !== undefined && address !== '',
    );
    let failure: unknown;
    for (const address of new Set(addresses as string[])) {
      try {
        return { connection: await this.#connect(queue, address, lane), isMaster: address === master };
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure ?? this.#away(queue);
  }

  /** Resolves with a successful response, else rejects with what it means. */
  async ask(what: string, address: string, request: Request): Promise<Frame> {
    return this.#success(what, await this.#connections.to(address), request);
  }

  async askMaster(what: string, queue: QueueAddress, request: Request): Promise<Frame> {
    const connection = await this.master(queue);
    try {
      return await this.#success(what, connection, request);
    } catch (error) {
      this.#nameServers.doubt(queue.topic);
      throw error;
    }
  }

  async #success(what: string, connection: RemotingConnection, request: Request): Promise<Frame> {
    const frame = await connection.invoke(request, this.#requestTimeoutMs);
    if (frame.code !== ResponseCode.success) throw responseError(what, connection.address, frame);
    return frame;
  }

  async #connect(queue: QueueAddress, address: string, lane: string): Promise<RemotingConnection> {
    try {
      return await this.#connections.to(address, lane !== '' && (await this.#nameServers.isProxy()) ? lane : '');
    } catch (error) {
      this.#nameServers.doubt(queue.topic);
      throw error;
    }
  }

  async #routeOf(queue: QueueAddress): Promise<BrokerRoute> {
    const has = ({ name, readQueues, writeQueues }: BrokerRoute): boolean =>
      name === queue.broker && queue.queue < Math.max(readQueues, writeQueues);
    const known = (await this.#nameServers.route(queue.topic)).brokers.find(has);
    if (known !== undefined) return known;
    // The topic may have grown since.
    this.#nameServers.doubt(queue.topic);
    const { brokers } = await this.#nameServers.route(queue.topic);
    const found = brokers.find(has);
    if (found !== undefined) return found;
    const broker = brokers.find(({ name }) => name === queue.broker);
    // A broker that is down is in no route either.
    if (broker === undefined) throw this.#away(queue);
    throw queueNotFound(queue, `the topic has ${Math.max(broker.readQueues, broker.writeQueues)} queues there`);
  }

  #away(queue: QueueAddress): RetriableError {
    this.#nameServers.doubt(queue.topic);
    return new RetriableError(`broker ${queue.broker} of topic ${queue.topic} is away`, {
      code: 'BROKER_UNAVAILABLE',
      remedy: 'Start the broker; it is looked for again.',
    });
  }
}
