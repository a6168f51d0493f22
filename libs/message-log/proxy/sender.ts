import { type Clock, ConnectError, FatalError, RetriableError } from '@rocketmq-connect/sdk';
import { MAX_BATCH_BYTES, queueNotFound } from '../checks.ts';
import type { MessageBatch, QueueAddress } from '../index.ts';
import { inParallel } from './in-parallel.ts';
import { type OutgoingMessage, outgoingMessages } from './outgoing.ts';
import type { Proxies } from './proxies.ts';
import type { Route, RoutedQueue, Routes } from './routes.ts';
import { type AnswerStatus, isOk, sendOutcomeIsOpen, statusError } from './status.ts';
import { methods, wire } from './wire.ts';

export interface SenderSettings {
  readonly clientId: string;
  readonly clock: Clock;
  readonly nextId: () => string;
}

/** Requests of one batch that are out at the same time, where it has to be sent in parts. */
const PARTS_MAX = 32;

/**
 * Sends batches. A topic that takes NORMAL messages gets a batch in one request, and the proxy chooses its queue. Proxies look at message groups in
 * requests of one message only, so a FIFO topic gets one request per message, one at a time per group.
 */
export class ProxySender {
  readonly #settings: SenderSettings;
  readonly #proxies: Proxies;
  readonly #routes: Routes;
  /** Of batches that were sent in part: what is stored already. The caller sends the same bytes again. */
  readonly #stored = new WeakMap<Buffer, ReadonlySet<number>>();

  constructor(settings: SenderSettings, proxies: Proxies, routes: Routes) {
    this.#settings = settings;
    this.#proxies = proxies;
    this.#routes = routes;
  }

  /** What is missing, where something is stored less safely than it should be. */
  async send(address: QueueAddress, batch: MessageBatch): Promise<string | undefined> {
    const route = await this.#routes.of(address.topic);
    const queue = route.queues.find(({ broker, queue: id }) => broker === address.broker && id === address.queue);
    if (queue === undefined) {
      this.#routes.doubt(address.topic);
      throw queueNotFound(address, 'the route of the topic does not have it');
    }
    const { clock, nextId } = this.#settings;
    const settings = { topic: address.topic, queue: address.queue, nowMs: clock.now(), groups: groupsOf(route, address.topic), nextId };
    const chains = chainsOf(outgoingMessages(batch, settings));
    const stored = new Set(this.#stored.get(batch.bytes));
    let unsafe: string | undefined;
    try {
      await inParallel(chains, PARTS_MAX, async (chain) => {
        for (const { number, messages } of chain) {
          if (stored.has(number)) continue;
          unsafe = (await this.#sendPart(address, queue, messages)) ?? unsafe;
          stored.add(number);
        }
      });
      return unsafe;
    } catch (error) {
      this.#routes.doubt(address.topic);
      if (stored.size > 0) this.#stored.set(batch.bytes, stored);
      throw error;
    }
  }

  async #sendPart({ topic }: QueueAddress, queue: RoutedQueue, messages: readonly OutgoingMessage[]): Promise<string | undefined> {
    const connection = await this.#proxies.any(queue.addresses);
    const request = new wire.SendMessageRequest().setMessagesList(messages.map(({ message }) => message));
    const what = `a batch for topic ${topic}`;
    let answer: InstanceType<typeof wire.SendMessageResponse>;
    try {
      answer = await connection.call(methods.sendMessage, request, this.#settings.clientId);
    } catch (error) {
      if (!(error instanceof ConnectError) || error.kind !== 'retriable' || error.code === 'CONNECTION_REFUSED') throw error;
      throw outcomeUnknown(what, `its answer did not come: ${error.message}`, error);
    }
    const entries = answer.getEntriesList();
    const statuses = entries.length === 0 ? [answer.getStatus()] : entries.map((entry) => entry.getStatus());
    const status = statuses.find((one) => !isStored(one));
    if (statuses.every(isStored)) return statuses.map((one) => UNSAFE.get(one?.getCode() ?? 0)).find((what) => what !== undefined);
    const error = statusError(what, connection.address, status);
    throw sendOutcomeIsOpen(error) ? outcomeUnknown(what, error.message, error) : error;
  }
}

/** What is sent in one request, counted over the batch. */
interface Part {
  readonly number: number;
  readonly messages: readonly OutgoingMessage[];
}

/** Parts of a batch: those of one chain go one after the other, chains side by side. */
function chainsOf(messages: readonly OutgoingMessage[]): Part[][] {
  const chains = new Map<string, Part[]>();
  let number = 0;
  let open: OutgoingMessage[] | null = null;
  let openBytes = 0;
  for (const message of messages) {
    const alone = message.group !== '';
    if (!alone && open !== null && openBytes + message.bytes <= MAX_BATCH_BYTES) {
      open.push(message);
      openBytes += message.bytes;
      continue;
    }
    const part = { number: number++, messages: [message] };
    const name = alone ? `group ${message.group}` : 'normal';
    const chain = chains.get(name) ?? [];
    chain.push(part);
    chains.set(name, chain);
    open = alone ? null : part.messages;
    openBytes = message.bytes;
  }
  return [...chains.values()];
}

/** Which messages of the topic have a group. */
function groupsOf({ types }: Route, topic: string): 'none' | 'some' | 'all' {
  const { FIFO, NORMAL, DELAY, MESSAGE_TYPE_UNSPECIFIED } = wire.MessageType;
  const takes = (...some: number[]): boolean => some.some((type) => types.includes(type));
  if (types.length === 0 || takes(MESSAGE_TYPE_UNSPECIFIED)) return 'some';
  if (takes(NORMAL, DELAY)) return takes(FIFO) ? 'some' : 'none';
  if (takes(FIFO)) return 'all';
  throw new FatalError(`topic ${topic} takes messages of a type that no source sends`, {
    code: 'MESSAGE_TYPE_REFUSED',
    field: 'topic',
    remedy: 'Use a topic with message.type NORMAL, FIFO, DELAY or MIXED.',
  });
}

/** What a broker says of a message that it stored. */
const UNSAFE = new Map<number, string>([
  [wire.Code.MASTER_PERSISTENCE_TIMEOUT, 'it was not forced to disk in time'],
  [wire.Code.SLAVE_PERSISTENCE_TIMEOUT, 'no slave had it in time'],
  [wire.Code.HA_NOT_AVAILABLE, 'no slave is there to have it'],
]);

function isStored(status: AnswerStatus | undefined): boolean {
  return isOk(status) || UNSAFE.has(status?.getCode() ?? 0);
}

function outcomeUnknown(what: string, why: string, cause: unknown): RetriableError {
  return new RetriableError(`${what} was sent, ${why}`, { code: 'SEND_OUTCOME_UNKNOWN', cause });
}
