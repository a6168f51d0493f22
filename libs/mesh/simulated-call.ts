import { ErrorDetail } from '@rocketmq-connect/proto/common';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import { fromErrorDetail, OLDER_PEER, toErrorDetail, unavailable } from './error-detail.ts';
import type { AnyMethod, CallContext, CallOptions, Implementation } from './index.ts';
import { type Fault, type Packet, type Transit, Wire } from './simulated-wire.ts';
import { Mailbox, pump } from './streams.ts';

/** What a call needs of the network it runs on. */
export interface CallCarrier {
  readonly clock: Clock;
  /** Sends by `wire` unless a fault rule decides otherwise; tells the fault. */
  send(call: SimulatedCall, wire: Wire, direction: Transit['direction'], packet: Packet): Fault;
  forget(call: SimulatedCall): void;
}

/** Finds a method of what is served at an endpoint now; undefined when the server is gone. */
export type Lookup = (path: string) => HandlerFunction | 'unknown' | undefined;
export type HandlerFunction = (input: unknown, context: CallContext) => unknown;

/** One call with both of its ends and the two wires between them. */
export class SimulatedCall {
  readonly from: string;
  readonly to: string;
  readonly endpoint: string;
  readonly path: string;
  /** What the caller reads: each response, then the end or the error. */
  readonly responses: Mailbox<unknown>;
  /** Resolves when neither end has anything left to do. */
  readonly over: Promise<void>;
  readonly #carrier: CallCarrier;
  readonly #method: AnyMethod;
  readonly #lookup: Lookup;
  readonly #options: CallOptions;
  readonly #requestWire: Wire;
  readonly #responseWire: Wire;
  readonly #requests: Mailbox<unknown>;
  readonly #requestWindow = new Window();
  readonly #responseWindow = new Window();
  readonly #caller = new AbortController();
  readonly #server = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  readonly #timers: (() => void)[] = [];
  #callerDone = false;
  #serverState: 'waiting' | 'running' | 'done' = 'waiting';
  #duplicate = false;

  constructor(
    carrier: CallCarrier,
    ends: { from: string; to: string; endpoint: string },
    service: string,
    method: AnyMethod,
    lookup: Lookup,
    options: CallOptions,
  ) {
    this.#carrier = carrier;
    this.over = this.#over.promise;
    this.from = ends.from;
    this.to = ends.to;
    this.endpoint = ends.endpoint;
    this.path = `${service}/${method.name}`;
    this.#method = method;
    this.#lookup = lookup;
    this.#options = options;
    this.#requestWire = new Wire(carrier.clock, (packet) => this.#atServer(packet));
    this.#responseWire = new Wire(carrier.clock, (packet) => this.#atCaller(packet));
    this.responses = new Mailbox(
      () => this.#responseWindow.release(),
      () => this.#giveUp(unavailable('CANCELLED', `${this.path} was left by its caller`)),
    );
    this.#requests = new Mailbox(() => this.#requestWindow.release());
    this.#watchCaller();
  }

  /** Sends the one request of a unary call or server stream. */
  open(bytes: Uint8Array): void {
    this.#duplicate = this.#send(this.#requestWire, { kind: 'open', bytes }).duplicate === true;
  }

  /** Opens a bidirectional stream and sends what `requests` yields. */
  openStream(requests: AsyncIterable<unknown>): void {
    this.#send(this.#requestWire, { kind: 'open', bytes: undefined });
    pump(requests, this.#caller.signal, (request) => {
      this.#send(this.#requestWire, { kind: 'message', bytes: this.#method.requestType.encode(request).finish() });
      return this.#requestWindow.take();
    }).then(
      () => this.#send(this.#requestWire, { kind: 'end' }),
      (error) => this.#giveUp(error),
    );
  }

  hold(held: boolean): void {
    this.#requestWire.hold(held);
    this.#responseWire.hold(held);
  }

  /** The connection is gone: both ends learn it; a request still on its way is carried out when it arrives. */
  break(reason: string): void {
    const error = unavailable('UNAVAILABLE', `${this.path} at ${this.endpoint}: ${reason}`);
    if (this.#serverState === 'running') this.#server.abort(error);
    this.#giveUp(error);
  }

  #watchCaller(): void {
    const { signal, deadlineMs } = this.#options;
    if (deadlineMs !== undefined) {
      const error = () => unavailable('DEADLINE_EXCEEDED', `${this.path} at ${this.endpoint} did not answer within its deadline`);
      this.#timers.push(this.#carrier.clock.after(Math.max(0, deadlineMs), () => this.#giveUp(error())));
    }
    if (signal === undefined) return;
    const onAbort = (): void => this.#giveUp(unavailable('CANCELLED', `${this.path} was cancelled by its caller`));
    signal.addEventListener('abort', onAbort, { once: true });
    this.#timers.push(() => signal.removeEventListener('abort', onAbort));
  }

  #giveUp(error: unknown): void {
    if (this.#callerDone) return;
    this.#send(this.#requestWire, { kind: 'cancel' });
    this.responses.abort(error);
    this.#finishCaller(error);
  }

  #finishCaller(reason: unknown): void {
    this.#callerDone = true;
    this.#caller.abort(reason);
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#forgetIfOver();
  }

  #atCaller(packet: Packet): void {
    if (this.#callerDone) return;
    if (packet.kind === 'message') this.responses.put(this.#method.responseType.decode(packet.bytes));
    if (packet.kind !== 'status') return;
    const error = packet.detail === undefined ? undefined : fromErrorDetail(ErrorDetail.decode(packet.detail));
    if (error === undefined) this.responses.end();
    else this.responses.fail(error);
    this.#finishCaller(error ?? unavailable('CANCELLED', `${this.path} has ended`));
  }

  #atServer(packet: Packet): void {
    if (packet.kind === 'open') {
      this.#run(packet.bytes);
      if (this.#duplicate) this.#runAgain(packet.bytes);
    } else if (packet.kind === 'message') this.#requests.put(this.#method.requestType.decode(packet.bytes));
    else if (packet.kind === 'end') this.#requests.end();
    else if (packet.kind === 'cancel') {
      const error = unavailable('CANCELLED', `${this.path} was cancelled by its caller`);
      this.#server.abort(error);
      this.#requests.fail(error);
      this.#forgetIfOver();
    }
  }

  #run(bytes: Uint8Array | undefined): void {
    this.#serverState = 'running';
    const { deadlineMs } = this.#options;
    const late = (): void => this.#server.abort(unavailable('DEADLINE_EXCEEDED', `${this.path}: the caller's deadline has passed`));
    const cancelTimer = deadlineMs === undefined ? () => {} : this.#carrier.clock.after(Math.max(0, deadlineMs), late);
    this.#answer(bytes)
      .then(
        () => undefined,
        (error: unknown) => ErrorDetail.encode(toErrorDetail(error)).finish(),
      )
      .then((detail) => {
        cancelTimer();
        this.#serverState = 'done';
        this.#send(this.#responseWire, { kind: 'status', detail });
        this.#server.abort(unavailable('CANCELLED', `${this.path} has ended`));
        this.#forgetIfOver();
      });
  }

  async #answer(bytes: Uint8Array | undefined): Promise<void> {
    const handler = this.#handler();
    const context: CallContext = { signal: this.#server.signal, identity: this.#options.identity ?? '' };
    const input = bytes === undefined ? this.#requests : this.#method.requestType.decode(bytes);
    const respond = (response: unknown): void => {
      this.#send(this.#responseWire, { kind: 'message', bytes: this.#method.responseType.encode(response).finish() });
    };
    if (!this.#method.responseStream) return respond(await handler(input, context));
    await pump(handler(input, context) as AsyncIterable<unknown>, this.#server.signal, (response) => {
      respond(response);
      return this.#responseWindow.take();
    });
  }

  #runAgain(bytes: Uint8Array | undefined): void {
    if (bytes === undefined || this.#method.responseStream) return;
    const signal = new AbortController().signal;
    const again = async () => this.#handler()(this.#method.requestType.decode(bytes), { signal, identity: this.#options.identity ?? '' });
    // The answer to a duplicate goes nowhere, whatever it is.
    again().catch(() => {});
  }

  #handler(): HandlerFunction {
    const handler = this.#lookup(this.path);
    if (handler === undefined) throw unavailable('UNAVAILABLE', `the server at ${this.endpoint} is gone`);
    if (handler === 'unknown') {
      throw new ConnectError('fatal', `${this.path} is not served at ${this.endpoint}`, { code: 'UNIMPLEMENTED', remedy: OLDER_PEER });
    }
    return handler;
  }

  #send(wire: Wire, packet: Packet): Fault {
    return this.#carrier.send(this, wire, wire === this.#requestWire ? 'request' : 'response', packet);
  }

  #forgetIfOver(): void {
    if (this.#callerDone && (this.#serverState === 'done' || (this.#serverState === 'waiting' && this.#requestWire.idle))) {
      this.#carrier.forget(this);
      this.#over.resolve();
    }
  }
}

/** Lets a sender go on while fewer than 16 messages wait to be read on the other side. */
class Window {
  #open = 16;
  #waiting: (() => void) | undefined;

  take(): Promise<void> {
    this.#open--;
    if (this.#open > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  release(): void {
    this.#open++;
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

export function lookupIn(implementations: readonly Implementation[]): (path: string) => HandlerFunction | 'unknown' {
  const handlers = new Map<string, HandlerFunction>();
  for (const { definition, handlers: functions } of implementations) {
    for (const [name, method] of Object.entries(definition.methods)) {
      const handler = functions[name] as HandlerFunction | undefined;
      if (handler !== undefined) handlers.set(`${definition.fullName}/${method.name}`, handler.bind(functions));
    }
  }
  return (path) => handlers.get(path) ?? 'unknown';
}
