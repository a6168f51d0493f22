import { pieceOf, writesOf } from '@rocketmq-connect/config-service/commit-piece';
import type { Handlers, Implementation, Rpc } from '@rocketmq-connect/mesh';
import { keyRange, type MetadataStore, type Operation, type Txn } from '@rocketmq-connect/metadata-store';
import type { HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import { DeadlineWord, type TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { type CommitRequest, CommitResult, CommitServiceDefinition } from '@rocketmq-connect/proto/commit';
import type { World, Wraps } from './world.ts';

/** One rule of the design left out, from outside, and what the simulation says when it meets that. */
export interface Bug {
  readonly name: string;
  readonly wraps: Wraps;
  readonly found: RegExp;
  /** Where the search begins, so that it is short. */
  readonly fromSeed?: number;
}

type CommitHandlers = Handlers<CommitServiceDefinitionType>;
type CommitServiceDefinitionType = typeof CommitServiceDefinition;

export const bugs: readonly Bug[] = [
  {
    name: 'commits are not compared with the owner key or their fence',
    wraps: { rpc: (rpc, process, world) => (process === 'config' ? withCommits(rpc, (request) => storeUnfenced(world, request)) : rpc) },
    found: /^invariant 3/,
  },
  {
    name: 'half of a commit is stored and answered OK',
    wraps: {
      rpc: (rpc, process, world) => {
        const half = (request: CommitRequest) => ({ ...request, offsets: request.offsets.slice(0, Math.ceil(request.offsets.length / 2)) });
        return process === 'config' ? withCommits(rpc, (request) => storeFenced(world, half(request))) : rpc;
      },
    },
    found: /^exactly once into the log|^invariant 5/,
  },
  {
    name: 'a unit starts whether or not its claim succeeded',
    wraps: {
      store: (store) =>
        withTxn(store, async (txn) => {
          const result = await store.txn(txn);
          return puts(txn, '/owners/') ? { ...result, succeeded: true } : result;
        }),
    },
    found: /^invariant 1/,
  },
  {
    name: 'a claim looks at no other generation',
    wraps: {
      store: (store) =>
        withTxn(store, (txn) => {
          const compare = txn.compare.filter((one) => !('range' in one) && !one.key.includes('/tasksets/'));
          return store.txn(puts(txn, '/owners/tasks/') ? { ...txn, compare } : txn);
        }),
    },
    found: /^invariant 2/,
    fromSeed: 3,
  },
  {
    name: 'what was polled is committed before it is acknowledged',
    wraps: { hosts: (hosts, world) => withEvents(hosts, (event) => aheadOfAcknowledgement(event, world)) },
    found: /^invariant 5/,
  },
  {
    name: 'the log is not made durable before a commit',
    wraps: { log: (log) => ({ ...bound(log), flush: async () => undefined }) },
    found: /^invariant 5/,
  },
  {
    name: 'an unclean end is taken for a clean one',
    wraps: {
      rpc: (rpc, process) =>
        process === 'config'
          ? withHandlers(rpc, (handlers) => ({
              ...handlers,
              read: async (request, context) => {
                const read = await handlers.read(request, context);
                return {
                  ...read,
                  lastCommits: read.lastCommits.map((last) => ({ ...last, commit: last.commit && { ...last.commit, released: true } })),
                };
              },
            }))
          : rpc,
    },
    found: /^exactly once into the log/,
  },
  {
    name: 'a unit is released before its stop is certain',
    wraps: { hosts: releasedBeforeStop },
    found: /^invariant [17]/,
  },
  {
    name: 'nobody looks at the deadline',
    wraps: { deadline: (word) => new DistantDeadline(word.buffer) },
    found: /^invariant [16]/,
    fromSeed: 15,
  },
  {
    name: 'a silent watch is trusted for ever',
    wraps: { clock: (clock) => ({ ...clock, after: (ms, callback) => (ms === 30_000 ? () => undefined : clock.after(ms, callback)) }) },
    found: /^invariant 8/,
    fromSeed: 3,
  },
];

function puts(txn: Txn, part: string): boolean {
  return txn.then.some((operation) => operation.op === 'put' && operation.key.includes(part));
}

function withTxn(store: MetadataStore, txn: MetadataStore['txn']): MetadataStore {
  return { ...store, txn };
}

function withHandlers(rpc: Rpc, change: (handlers: CommitHandlers) => CommitHandlers): Rpc {
  const changed = (one: Implementation): Implementation => {
    if (one.definition.fullName !== CommitServiceDefinition.fullName) return one;
    return { ...one, handlers: change(one.handlers as unknown as CommitHandlers) as unknown as Implementation['handlers'] };
  };
  return { ...rpc, serve: (address, implementations) => rpc.serve(address, implementations.map(changed)) };
}

function withCommits(rpc: Rpc, accept: (request: CommitRequest) => CommitResult): Rpc {
  return withHandlers(rpc, (handlers) => ({
    ...handlers,
    async *commit(requests) {
      for await (const request of requests) {
        const { connector, task, token, sequence } = request;
        yield { connector, task, token, sequence, result: accept(request), message: '' };
      }
    },
  }));
}

function storeUnfenced({ store, keys }: World, request: CommitRequest): CommitResult {
  store.txn({ compare: [], then: writesOf(keys, pieceOf(keys, request), { owner: undefined, last: undefined }, '').then });
  return CommitResult.OK;
}

function storeFenced({ store, keys }: World, request: CommitRequest): CommitResult {
  const piece = pieceOf(keys, request);
  const [last] = store.peek(keyRange(piece.fenceKey));
  const { compare, then } = writesOf(keys, piece, { owner: undefined, last }, '');
  return store.txn({ compare: [...compare], then: then as readonly Operation[] }).succeeded ? CommitResult.OK : CommitResult.FENCED;
}

function withEvents(hosts: TaskHosts, change: (event: HostEvent) => HostEvent): TaskHosts {
  return { open: (listener) => hosts.open({ ...listener, onEvent: (event) => listener.onEvent(change(event)) }) };
}

function aheadOfAcknowledgement(event: HostEvent, { source }: World): HostEvent {
  if (event.type !== 'frozen') return event;
  const offsets = event.content.offsets.map(({ partition }) => {
    return { partition, offset: JSON.stringify({ n: source.count(JSON.parse(partition).stream) }) };
  });
  return { ...event, content: { ...event.content, offsets } };
}

function releasedBeforeStop(hosts: TaskHosts, world: World): TaskHosts {
  return {
    open: (listener) => {
      const host = hosts.open(listener);
      return {
        id: host.id,
        kill: () => host.kill(),
        send: (command) => {
          if (command.type !== 'stop') return host.send(command);
          listener.onEvent({ type: 'stopped', unit: command.unit, content: null });
          world.clock.after(300, () => host.send(command));
        },
      };
    },
  };
}

class DistantDeadline extends DeadlineWord {
  override set(deadlineMs: number): void {
    super.set(deadlineMs === 0 ? 0 : deadlineMs + 60_000);
  }
}

/** A copy of a port whose methods are its own. */
function bound<T extends object>(port: T): T {
  const copy: Record<string, unknown> = {};
  for (const name of ['capabilities', ...Object.getOwnPropertyNames(Object.getPrototypeOf(port))]) {
    const value = (port as Record<string, unknown>)[name];
    copy[name] = typeof value === 'function' ? value.bind(port) : value;
  }
  return copy as T;
}
