import { type Clock, ConnectError, sleep } from '@rocketmq-connect/sdk';
import { inParallel } from './in-parallel.ts';
import type { Receipt } from './incoming.ts';
import type { Proxies } from './proxies.ts';
import { isOk, statusError } from './status.ts';
import { durationOf, methods, resource, wire } from './wire.ts';

/** One message that the broker holds for this client. */
export interface Held {
  readonly topic: string;
  readonly addresses: readonly string[];
  readonly messageId: string;
  /** Changes with each renewal. */
  handle: string;
  /** Monotonic time at which it comes again unless it is renewed; earlier than the broker's own reckoning. */
  untilMs: number;
  renewing: Promise<void> | null;
}

export interface HoldSettings {
  readonly group: string;
  readonly clientId: string;
  readonly clock: Clock;
  readonly proxies: Proxies;
  /** For how long the broker waits for an acknowledgement or renewal. */
  readonly invisibleMs: number;
}

const MARGIN_MS = 1_000;
const LOOK_MS = 1_000;
const RENEWALS_MAX = 64;
const ENTRIES_MAX = 128;
const ACKNOWLEDGEMENTS_MAX = 16;
const AGAIN_MS = 200;
const GIVE_BACK_MS = 1_000;
const GIVE_BACK_WAIT_MS = 1_500;

/** The messages that are held: renewed in time, acknowledged, given back. */
export class Hold {
  readonly #settings: HoldSettings;
  /** Those to be renewed first come first. */
  readonly #held = new Set<Held>();
  readonly #ending = new AbortController();
  #cancelLook: (() => void) | null = null;
  #renewing = false;

  constructor(settings: HoldSettings) {
    this.#settings = settings;
  }

  /** Of messages that have just come. */
  take(topic: string, addresses: readonly string[], receipts: readonly Receipt[]): Held[] {
    const untilMs = this.#untilMs();
    const held = receipts.map(({ messageId, handle }) => ({ topic, addresses, messageId, handle, untilMs, renewing: null }));
    for (const one of held) this.#held.add(one);
    this.#lookLater();
    return held;
  }

  /** Repeated until the broker knows, or holds them no more. Resolves with the number of the latter. */
  async acknowledge(done: readonly Held[]): Promise<number> {
    for (const one of done) this.#held.delete(one);
    await Promise.all(done.map(({ renewing }) => renewing));
    let lapsed = 0;
    await inParallel(chunks(done), ACKNOWLEDGEMENTS_MAX, async (chunk) => {
      lapsed += await this.#acknowledgeAll(chunk);
    });
    return lapsed;
  }

  /** They come again soon; those that cannot be given back in a moment, when their time is over. Nothing is renewed any more. */
  async end(): Promise<void> {
    this.#cancelLook?.();
    const { clock } = this.#settings;
    const tooLate = new AbortController();
    const giving = inParallel([...this.#held], RENEWALS_MAX, async (held) => {
      if (tooLate.signal.aborted) return;
      await held.renewing;
      await this.#changeInvisible(held, GIVE_BACK_MS);
    });
    this.#held.clear();
    await Promise.race([giving.catch(() => undefined), sleep(clock, GIVE_BACK_WAIT_MS, tooLate.signal).catch(() => undefined)]);
    tooLate.abort();
    this.#ending.abort();
  }

  #untilMs(): number {
    return this.#settings.clock.monotonic() + this.#settings.invisibleMs - MARGIN_MS;
  }

  async #acknowledgeAll(chunk: readonly Held[]): Promise<number> {
    const { clock } = this.#settings;
    let left = chunk;
    let lapsed = 0;
    for (;;) {
      const answered = await this.#acknowledgeOnce(left).catch(() => left.map(() => 'again' as const));
      lapsed += answered.filter((answer) => answer === 'lapsed').length;
      left = left.filter((_, i) => answered[i] === 'again');
      if (left.length === 0) return lapsed;
      const heldStill = left.filter(({ untilMs }) => untilMs + MARGIN_MS > clock.monotonic());
      lapsed += left.length - heldStill.length;
      left = heldStill;
      if (left.length === 0) return lapsed;
      await sleep(clock, AGAIN_MS, this.#ending.signal);
    }
  }

  async #acknowledgeOnce(chunk: readonly Held[]): Promise<('done' | 'lapsed' | 'again')[]> {
    const [first] = chunk;
    if (first === undefined) return [];
    const { group, clientId, proxies } = this.#settings;
    const request = new wire.AckMessageRequest().setGroup(resource(group)).setTopic(resource(first.topic));
    for (const { messageId, handle } of chunk) request.addEntries().setMessageId(messageId).setReceiptHandle(handle);
    const connection = await proxies.any(first.addresses);
    const answer = await connection.call(methods.ackMessage, request, clientId);
    // Entries may come in another order than they were asked about.
    const statuses = new Map(answer.getEntriesList().map((entry) => [entry.getReceiptHandle(), entry.getStatus()]));
    return chunk.map(({ handle }) => {
      const status = statuses.get(handle) ?? answer.getStatus();
      if (isOk(status)) return 'done';
      return status?.getCode() === wire.Code.INVALID_RECEIPT_HANDLE ? 'lapsed' : 'again';
    });
  }

  #lookLater(): void {
    if (this.#cancelLook !== null || this.#held.size === 0) return;
    this.#cancelLook = this.#settings.clock.after(LOOK_MS, () => {
      this.#cancelLook = null;
      void this.#renewDue();
      this.#lookLater();
    });
  }

  async #renewDue(): Promise<void> {
    if (this.#renewing) return;
    const { clock, invisibleMs } = this.#settings;
    const dueMs = clock.monotonic() + invisibleMs / 2;
    const due: Held[] = [];
    for (const held of this.#held) {
      if (held.untilMs > dueMs) break;
      due.push(held);
    }
    this.#renewing = true;
    await inParallel(due, RENEWALS_MAX, (held) => this.#renew(held));
    this.#renewing = false;
  }

  async #renew(held: Held): Promise<void> {
    if (!this.#held.has(held)) return;
    held.renewing = this.#changeInvisible(held, this.#settings.invisibleMs).then(
      () => {
        held.untilMs = this.#untilMs();
        // Last in the order of those to be renewed, if it is held still.
        if (this.#held.delete(held)) this.#held.add(held);
      },
      (error: unknown) => {
        // It has lapsed, and comes again. Another error may be another one's fault: the next look tries again.
        if (error instanceof ConnectError && error.code === 'HOLD_LAPSED') this.#held.delete(held);
      },
    );
    await held.renewing;
    held.renewing = null;
  }

  async #changeInvisible(held: Held, invisibleMs: number): Promise<void> {
    const { group, clientId, proxies } = this.#settings;
    const { topic, handle, messageId, addresses } = held;
    const request = new wire.ChangeInvisibleDurationRequest()
      .setGroup(resource(group))
      .setTopic(resource(topic))
      .setReceiptHandle(handle)
      .setMessageId(messageId)
      .setInvisibleDuration(durationOf(invisibleMs));
    const connection = await proxies.any(addresses);
    const answer = await connection.call(methods.changeInvisibleDuration, request, clientId);
    if (!isOk(answer.getStatus())) throw statusError(`renewing message ${messageId}`, connection.address, answer.getStatus());
    held.handle = answer.getReceiptHandle();
  }
}

/** Requests: of one topic and one broker's proxies each. */
function chunks(held: readonly Held[]): Held[][] {
  const open = new Map<string, Held[]>();
  const all: Held[][] = [];
  for (const one of held) {
    const name = `${one.topic} ${one.addresses.join()}`;
    let chunk = open.get(name);
    if (chunk === undefined || chunk.length === ENTRIES_MAX) {
      chunk = [];
      open.set(name, chunk);
      all.push(chunk);
    }
    chunk.push(one);
  }
  return all;
}
