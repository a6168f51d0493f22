import { type Clock, sleep } from '@rocketmq-connect/sdk';
import type { Connections } from './connections.ts';
import { heartbeatRequest, unregisterRequest } from './requests/heartbeat.ts';
import { ResponseCode } from './response-code.ts';

/** As it appears in tools and in the names of the log's own groups. */
export const PRODUCER_GROUP = 'rocketmq-connect';

export interface MembershipSettings {
  readonly clientId: string;
  readonly clock: Clock;
  readonly heartbeatMs: number;
  readonly requestTimeoutMs: number;
}

/**
 * Tells brokers who is there, so that `mqadmin consumerProgress` and dashboards show our groups. Nothing depends on it: what fails is
 * told again with the next beat.
 */
export class Membership {
  readonly #settings: MembershipSettings;
  readonly #connections: Connections;
  /** Per open reader. */
  readonly #members = new Map<object, { readonly group: string; readonly topics: readonly string[] }>();
  /** Name servers, which take no heartbeat. */
  readonly #deaf = new Set<string>();
  readonly #ending = new AbortController();

  constructor(settings: MembershipSettings, connections: Connections) {
    this.#settings = settings;
    this.#connections = connections;
    void this.#beatOnAndOn();
  }

  join(reader: object, group: string, topics: readonly string[]): void {
    this.#members.set(reader, { group, topics });
    void this.#beat();
  }

  leave(reader: object): void {
    const group = this.#members.get(reader)?.group;
    if (!this.#members.delete(reader) || group === undefined) return;
    if ([...this.#members.values()].some((member) => member.group === group)) return;
    this.#unregister({ consumer: group });
  }

  end(): void {
    this.#ending.abort();
    this.#unregister({ producer: PRODUCER_GROUP });
  }

  async #beatOnAndOn(): Promise<void> {
    const { clock, heartbeatMs } = this.#settings;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await this.#beat();
      await sleep(clock, heartbeatMs, signal).catch(() => {});
    }
  }

  async #beat(): Promise<void> {
    const topics = new Map<string, Set<string>>();
    for (const member of this.#members.values()) {
      const all = topics.get(member.group) ?? new Set();
      for (const topic of member.topics) all.add(topic);
      topics.set(member.group, all);
    }
    const request = heartbeatRequest(this.#settings.clientId, [PRODUCER_GROUP], topics);
    const listening = this.#connections.open().filter(({ address }) => !this.#deaf.has(address));
    await Promise.allSettled(
      listening.map(async (connection) => {
        const { code } = await connection.invoke(request, this.#settings.requestTimeoutMs);
        if (code === ResponseCode.requestCodeNotSupported) this.#deaf.add(connection.address);
      }),
    );
  }

  #unregister(group: { readonly producer?: string; readonly consumer?: string }): void {
    const request = unregisterRequest(this.#settings.clientId, group);
    for (const connection of this.#connections.open()) connection.oneway(request);
  }
}
