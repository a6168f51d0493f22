import { type Clock, ConfigError, type Random } from '@rocketmq-connect/sdk';
import { checkBatch, notWithThisLog } from '../checks.ts';
import type {
  LogCapabilities,
  MessageBatch,
  MessageLog,
  QueueAddress,
  QueueReader,
  SendResult,
  Subscription,
  TopicDescription,
} from '../index.ts';
import { inNamespace } from '../namespace.ts';
import type { TlsSettings } from '../remoting/connection.ts';
import type { Credentials } from '../remoting/signature.ts';
import { logClosed } from './connection.ts';
import { messageIds } from './message-ids.ts';
import { Proxies } from './proxies.ts';
import { Routes } from './routes.ts';
import { ProxySender } from './sender.ts';
import { ProxySubscription } from './subscription.ts';

/** How to reach the gRPC proxies of a RocketMQ 5 cluster: plain data, for worker threads. Times have defaults. */
export interface ProxyLogConnection {
  readonly kind: 'proxy';
  /** `host:port` of one or several proxies. */
  readonly proxies: readonly string[];
  /** Unique per client; its subscriptions have ids made of it. */
  readonly clientId: string;
  readonly namespace?: string;
  readonly credentials?: Credentials;
  readonly tls?: TlsSettings;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  readonly routeRefreshMs?: number;
  /** For how long a broker waits for an acknowledgement or renewal; a proxy takes no less than 10 s. */
  readonly invisibleMs?: number;
}

/** RocketMQ 5 through its gRPC proxies. Connects when something is asked for. */
export function connectProxyLog(
  connection: ProxyLogConnection,
  surroundings: { readonly clock: Clock; readonly random: Random; readonly pid: number },
): MessageLog {
  return inNamespace(new ProxyClient({ ...DEFAULTS, ...connection, ...surroundings }), connection.namespace);
}

const DEFAULTS = { connectTimeoutMs: 3_000, requestTimeoutMs: 5_000, routeRefreshMs: 30_000, invisibleMs: 30_000 } as const;

type Settings = ProxyLogConnection &
  Required<Omit<ProxyLogConnection, 'namespace' | 'credentials' | 'tls'>> & {
    readonly clock: Clock;
    readonly random: Random;
    readonly pid: number;
  };

class ProxyClient implements MessageLog {
  readonly capabilities: LogCapabilities = {
    assign: false,
    subscribe: true,
    createTopic: false,
    delay: true,
    processes: true,
    dottedTopics: false,
  };
  readonly #settings: Settings;
  readonly #proxies: Proxies;
  readonly #routes: Routes;
  readonly #sender: ProxySender;
  readonly #subscriptions = new Set<ProxySubscription>();
  #subscribed = 0;
  #closed = false;

  constructor(settings: Settings) {
    checkAddresses(settings.proxies);
    this.#settings = settings;
    const { proxies: addresses, clientId, clock, random, pid, routeRefreshMs } = settings;
    this.#proxies = new Proxies(settings);
    this.#routes = new Routes({ addresses, clientId, clock, routeRefreshMs }, this.#proxies);
    const nextId = messageIds(random, pid, () => clock.now());
    this.#sender = new ProxySender({ clientId, clock, nextId }, this.#proxies, this.#routes);
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    const { queues } = await this.#routes.fresh(topic);
    return { topic, queues: queues.map(({ broker, queue }) => ({ topic, broker, queue })) };
  }

  async createTopic(topic: string): Promise<TopicDescription> {
    throw notWithThisLog(`creating topic ${topic}`, LOG, 'Create it with `mqadmin updateTopic`, or in the console of your provider.');
  }

  async listTopics(): Promise<readonly string[]> {
    throw notWithThisLog('listing topics', LOG, 'Name the topics.');
  }

  async deleteTopic(topic: string): Promise<void> {
    throw notWithThisLog(`deleting topic ${topic}`, LOG, 'Delete it with `mqadmin deleteTopic`, or in the console of your provider.');
  }

  async send(queue: QueueAddress, batch: MessageBatch): Promise<SendResult> {
    this.#checkOpen();
    checkBatch(batch);
    const unsafe = await this.#sender.send(queue, batch);
    return unsafe === undefined ? { offset: -1 } : { offset: -1, unsafe };
  }

  /** Brokers acknowledge by their own durability. */
  async flush(): Promise<void> {
    this.#checkOpen();
  }

  async assign(): Promise<QueueReader> {
    throw noPositions('reading at a position');
  }

  async subscribe(group: string, topics: readonly string[]): Promise<Subscription> {
    this.#checkOpen();
    const { clientId, clock, invisibleMs, requestTimeoutMs, routeRefreshMs } = this.#settings;
    const subscription = new ProxySubscription({
      group,
      topics,
      clientId: `${clientId}/${++this.#subscribed}`,
      clock,
      proxies: this.#proxies,
      routes: this.#routes,
      invisibleMs,
      requestTimeoutMs,
      routeRefreshMs,
      onClose: (closed) => this.#subscriptions.delete(closed),
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async minOffset(): Promise<number> {
    throw noPositions('asking for a position');
  }

  async maxOffset(): Promise<number> {
    throw noPositions('asking for a position');
  }

  async offsetAt(): Promise<number> {
    throw noPositions('asking for a position');
  }

  /** The broker has the position of the group itself. */
  async mirrorPosition(): Promise<void> {}

  connections(): number {
    return this.#proxies.open;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    this.#proxies.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw logClosed();
  }
}

const LOG = 'the gRPC proxy of RocketMQ';

function noPositions(what: string) {
  return notWithThisLog(what, LOG, 'Connect to the name servers (--rocketmq-namesrv) for what needs positions.');
}

function checkAddresses(addresses: readonly string[]): void {
  const bad = addresses.find((address) => !/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/.test(address));
  if (addresses.length > 0 && bad === undefined) return;
  throw new ConfigError(bad === undefined ? 'no proxy is given' : `"${bad}" is no address of a proxy`, {
    field: 'rocketmq.proxy',
    remedy: 'Give host:port of one or several proxies, for example 10.0.0.1:8081.',
  });
}
