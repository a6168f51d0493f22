import { type Clock, ConnectError } from '@rocketmq-connect/sdk';
import type { IDuplexStream, IEvent, IWatchRequest, IWatchResponse } from 'etcd3';
import { CompactedError } from '../errors.ts';
import type { KeyRange, Watch, WatchEvent, WatchListener } from '../index.ts';
import type { EtcdEndpoints, Member } from './endpoints.ts';
import { failureOf } from './failure.ts';
import { keysOf, keyValueOf } from './messages.ts';

export interface EtcdWatchOptions {
  readonly endpoints: EtcdEndpoints;
  readonly clock: Clock;
  readonly range: KeyRange;
  readonly fromRevision: bigint;
  readonly listener: WatchListener;
  /** Throws when an answer comes from another cluster. */
  readonly check: (header: IWatchResponse['header']) => void;
  /** Called once, when the watch is over. */
  readonly onOver: () => void;
}

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2_000;
/** A stream that was silent for that long is asked for a sign of life, and given up when as long again passes without one. */
const SILENCE_MS = 5_000;

/**
 * A watch that survives its connections: after a cut it goes on at the last delivered revision + 1, at another member if there is
 * one, for as long as it takes. It ends only when the history is compacted, or when the server or the listener refuses it.
 */
export class EtcdWatch implements Watch {
  readonly #options: EtcdWatchOptions;
  /** Everything below it is delivered. */
  #nextRevision: bigint;
  /** Events of a revision that may go on in the next message. */
  #partial: WatchEvent[] = [];
  #stream: IDuplexStream<IWatchRequest, IWatchResponse> | undefined;
  #failures = 0;
  #refusals = 0;
  #heard = false;
  /** By the present stream; null: not yet by any. */
  #connected: boolean | null = null;
  #over = false;
  #cancelTimer: () => void = () => undefined;

  constructor(options: EtcdWatchOptions) {
    this.#options = options;
    this.#nextRevision = options.fromRevision;
    void this.#open();
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#close();
    this.#options.onOver();
  }

  end(error: Error): void {
    if (this.#over) return;
    this.cancel();
    try {
      this.#options.listener.onEnd(error);
    } catch (thrown) {
      process.emitWarning(`a watch listener failed when told of the end of its watch: ${thrown}`);
    }
  }

  async #open(): Promise<void> {
    const { endpoints, range } = this.#options;
    this.#partial = [];
    try {
      const { stream, member } = await endpoints.stream((etcd) => etcd.watchClient.watch());
      const current = (): boolean => this.#stream === stream;
      this.#stream = stream;
      stream.on('data', (response) => current() && this.#received(response, member));
      stream.on('error', (error) => current() && this.#broken(error, member));
      stream.on('end', () => current() && this.#broken(new Error('14 UNAVAILABLE: the stream ended'), member));
      if (this.#over) return this.#close();
      stream.write({ create_request: { ...keysOf(range), start_revision: String(this.#nextRevision), fragment: true } });
      this.#listenForLife(stream, member);
    } catch (error) {
      if (error instanceof ConnectError && error.kind !== 'unavailable') return this.end(error);
      this.#retry();
    }
  }

  #received(response: IWatchResponse, member: Member): void {
    this.#heard = true;
    try {
      this.#options.check(response.header);
    } catch (error) {
      return this.end(error as Error);
    }
    if (response.canceled) return this.#cancelled(response, member);
    this.#connect();
    if (response.created) return;
    this.#failures = 0;
    this.#refusals = 0;
    this.#partial.push(...response.events.map(eventOf));
    this.#deliver(response.fragment);
  }

  #connect(): void {
    if (this.#connected === true) return;
    const { figures } = this.#options.endpoints;
    if (this.#connected === false) figures.watchReconnects++;
    figures.connectedWatches++;
    this.#connected = true;
  }

  // In a fragment the last revision may not be whole yet.
  #deliver(fragment: boolean): void {
    const last = this.#partial.at(-1);
    if (last === undefined) return;
    const open = fragment ? this.#partial.findIndex((event) => revisionOf(event) === revisionOf(last)) : this.#partial.length;
    const events = this.#partial.splice(0, open);
    const end = events.at(-1);
    if (end === undefined) return;
    this.#nextRevision = revisionOf(end) + 1n;
    try {
      this.#options.listener.onEvents(events, revisionOf(end));
    } catch (thrown) {
      this.end(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  #cancelled(response: IWatchResponse, member: Member): void {
    if (BigInt(response.compact_revision) > 0n) return this.end(new CompactedError(BigInt(response.compact_revision)));
    const reason = new Error(response.cancel_reason);
    const failure = failureOf(reason, `a watch of ${this.#options.range.start}`, member.address);
    // Some versions say so of a token that has expired as well.
    const refused = failure.tokenRefused || !failure.memberAtFault;
    if (refused && this.#refusals++ > 0) return this.end(failure.toError(true));
    if (refused) member.forgetToken();
    this.#broken(reason, member);
  }

  #broken(error: Error, member: Member): void {
    this.#close();
    if (failureOf(error, '', member.address).memberAtFault) this.#options.endpoints.avoid(member);
    this.#retry();
  }

  #retry(): void {
    if (this.#over) return;
    if (this.#options.endpoints.closed) return this.cancel();
    this.#cancelTimer();
    const ms = Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LAST_RETRY_MS);
    this.#cancelTimer = this.#options.clock.after(ms, () => void this.#open());
  }

  // The first sign is that the watch was created.
  #listenForLife(stream: IDuplexStream<IWatchRequest, IWatchResponse>, member: Member): void {
    const { clock, endpoints } = this.#options;
    let asked = true;
    const look = (): void => {
      if (this.#stream !== stream) return;
      if (asked && !this.#heard) return this.#broken(new Error('14 UNAVAILABLE: the watch is silent'), member);
      asked = !this.#heard;
      if (asked) stream.write({ progress_request: {} });
      this.#heard = false;
      this.#cancelTimer = clock.after(SILENCE_MS, look);
    };
    this.#heard = false;
    this.#cancelTimer = clock.after(endpoints.callTimeoutMs, look);
  }

  #close(): void {
    this.#cancelTimer();
    if (this.#connected === true) {
      this.#connected = false;
      this.#options.endpoints.figures.connectedWatches--;
    }
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }
}

function eventOf({ type, kv }: IEvent): WatchEvent {
  return type === 'Delete'
    ? { type: 'delete', key: kv.key.toString('utf8'), revision: BigInt(kv.mod_revision) }
    : { type: 'put', kv: keyValueOf(kv) };
}

function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.kv.modRevision : event.revision;
}
