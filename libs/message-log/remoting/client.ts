import { type Clock, ConfigError, ConnectError, type Random, RetriableError } from '@rocketmq-connect/sdk';
import { checkBatch, checkPosition, notWithThisLog } from '../checks.ts';
import type {
  LogCapabilities,
  MessageBatch,
  MessageLog,
  QueueAddress,
  QueueReader,
  SendResult,
  Subscription,
  TopicDescription,
  TopicSettings,
} from '../index.ts';
import { inNamespace } from '../namespace.ts';
import { Brokers } from './brokers.ts';
import type { RemotingConnection, Request, TlsSettings } from './connection.ts';
import { Connections, logClosed } from './connections.ts';
import type { Frame } from './frame.ts';
import { Membership, PRODUCER_GROUP } from './membership.ts';
import { NameServers } from './name-servers.ts';
import { QueueEnds } from './queue-ends.ts';
import { RemotingQueueReader } from './reader.ts';
import { maxOffsetRequest, minOffsetRequest, offsetAtRequest, parseOffset, updateConsumerOffsetRequest } from './requests/offsets.ts';
import { sendDelayedRequest } from './requests/send.ts';
import { parseSendResponse, sendBatchRequest } from './requests/send-batch.ts';
import { ResponseCode, responseError, sendOutcomeIsOpen } from './response-code.ts';
import type { Credentials } from './signature.ts';
import { TopicAdmin } from './topic-admin.ts';

/** How to reach a RocketMQ cluster: plain data, for worker threads. Times have defaults. */
export interface RemotingLogConnection {
  readonly kind: 'remoting';
  /** `host:port` of one or several name servers; the remoting port of a RocketMQ 5 proxy does as well, but for topics' creation and listing. */
  readonly nameServers: readonly string[];
  /** As brokers' tools show this client. Unique per client. */
  readonly clientId: string;
  readonly namespace?: string;
  readonly credentials?: Credentials;
  readonly tls?: TlsSettings;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  readonly routeRefreshMs?: number;
  readonly heartbeatMs?: number;
  /** So long a broker that answers may have a batch in hand whose answer did not come: longer than it lets one wait (`waitTimeMillsInSendQueue`). */
  readonly strayMs?: number;
  /** Most pulls in flight of one reader, over its queues; and what it may fetch ahead. */
  readonly pullsInFlight?: number;
  readonly prefetchBytes?: number;
}

/** RocketMQ by its own TCP protocol, straight to name servers and brokers (4.4 and newer). Connects when something is asked for. */
export function connectRemotingLog(
  connection: RemotingLogConnection,
  surroundings: { readonly clock: Clock; readonly random: Random },
): MessageLog {
  return inNamespace(new RemotingClient({ ...DEFAULTS, ...connection, ...surroundings }), connection.namespace);
}

const DEFAULTS = {
  connectTimeoutMs: 3_000,
  requestTimeoutMs: 5_000,
  routeRefreshMs: 30_000,
  heartbeatMs: 30_000,
  strayMs: 1_000,
  pullsInFlight: 64,
  prefetchBytes: 16 * 1024 * 1024,
} as const;

/** What a broker says of a batch that it stored. */
const UNSAFE = {
  [ResponseCode.flushDiskTimeout]: 'it was not forced to disk in time',
  [ResponseCode.flushSlaveTimeout]: 'no slave had it in time',
  [ResponseCode.slaveNotAvailable]: 'no slave is there to have it',
};

/**
 * A proxy drops answers while more than 64 KiB of them wait to be written to a connection (AbstractRemotingActivity, Netty's high water mark). So
 * pulls through one ask for less than that at a time, on connections of their own, and so does each queue that is sent to: the answer to a
 * batch, which names each message, may be as large.
 */
const PROXY_ANSWERS_BYTES_MAX = 48 * 1024;

/**
 * A broker cuts the connection at a frame of more than 16 MiB (`com.rocketmq.remoting.frameMaxLength`), without a word. Below that it says by itself
 * whether a message is larger than its `maxMessageSize`.
 */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024 - 64 * 1024;

type Settings = RemotingLogConnection &
  Required<Omit<RemotingLogConnection, 'namespace' | 'credentials' | 'tls'>> & { readonly clock: Clock; readonly random: Random };

class RemotingClient implements MessageLog {
  readonly capabilities: LogCapabilities = {
    assign: true,
    subscribe: false,
    createTopic: true,
    delay: true,
    processes: true,
    messageBytesMax: MESSAGE_BYTES_MAX,
    dottedTopics: false,
  };
  readonly #settings: Settings;
  readonly #connections: Connections;
  readonly #nameServers: NameServers;
  readonly #brokers: Brokers;
  readonly #topics: TopicAdmin;
  readonly #membership: Membership;
  readonly #readers = new Set<RemotingQueueReader>();
  readonly #ends: QueueEnds;
  readonly #closing = new AbortController();
  #lanes = 0;

  constructor(settings: Settings) {
    checkAddresses(settings.nameServers);
    this.#settings = settings;
    const { clock, requestTimeoutMs, routeRefreshMs, heartbeatMs, clientId } = settings;
    this.#connections = new Connections(settings, settings.random);
    this.#nameServers = new NameServers({ addresses: settings.nameServers, clock, requestTimeoutMs, routeRefreshMs }, this.#connections);
    this.#brokers = new Brokers(this.#nameServers, this.#connections, requestTimeoutMs);
    this.#topics = new TopicAdmin(this.#nameServers, this.#brokers, clock, this.#closing.signal);
    this.#ends = new QueueEnds({
      clock,
      strayMs: settings.strayMs,
      ask: (queue) => this.#offset(queue, maxOffsetRequest(queue.topic, queue.broker, queue.queue)),
      signal: this.#closing.signal,
    });
    this.#membership = new Membership({ clientId, clock, heartbeatMs, requestTimeoutMs }, this.#connections);
  }

  async describeTopic(topic: string): Promise<TopicDescription> {
    return this.#topics.describe(topic);
  }

  async createTopic(topic: string, settings: TopicSettings): Promise<TopicDescription> {
    return this.#topics.create(topic, settings);
  }

  async listTopics(): Promise<readonly string[]> {
    return this.#topics.list();
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#topics.delete(topic);
  }

  async send(queue: QueueAddress, batch: MessageBatch): Promise<SendResult> {
    this.#checkOpen();
    checkBatch(batch, MESSAGE_BYTES_MAX);
    const connection = await this.#brokers.master(queue, `send ${queue.topic} ${queue.queue}`);
    const request = await this.#sendRequest(connection, queue, batch);
    let frame: Frame;
    try {
      frame = await connection.invoke(request, this.#settings.requestTimeoutMs);
    } catch (error) {
      this.#nameServers.doubt(queue.topic);
      // It never left.
      if (error instanceof ConnectError && error.code === 'CONNECTION_REFUSED') throw error;
      connection.giveUp('the answer to a batch did not come');
      throw this.#outcomeUnknown(queue, `its answer did not come: ${String((error as Error).message)}`, error);
    }
    switch (frame.code) {
      case ResponseCode.success:
        return this.#acknowledged(queue, batch, frame);
      case ResponseCode.flushDiskTimeout:
      case ResponseCode.flushSlaveTimeout:
      case ResponseCode.slaveNotAvailable:
        return { ...this.#acknowledged(queue, batch, frame), unsafe: UNSAFE[frame.code] };
      default: {
        this.#nameServers.doubt(queue.topic);
        const error = responseError(`a batch for queue ${queue.queue} of ${queue.topic}`, connection.address, frame);
        throw sendOutcomeIsOpen(error, frame) ? this.#outcomeUnknown(queue, error.message, error) : error;
      }
    }
  }

  /** Brokers acknowledge by their own durability. */
  async flush(): Promise<void> {
    this.#checkOpen();
  }

  async assign(group: string, assignments: Parameters<MessageLog['assign']>[1]): Promise<QueueReader> {
    this.#checkOpen();
    for (const { queue, position } of assignments) checkPosition(queue, position);
    // Queues that are not there, and positions that are lost, are told at once.
    const ranged = await Promise.all(
      assignments.map(async ({ queue, position }) => {
        const max = await this.maxOffset(queue);
        return { queue, position, range: { min: Math.min(max, await this.minOffset(queue)), max } };
      }),
    );
    const isProxy = await this.#nameServers.isProxy();
    this.#checkOpen();
    const lane = `read ${++this.#lanes}`;
    const reader = new RemotingQueueReader({
      group,
      clock: this.#settings.clock,
      assignments: ranged,
      pullsMax: this.#settings.pullsInFlight,
      prefetchBytes: this.#settings.prefetchBytes,
      requestTimeoutMs: this.#settings.requestTimeoutMs,
      ...(isProxy ? { answersBytesMax: PROXY_ANSWERS_BYTES_MAX } : {}),
      connect: (queue, brokerId) => this.#brokers.readable(queue, brokerId, lane),
      doubt: (queue) => this.#nameServers.doubt(queue.topic),
      onClose: (closed) => {
        this.#readers.delete(closed);
        this.#membership.leave(closed);
        this.#connections.closeLane(lane);
      },
    });
    this.#readers.add(reader);
    this.#membership.join(reader, group, [...new Set(assignments.map(({ queue }) => queue.topic))]);
    return reader;
  }

  async subscribe(): Promise<Subscription> {
    throw notWithThisLog('subscribe', 'the remoting adapter', 'Read its queues by assign.');
  }

  async minOffset(queue: QueueAddress): Promise<number> {
    return this.#offset(queue, minOffsetRequest(queue.topic, queue.broker, queue.queue));
  }

  async maxOffset(queue: QueueAddress): Promise<number> {
    return this.#ends.of(queue);
  }

  async offsetAt(queue: QueueAddress, timestampMs: number): Promise<number> {
    return this.#offset(queue, offsetAtRequest(queue.topic, queue.broker, queue.queue, Math.max(0, Math.floor(timestampMs))));
  }

  async mirrorPosition(group: string, queue: QueueAddress, position: number): Promise<void> {
    const connection = await this.#brokers.master(queue);
    connection.oneway(updateConsumerOffsetRequest(group, queue.topic, queue.broker, queue.queue, position));
  }

  connections(): number {
    return this.#connections.open().length;
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(logClosed());
    for (const reader of [...this.#readers]) await reader.close();
    this.#membership.end();
    this.#connections.close();
  }

  async #sendRequest(connection: RemotingConnection, queue: QueueAddress, batch: MessageBatch): Promise<Request> {
    const { topic, broker, queue: id } = queue;
    const now = this.#settings.clock.now();
    const { delayMs } = batch;
    if (delayMs === undefined) return sendBatchRequest(PRODUCER_GROUP, topic, broker, id, batch, now);
    // How a broker is told of a delay depends on its version, which any answer tells.
    if (connection.peerVersion === 0) await this.minOffset(queue);
    return sendDelayedRequest(PRODUCER_GROUP, topic, broker, id, { ...batch, delayMs }, connection.peerVersion, now);
  }

  #acknowledged(queue: QueueAddress, batch: MessageBatch, frame: Frame): SendResult {
    if (batch.delayMs !== undefined) return { offset: -1 };
    let result: SendResult;
    try {
      result = parseSendResponse(frame);
    } catch (error) {
      throw this.#outcomeUnknown(queue, String((error as Error).message), error);
    }
    this.#ends.acknowledged(queue, result.offset + batch.count);
    return result;
  }

  /** The code that tells a source to look at the log before it sends again. */
  #outcomeUnknown(queue: QueueAddress, why: string, cause: unknown): RetriableError {
    this.#ends.outcomeUnknown(queue);
    return new RetriableError(`a batch was sent to queue ${queue.queue} of ${queue.topic}, ${why}`, {
      code: 'SEND_OUTCOME_UNKNOWN',
      cause,
    });
  }

  async #offset(queue: QueueAddress, request: Request): Promise<number> {
    return parseOffset(await this.#brokers.askMaster(`an offset of queue ${queue.queue} of ${queue.topic}`, queue, request));
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw logClosed();
  }
}

function checkAddresses(addresses: readonly string[]): void {
  const bad = addresses.find((address) => !/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/.test(address));
  if (addresses.length > 0 && bad === undefined) return;
  throw new ConfigError(bad === undefined ? 'no name server is given' : `"${bad}" is no address of a name server`, {
    field: 'rocketmq.namesrv',
    remedy: 'Give host:port of one or several name servers, for example 10.0.0.1:9876.',
  });
}
