import type { ClientDuplexStream } from '@grpc/grpc-js';
import { type Clock, ConnectError, RetriableError } from '@rocketmq-connect/sdk';
import type { ProxyConnection } from './connection.ts';
import { isOk, statusError } from './status.ts';
import { durationOf, endpointsOf, methods, resource, wire } from './wire.ts';

type Command = InstanceType<typeof wire.TelemetryCommand>;

export interface SessionSettings {
  readonly group: string;
  readonly topics: readonly string[];
  readonly clientId: string;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
}

/**
 * A member of a group at one proxy. A proxy serves those only who told their settings over a stream that stays open, and are heard of
 * by heartbeats; it forgets them when it restarts, so that they are told again.
 */
export class Session {
  readonly connection: ProxyConnection;
  readonly #settings: SessionSettings;
  #stream: ClientDuplexStream<Command, Command> | null = null;
  #opening: Promise<void> | null = null;
  #isOpen = false;

  constructor(connection: ProxyConnection, settings: SessionSettings) {
    this.connection = connection;
    this.#settings = settings;
  }

  /** Resolves when the proxy knows this member. */
  async open(): Promise<void> {
    if (this.#isOpen) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    await this.#opening;
  }

  /** The proxy may have forgotten it. */
  doubt(): void {
    this.#isOpen = false;
    this.#stream?.cancel();
    this.#stream = null;
  }

  async beat(): Promise<void> {
    if (!this.#isOpen) return;
    const { group, clientId } = this.#settings;
    const request = new wire.HeartbeatRequest().setGroup(resource(group)).setClientType(wire.ClientType.SIMPLE_CONSUMER);
    const answer = await this.connection.call(methods.heartbeat, request, clientId);
    if (!isOk(answer.getStatus())) this.doubt();
  }

  async end(): Promise<void> {
    if (!this.#isOpen) return;
    const { group, clientId } = this.#settings;
    const request = new wire.NotifyClientTerminationRequest().setGroup(resource(group));
    // The proxy finds out by itself, if it does not hear this.
    await this.connection.call(methods.notifyClientTermination, request, clientId).catch(() => undefined);
    this.doubt();
  }

  async #open(): Promise<void> {
    const { clientId, clock, requestTimeoutMs } = this.#settings;
    const stream = await this.connection.converse(methods.telemetry, clientId);
    this.#stream?.cancel();
    this.#stream = stream;
    await new Promise<void>((resolve, reject) => {
      const lost = (error: ConnectError): void => {
        cancelTimer();
        if (this.#stream === stream) this.#isOpen = false;
        reject(error);
      };
      const cancelTimer = clock.after(requestTimeoutMs, () => {
        stream.cancel();
        lost(new RetriableError(`${this.connection.address} did not answer to settings`, { code: 'REQUEST_TIMEOUT' }));
      });
      stream.on('data', (command: Command) => {
        // What proxies ask of clients beside (stack traces, a trial of a message) is nothing that a task host does.
        if (command.getCommandCase() !== wire.TelemetryCommand.CommandCase.SETTINGS) return;
        cancelTimer();
        const status = command.getStatus();
        if (status !== undefined && !isOk(status)) return lost(statusError('settings', this.connection.address, status));
        this.#isOpen = this.#stream === stream;
        resolve();
      });
      stream.on('error', (error) => lost(refused(this.connection.address, error)));
      stream.on('end', () => lost(refused(this.connection.address, new Error('the proxy ended the conversation'))));
      stream.write(new wire.TelemetryCommand().setSettings(this.#wireSettings()));
    });
  }

  #wireSettings(): InstanceType<typeof wire.Settings> {
    const { group, topics, requestTimeoutMs } = this.#settings;
    const subscription = new wire.Subscription().setGroup(resource(group));
    for (const topic of topics) subscription.addSubscriptions().setTopic(resource(topic)).setExpression(everything());
    return new wire.Settings()
      .setClientType(wire.ClientType.SIMPLE_CONSUMER)
      .setAccessPoint(endpointsOf([this.connection.address]))
      .setRequestTimeout(durationOf(requestTimeoutMs))
      .setSubscription(subscription)
      .setUserAgent(new wire.UA().setLanguage(wire.Language.NODE_JS).setVersion('5.0.8'));
  }
}

/** Tags are looked at after decoding. */
export function everything() {
  return new wire.FilterExpression().setType(wire.FilterType.TAG).setExpression('*');
}

function refused(address: string, error: Error & { readonly details?: string }): ConnectError {
  const text = `${address} refuses the settings of a member: ${error.details ?? error.message}`;
  if (/IllegalArgument|validate|group/i.test(text) && 'code' in error && error.code === 3)
    return new ConnectError('config', text, { code: 'GROUP_REFUSED' });
  return new RetriableError(text, { code: 'CONNECTION_LOST', cause: error });
}
