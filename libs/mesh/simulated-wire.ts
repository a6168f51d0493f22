import type { Clock } from '@rocketmq-connect/sdk';

/** What a fault rule decides about one packet; nothing means it passes. */
export interface Fault {
  /** The packet, and all behind it in its direction, never arrive. The call waits for its deadline (or the keep-alive). */
  readonly drop?: boolean;
  /** The connection of this call breaks: both sides notice. */
  readonly cut?: boolean;
  readonly delayMs?: number;
  /** The unary request is carried out twice; the second answer goes nowhere. */
  readonly duplicate?: boolean;
}

/** A packet about to be sent, as a fault rule sees it. */
export interface Transit {
  /** Names of nodes. */
  readonly from: string;
  readonly to: string;
  /** E.g. `rocketmq.connect.v1.ConnectorService/Create`. */
  readonly method: string;
  readonly direction: 'request' | 'response';
  /** `open` carries a unary's or server stream's request, `status` the end of a call. */
  readonly kind: Packet['kind'];
}

export type Packet =
  | { readonly kind: 'open'; readonly bytes: Uint8Array | undefined }
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'status'; readonly detail: Uint8Array | undefined };

/** One direction of one call: keeps order, like the TCP connection under it, whatever the delays. */
export class Wire {
  readonly #clock: Clock;
  readonly #deliver: (packet: Packet) => void;
  readonly #queue: Packet[] = [];
  #due = 0;
  #lastDueMs = 0;
  #held = false;
  #dead = false;

  constructor(clock: Clock, deliver: (packet: Packet) => void) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  send(packet: Packet, delayMs: number): void {
    if (this.#dead) return;
    this.#queue.push(packet);
    const now = this.#clock.monotonic();
    this.#lastDueMs = Math.max(this.#lastDueMs, now + delayMs);
    const arrive = (): void => {
      this.#due++;
      this.#flush();
    };
    if (this.#lastDueMs > now) this.#clock.after(this.#lastDueMs - now, arrive);
    else queueMicrotask(arrive);
  }

  /** Keeps packets back, or hands over those that have become due meanwhile. */
  hold(held: boolean): void {
    this.#held = held;
    this.#flush();
  }

  kill(): void {
    this.#dead = true;
    this.#queue.length = 0;
  }

  /** Nothing is on its way, nor will be. */
  get idle(): boolean {
    return this.#queue.length === 0;
  }

  #flush(): void {
    while (!this.#held && this.#due > 0) {
      this.#due--;
      const packet = this.#queue.shift();
      if (packet !== undefined) this.#deliver(packet);
    }
  }
}
