import { type Clock, ConnectError, FatalError, sleep } from '@rocketmq-connect/sdk';
import { type Received, receivedMessages } from './incoming.ts';
import type { Session } from './session.ts';
import { everything } from './session.ts';
import { isOk, statusError } from './status.ts';
import { durationOf, methods, resource, wire } from './wire.ts';

/** A broker of a topic, and the proxies that it is reached by. */
export interface Source {
  readonly topic: string;
  readonly broker: string;
  readonly addresses: readonly string[];
}

export interface ReceiverSettings {
  readonly source: Source;
  readonly group: string;
  readonly clientId: string;
  readonly clock: Clock;
  readonly invisibleMs: number;
  readonly signal: AbortSignal;
  /** The member at one of these proxies. */
  readonly session: (addresses: readonly string[]) => Promise<Session>;
  /** Resolves when more may come. */
  readonly room: () => Promise<void>;
  readonly onReceived: (source: Source, received: readonly Received[]) => void;
  /** Nothing comes because of this. `silentMs`: for how long already. */
  readonly onFailed: (error: ConnectError, silentMs: number) => void;
}

/** Brokers hand out no more at once. */
const BATCH = 32;
const STREAMS_MAX = 16;
/** The least that a proxy takes; a broker does not always wake a poll that waits. */
const POLL_MS = 5_000;
const POLL_MARGIN_MS = 5_000;
const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 5_000;

/**
 * Receives from one broker: by one long poll while little comes, by more and more of them while each is full. So an idle task costs one
 * request in 5 s.
 */
export class Receiver {
  readonly #settings: ReceiverSettings;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  #streams = 0;
  #failures = 0;
  #failingSinceMs = 0;

  constructor(settings: ReceiverSettings) {
    this.#settings = settings;
    this.#signal = AbortSignal.any([settings.signal, this.#ending.signal]);
    void this.#stream();
  }

  /** The broker does not have the topic any more. */
  end(): void {
    this.#ending.abort(new Error('the route has changed'));
  }

  async #stream(): Promise<void> {
    this.#streams++;
    try {
      while (!this.#signal.aborted) {
        await this.#settings.room();
        if (this.#signal.aborted) return;
        const count = await this.#receive();
        if (count === BATCH && this.#streams < STREAMS_MAX) void this.#stream();
        else if (count === 0 && this.#streams > 1) return;
      }
    } finally {
      this.#streams--;
    }
  }

  /** How many came. */
  async #receive(): Promise<number> {
    const { source, onReceived } = this.#settings;
    let session: Session | null = null;
    try {
      session = await this.#settings.session(source.addresses);
      await session.open();
      const messages = await this.#poll(session);
      this.#failures = 0;
      this.#failingSinceMs = 0;
      if (messages.length > 0) onReceived(source, receivedMessages(source.topic, source.broker, messages));
      return messages.length;
    } catch (error) {
      if (this.#signal.aborted) return 0;
      session?.doubt();
      await this.#failed(error);
      return 0;
    }
  }

  async #poll(session: Session): Promise<InstanceType<typeof wire.Message>[]> {
    const { source, group, clientId, invisibleMs } = this.#settings;
    const { topic, broker } = source;
    const queue = new wire.MessageQueue()
      .setTopic(resource(topic))
      .setId(-1)
      .setPermission(wire.Permission.READ)
      .setBroker(new wire.Broker().setName(broker));
    const request = new wire.ReceiveMessageRequest()
      .setGroup(resource(group))
      .setMessageQueue(queue)
      .setFilterExpression(everything())
      .setBatchSize(BATCH)
      .setInvisibleDuration(durationOf(invisibleMs))
      .setAutoRenew(false)
      .setLongPollingTimeout(durationOf(POLL_MS));
    const { connection } = session;
    const answers = await connection.callForMany(methods.receiveMessage, request, clientId, POLL_MS + POLL_MARGIN_MS, this.#signal);
    const messages: InstanceType<typeof wire.Message>[] = [];
    for (const answer of answers) {
      const message = answer.getMessage();
      if (message !== undefined) messages.push(message);
      const status = answer.getStatus();
      if (status === undefined || isOk(status) || status.getCode() === wire.Code.MESSAGE_NOT_FOUND) continue;
      // What came before it is held for this member: it must not be dropped.
      if (messages.length === 0) throw statusError(`receiving from topic ${topic}`, connection.address, status);
    }
    return messages;
  }

  async #failed(thrown: unknown): Promise<void> {
    const { clock, onFailed } = this.#settings;
    const error =
      thrown instanceof ConnectError
        ? thrown
        : new FatalError(`receiving failed: ${String(thrown)}`, { code: 'RECEIVE_FAILED', cause: thrown });
    const nowMs = clock.monotonic();
    if (this.#failingSinceMs === 0) this.#failingSinceMs = nowMs;
    onFailed(error, nowMs - this.#failingSinceMs);
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** this.#failures++);
    await sleep(clock, pauseMs, this.#signal).catch(() => undefined);
  }
}
