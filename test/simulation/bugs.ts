import { decodeStored } from '@rocketmq-connect/cluster';
import { decideByFence, pieceOf, writesOf } from '@rocketmq-connect/config-service/commit-piece';
import type { Handlers, Implementation, Rpc } from '@rocketmq-connect/mesh';
import { type Compare, type KeyValue, keyRange, type MetadataStore, type Txn } from '@rocketmq-connect/metadata-store';
import type { HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import { DeadlineWord, type TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { type CommitRequest, CommitResult, CommitServiceDefinition } from '@rocketmq-connect/proto/commit';
import { StoredCommit } from '@rocketmq-connect/proto/storage';
import type { FaultPlan } from './faults.ts';
import type { Mutation } from './mutant.ts';
import { SINK, type World, type Wraps } from './world.ts';

/** One rule of the design left out, and what the simulation says when it meets that. */
export type Bug = {
  readonly name: string;
  readonly found: RegExp;
  /** Where the search begins, so that it is short. */
  readonly fromSeed?: number;
  /** Instead of what the seeds draw, where that meets the bug too rarely. */
  readonly plan?: FaultPlan;
} & (
  | {
      /** From outside, at a port. */
      readonly wraps: Wraps;
    }
  | {
      /** Inside, where no port shows it. */
      readonly mutation: Mutation;
    }
);

type CommitHandlers = Handlers<CommitServiceDefinitionType>;
type CommitServiceDefinitionType = typeof CommitServiceDefinition;

export const bugs: readonly Bug[] = [
  {
    name: 'a commit is taken with any token',
    wraps: {
      rpc: (rpc, process, world) => atConfigs(rpc, process, world, (request) => store(world, request, { owner: false, sequence: true })),
    },
    found: /^invariant 3/,
    plan: commitsOfTheDeposed(),
  },
  {
    name: 'a commit is not compared with the sequence before it',
    wraps: {
      rpc: (rpc, process, world) => atConfigs(rpc, process, world, (request) => store(world, request, { owner: true, sequence: false })),
    },
    found: /^invariant [34]/,
    plan: lateCommits(),
  },
  {
    name: 'half of a commit is stored and answered OK',
    wraps: {
      rpc: (rpc, process, world) => {
        const half = (request: CommitRequest) => ({ ...request, offsets: request.offsets.slice(0, Math.ceil(request.offsets.length / 2)) });
        return atConfigs(rpc, process, world, (request) => store(world, half(request), { owner: true, sequence: true }));
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
    name: 'a claim looks at no owner of an older generation',
    wraps: { store: (store) => withoutCompares(store, '/owners/tasks/', (compare) => 'range' in compare) },
    found: /^invariant 2/,
  },
  {
    name: 'a claim does not look whether its generation is the published one',
    wraps: {
      store: (store) => withoutCompares(store, '/owners/tasks/', (compare) => !('range' in compare) && compare.key.includes('/tasksets/')),
    },
    found: /^invariant [24]/,
  },
  {
    name: 'stopping a connector keeps its task set',
    wraps: {
      store: (store) =>
        withTxn(store, (txn) => {
          const then = txn.then.filter((one) => !(puts(txn, '/specs/') && one.op === 'delete' && one.key.includes('/tasksets/')));
          return store.txn({ ...txn, then });
        }),
    },
    found: /^invariant 4/,
    plan: restlessUser(),
  },
  {
    name: 'offsets are reset while tasks are owned',
    wraps: {
      store: (store, process, world) =>
        world.configs.includes(process) ? blindToOwners(withoutCompares(store, '/alters/', (compare) => 'range' in compare)) : store,
    },
    found: /^invariant [45]/,
    plan: restlessUser(),
  },
  {
    name: 'commits follow the order of acknowledgements, not of records',
    wraps: { hosts: (hosts, world) => withEvents(hosts, (event) => withOffsets(event, (stream) => world.index.end(stream))) },
    found: /^invariant 5/,
  },
  {
    name: 'a host starts a task again while a commit of the last one is on its way',
    mutation: {
      file: 'services/task-runner-service/task-unit.ts',
      find: 'this.#lastContent === null ? await committer.settled() : await committer.commit(this.#lastContent)',
      replace: "{ type: 'stored' } as const",
    },
    fromSeed: 81,
    found: /^invariant [45]/,
    plan: crashingHosts(),
  },
  {
    name: 'the end of a session is not latched: a late answer revives it',
    mutation: {
      file: 'libs/cluster/lease-state.ts',
      find: "state.phase === 'live' && event.nowMs >= endsAtMs(state)",
      replace: 'false',
    },
    found: /^invariant/,
  },
  {
    name: 'what was polled is committed before it is acknowledged',
    wraps: { hosts: (hosts, world) => withEvents(hosts, (event) => withOffsets(event, (stream) => world.source.count(stream))) },
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
      rpc: (rpc, process, world) =>
        world.configs.includes(process)
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
    plan: frozenRunners(),
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

function withoutCompares(store: MetadataStore, ofPut: string, leftOut: (compare: Compare) => boolean): MetadataStore {
  return withTxn(store, (txn) => {
    const compare = txn.compare.filter((one) => !leftOut(one));
    return store.txn(puts(txn, ofPut) ? { ...txn, compare } : txn);
  });
}

function blindToOwners(store: MetadataStore): MetadataStore {
  return {
    ...store,
    get: async (key) => ({ ...(await store.get(key)), ...(key.includes('/owners/') ? { kv: null } : {}) }),
    range: async (range) => ({ ...(await store.range(range)), ...(range.start.includes('/owners/tasks/') ? { kvs: [] } : {}) }),
  };
}

function atConfigs(rpc: Rpc, process: string, world: World, accept: (request: CommitRequest) => CommitResult): Rpc {
  if (!world.configs.includes(process)) return rpc;
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

function store(
  { store, keys }: World,
  request: CommitRequest,
  compared: { readonly owner: boolean; readonly sequence: boolean },
): CommitResult {
  const piece = pieceOf(keys, request);
  const [last] = store.peek(keyRange(piece.fenceKey));
  const [owner] = store.peek(keyRange(piece.ownerKey));
  const other = !compared.owner && last !== undefined && decodeStored(StoredCommit, last).token !== request.token;
  const decided = decideByFence(piece, {
    owner: compared.owner ? owner : pretended(request),
    last: compared.sequence && !other ? last : undefined,
  });
  if (decided !== null) return decided;
  store.txn({ compare: [], then: writesOf(keys, piece, { owner, last }, '').then });
  return CommitResult.OK;
}

function pretended({ token }: CommitRequest): KeyValue {
  return { key: '', value: '', createRevision: token, modRevision: token, version: 1n, leaseId: 0n };
}

function withEvents(hosts: TaskHosts, change: (event: HostEvent) => HostEvent): TaskHosts {
  return { open: (listener) => hosts.open({ ...listener, onEvent: (event) => listener.onEvent(change(event)) }) };
}

function withOffsets(event: HostEvent, endOf: (stream: number) => number): HostEvent {
  if (event.type !== 'frozen') return event;
  const offsets = event.content.offsets.map(({ partition }) => ({
    partition,
    offset: JSON.stringify({ n: endOf(JSON.parse(partition).stream) }),
  }));
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

/** Runners that lose sight of a config-service for longer than they wait for a commit's answer: what they repeat elsewhere arrives twice. */
function lateCommits(): FaultPlan {
  const faults: FaultPlan['faults'][number][] = [];
  for (let atMs = 1_500; atMs < 8_000; atMs += 500) {
    for (const runner of ['r1', 'r2', 'r3'])
      faults.push({ atMs, kind: 'partition', between: [runner, 'c1'], mode: 'silent', forMs: 11_000 });
  }
  return { faults, rates: { packet: 0, store: 0, log: 0, outside: 0 } };
}

/** Runners cut off from everything, whose last commits arrive when their leases are over. */
function commitsOfTheDeposed(): FaultPlan {
  const faults = ['r1', 'r2', 'r3'].flatMap((runner, index): FaultPlan['faults'][number][] => {
    const atMs = 2_000 + index * 5_000;
    const parted = ['c1', 'c2'].map((config) => {
      return { atMs, kind: 'partition', between: [runner, config], mode: 'silent', forMs: 7_100 + index * 300 } as const;
    });
    return [...parted, { atMs, kind: 'storePartition', process: runner, forMs: 9_000 }];
  });
  return { faults, rates: { packet: 0, store: 0, log: 0, outside: 0 } };
}

/** Runners that stand still for longer than their lease lasts. */
function frozenRunners(): FaultPlan {
  const faults = ['r1', 'r2', 'r3', 'r1', 'r2'].map((process, index): FaultPlan['faults'][number] => {
    return { atMs: 2_000 + index * 3_500, kind: 'suspend', process, forMs: 7_500 + index * 400 };
  });
  return { faults, rates: { packet: 0, store: 0, log: 0, outside: 0 } };
}

/** Hosts that crash without rest while commits are slow. */
function crashingHosts(): FaultPlan {
  const faults = Array.from({ length: 24 }, (_, at): FaultPlan['faults'][number] => {
    return { atMs: 2_000 + at * 700, kind: 'hostCrash', process: `r${1 + (at % 3)}`, reason: 'crashed' };
  });
  return { faults, rates: { packet: 200, store: 100, log: 0, outside: 0 } };
}

/** A user who resets, stops and resumes without rest, on a store that is slow and unsure. */
function restlessUser(): FaultPlan {
  const acts = ['reset', 'stop', 'resume'] as const;
  const faults = Array.from({ length: 50 }, (_, at): FaultPlan['faults'][number] => {
    return { atMs: 2_000 + at * 350, kind: 'user', action: { act: acts[at % acts.length] ?? 'resume', connector: SINK } };
  });
  return { faults, rates: { packet: 10, store: 200, log: 0, outside: 0 } };
}
