import { visitMessages } from '@rocketmq-connect/message-log/message';
import { type PeerReaction, type PeerRequest, RemotingPeer, routeBody } from './remoting-peer.ts';
import { storedMessages } from './stored-messages.ts';

const Code = { pull: 11, updateOffset: 15, max: 30, min: 31, heartbeat: 34, unregister: 35, route: 105, cluster: 106, send: 320 } as const;

/** 'default': what a broker does. */
export type FakeReaction = PeerReaction | 'default';

/**
 * A name server with one broker, `a`, and a topic, `lines`: counts what it is sent per queue, and gives messages whose bodies are their
 * positions. What a test says in `react` comes first.
 */
export class FakeBroker {
  readonly peer: RemotingPeer;
  queues = 4;
  /** Topics that it knows. */
  topics = new Set(['lines']);
  /** Per queue: the first position, and the one behind the last. */
  readonly min = new Map<number, number>();
  readonly max = new Map<number, number>();
  /** Most messages in the answer to a pull. */
  pullMax = 32;
  /** Undefined: as a broker does. */
  react: (request: PeerRequest) => FakeReaction | Promise<FakeReaction> = () => 'default';
  /** Role and addresses in routes; 'self' is this peer. */
  addresses: Readonly<Record<string, string>> = { 0: 'self' };
  /** Pulls held at the end of a queue. */
  readonly #held: (() => void)[] = [];

  constructor() {
    this.peer = new RemotingPeer(async (request) => {
      const reaction = await this.react(request);
      return reaction === 'default' ? this.answer(request) : reaction;
    });
  }

  async start(): Promise<this> {
    await this.peer.start();
    return this;
  }

  /** Stores messages, and wakes the pulls that wait for them. */
  append(queue: number, count: number): number {
    const offset = this.max.get(queue) ?? 0;
    this.max.set(queue, offset + count);
    for (const wake of this.#held.splice(0)) wake();
    return offset;
  }

  async answer(request: PeerRequest): Promise<PeerReaction> {
    const { code, fields, body } = request;
    switch (code) {
      case Code.route:
        if (!this.topics.has(fields['topic'] ?? '')) return { code: 17, remark: 'no route' };
        return { code: 0, body: routeBody({ a: this.#addresses() }, this.queues) };
      case Code.cluster:
        return { code: 0, body: Buffer.from(JSON.stringify({ brokerAddrTable: { a: { brokerAddrs: this.#addresses() } } })) };
      case Code.send: {
        if (!this.topics.has(fields['b'] ?? '')) return { code: 17, remark: 'no topic' };
        let count = 0;
        visitMessages(body, () => count++);
        return { code: 0, fields: { msgId: 'x', queueOffset: this.append(Number(fields['e']), count) } };
      }
      case Code.max:
        return { code: 0, fields: { offset: this.max.get(Number(fields['queueId'])) ?? 0 } };
      case Code.min:
        return { code: 0, fields: { offset: this.min.get(Number(fields['queueId'])) ?? 0 } };
      case Code.pull:
        return this.#pull(request);
      default:
        return { code: 0 };
    }
  }

  async #pull(request: PeerRequest): Promise<PeerReaction> {
    const { fields } = request;
    const queue = Number(fields['queueId']);
    const offset = Number(fields['queueOffset']);
    if (!this.topics.has(fields['topic'] ?? '')) return { code: 17, remark: 'no topic' };
    const min = this.min.get(queue) ?? 0;
    const max = this.max.get(queue) ?? 0;
    const numbers = { minOffset: min, maxOffset: max, suggestWhichBrokerId: 0 };
    if (offset < min || offset > max) return { code: 21, fields: { ...numbers, nextBeginOffset: offset < min ? min : max } };
    if (offset === max) {
      if (fields['suspendTimeoutMillis'] === '0') return { code: 19, fields: { ...numbers, nextBeginOffset: offset } };
      await new Promise<void>((resolve) => this.#held.push(resolve));
      return this.#pull(request);
    }
    const count = Math.min(max - offset, this.pullMax, Number(fields['maxMsgNums']));
    return { code: 0, fields: { ...numbers, nextBeginOffset: offset + count }, body: storedMessages(offset, count) };
  }

  #addresses(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.addresses).map(([id, address]) => [id, address === 'self' ? this.peer.address : address]),
    );
  }
}
