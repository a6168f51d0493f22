import type { Fault as PacketFault } from '@rocketmq-connect/mesh/simulated';
import type { SimulatedFault } from '@rocketmq-connect/message-log/simulated';
import type { StoreFault } from '@rocketmq-connect/metadata-store/simulated';
import type { Random } from '@rocketmq-connect/sdk';
import { between, seededRandom } from '@rocketmq-connect/sdk/testing';
import type { Action, User } from './user.ts';
import { SINK, SOURCE, type World } from './world.ts';

/** One thing that happens at one moment; plain data, so that a plan can be read and cut short. */
type Fault = { readonly atMs: number } & Blow;

type Blow =
  | { readonly kind: 'crash'; readonly process: string; readonly forMs: number }
  | { readonly kind: 'suspend'; readonly process: string; readonly forMs: number }
  | { readonly kind: 'storePartition'; readonly process: string; readonly forMs: number }
  | { readonly kind: 'partition'; readonly between: readonly [string, string]; readonly mode: 'cut' | 'silent'; readonly forMs: number }
  | { readonly kind: 'hostCrash'; readonly process: string; readonly reason: 'crashed' | 'outOfMemory' }
  | { readonly kind: 'hostHang'; readonly process: string; readonly forMs: number }
  | { readonly kind: 'watchCut' | 'watchDeaf'; readonly process: string }
  | { readonly kind: 'watchSlow'; readonly process: string; readonly delayMs: number; readonly forMs: number }
  | { readonly kind: 'compaction' }
  | { readonly kind: 'wallClock'; readonly byMs: number }
  | { readonly kind: 'growth'; readonly of: 'queues' | 'streams' }
  | { readonly kind: 'user'; readonly action: Action };

/** Chances, of one thousand: that a packet, a call of the store, an operation of the log, a call of an outside system goes wrong. */
interface Rates {
  readonly packet: number;
  readonly store: number;
  readonly log: number;
  readonly outside: number;
}

export interface FaultPlan {
  readonly faults: readonly Fault[];
  readonly rates: Rates;
}

const KINDS = [
  'crash',
  'suspend',
  'storePartition',
  'partition',
  'hostCrash',
  'hostHang',
  'watchCut',
  'watchDeaf',
  'watchSlow',
  'compaction',
  'wallClock',
  'user',
] as const satisfies readonly Blow['kind'][];
/** What the outside grows by makes new task sets, close to what else makes tasks move. */
const GROWTH: readonly Blow['kind'][] = [
  'growth',
  'growth',
  'growth',
  'crash',
  'suspend',
  'hostCrash',
  'watchSlow',
  'storePartition',
  'user',
];
const CHURN: readonly Blow['kind'][] = ['hostCrash', 'hostCrash', 'crash', 'suspend', 'user', 'user', 'user'];
const ACTS: readonly Action['act'][] = ['pause', 'resume', 'resume', 'stop', 'restart', 'reconfigure', 'recreate', 'reset'];
const MOVING_ACTS: readonly Action['act'][] = ['reconfigure', 'reconfigure', 'reconfigure', 'recreate', 'stop', 'resume', 'reset'];

/** `swarm`: anything, with some kinds left out by each seed so that others come close together. `churn`: tasks move without rest; `growth`: topics and outside systems grow. */
export const PROFILES = ['swarm', 'churn', 'growth'] as const;
export type Profile = (typeof PROFILES)[number];

interface Named {
  readonly runners: readonly string[];
  readonly configs: readonly string[];
  readonly names: readonly string[];
}

/** What goes wrong under a seed. */
export function drawFaults(seed: number, profile: Profile, world: Named, withinMs: number): FaultPlan {
  const random = seededRandom(seed * 7919 + 1);
  const churn = profile === 'churn';
  const kinds: readonly Blow['kind'][] = churn ? CHURN : profile === 'growth' ? GROWTH : KINDS.filter(() => random() < 0.5);
  const everyMs = churn ? between(random, 300, 3_000) : between(random, 400, 5_000);
  const faults: Fault[] = [];
  for (let atMs = between(random, 0, 4_000); atMs < withinMs && kinds.length > 0; atMs += between(random, 1, 2 * everyMs)) {
    faults.push({ atMs, ...drawBlow(one(random, kinds), random, world, churn ? MOVING_ACTS : ACTS) });
  }
  const rate = (most: number): number => (random() < 0.5 ? 0 : between(random, 1, most));
  return { faults, rates: { packet: rate(30), store: rate(60), log: rate(80), outside: rate(60) } };
}

function drawBlow(kind: Blow['kind'], random: Random, { runners, configs, names }: Named, acts: readonly Action['act'][]): Blow {
  // Half of what hits a process hits a runner that has work.
  const process = random() < 0.6 ? one(random, runners) : one(random, names);
  const runner = one(random, runners);
  const forMs = random() < 0.5 ? between(random, 50, 2_000) : between(random, 2_000, 12_000);
  switch (kind) {
    case 'crash':
    case 'suspend':
    case 'storePartition':
      return { kind, process, forMs };
    case 'partition':
      return { kind, between: [runner, one(random, configs)], mode: one(random, ['cut', 'silent'] as const), forMs };
    case 'hostCrash':
      return { kind, process: runner, reason: one(random, ['crashed', 'outOfMemory'] as const) };
    case 'hostHang':
      return { kind, process: runner, forMs };
    case 'watchCut':
    case 'watchDeaf':
      return { kind, process };
    case 'watchSlow':
      return { kind, process, delayMs: between(random, 10, 3_000), forMs };
    case 'compaction':
      return { kind };
    case 'wallClock':
      return { kind, byMs: between(random, -3_600_000, 3_600_000) };
    case 'growth':
      return { kind, of: one(random, ['queues', 'streams'] as const) };
    case 'user':
      return { kind, action: drawAction(random, acts) };
  }
}

function drawAction(random: Random, acts: readonly Action['act'][]): Action {
  const connector = one(random, [SOURCE, SINK]);
  const act = one(random, acts);
  // A source whose offsets are forgotten sends everything again, as it should.
  if (act === 'reset') return { act, connector: SINK };
  return act === 'reconfigure' || act === 'recreate' ? { act, connector, tasksMax: between(random, 1, 3) } : { act, connector };
}

/** Lets a plan happen; the result ends all of it and repairs what is broken. What ends by itself does so within 12 s; a deaf watch stays deaf. */
export function unleash(plan: FaultPlan, world: World, user: User, seed: number): () => void {
  const random = seededRandom(seed * 104_729 + 2);
  const chance = (perMille: number): boolean => random() * 1_000 < perMille;
  const { packet, store, log, outside } = plan.rates;
  world.trace.add('faults', `rates ${JSON.stringify(plan.rates)}`);
  const calm = packet === 0 ? () => undefined : world.network.inject(() => (chance(packet) ? packetFault(random) : undefined));
  if (store > 0) world.store.faults = () => (chance(store) ? storeFault(random) : undefined);
  if (log > 0) world.log.faults = ({ operation }) => (chance(log) ? logFault(random, operation === 'send') : undefined);
  world.weather.outsideTrouble = outside / 1_000;
  world.weather.logDelayMs = () => between(random, 0, 20);
  const cancels = plan.faults.map(({ atMs, ...blow }) => world.clock.after(atMs, () => strike(blow, world, user)));
  return () => {
    world.trace.add('faults', 'stop');
    for (const cancel of cancels) cancel();
    calm();
    world.store.faults = undefined;
    world.log.faults = () => undefined;
    world.weather.outsideTrouble = 0;
    for (const name of world.names) {
      world.process(name)?.resume();
      world.start(name);
    }
  };
}

function strike(blow: Blow, world: World, user: User): void {
  const { clock } = world;
  world.trace.add(
    'fault',
    Object.values(blow)
      .map((value) => (typeof value === 'object' ? JSON.stringify(value) : value))
      .join(' '),
  );
  switch (blow.kind) {
    case 'crash':
      world.crash(blow.process);
      clock.after(blow.forMs, () => world.start(blow.process));
      return;
    case 'suspend': {
      const process = world.process(blow.process);
      process?.suspend();
      clock.after(blow.forMs, () => process?.resume());
      return;
    }
    case 'storePartition': {
      const client = world.client(blow.process);
      client?.partition();
      clock.after(blow.forMs, () => client?.heal());
      return;
    }
    case 'partition': {
      const [a, b] = blow.between;
      world.network.partition(a, b, blow.mode);
      clock.after(blow.forMs, () => world.network.heal(a, b));
      return;
    }
    case 'hostCrash':
      for (const host of world.hosts(blow.process)?.alive.slice(0, 1) ?? []) host.crash(blow.reason);
      return;
    case 'hostHang':
      for (const host of world.hosts(blow.process)?.alive.slice(0, 1) ?? []) {
        host.hang();
        clock.after(blow.forMs, () => host.crash());
      }
      return;
    case 'watchCut':
      world.client(blow.process)?.cutWatches();
      return;
    case 'watchDeaf':
      world.client(blow.process)?.deafenWatches();
      return;
    case 'watchSlow': {
      const client = world.client(blow.process);
      if (client === undefined) return;
      client.watchDelayMs = blow.delayMs;
      clock.after(blow.forMs, () => {
        client.watchDelayMs = 0;
      });
      return;
    }
    case 'compaction':
      world.store.compact();
      return;
    case 'wallClock':
      clock.jumpWallClock(blow.byMs);
      return;
    case 'growth':
      world.grow(blow.of);
      return;
    case 'user':
      void user.does(blow.action);
  }
}

function packetFault(random: Random): PacketFault {
  const at = random();
  if (at < 0.2) return { drop: true };
  if (at < 0.4) return { cut: true };
  if (at < 0.6) return { duplicate: true };
  return { delayMs: random() < 0.8 ? between(random, 1, 200) : between(random, 200, 9_000) };
}

function storeFault(random: Random): StoreFault {
  const at = random();
  if (at < 0.2) return { outcome: 'unavailable' };
  if (at < 0.35) return { outcome: 'unknownApplied' };
  if (at < 0.5) return { outcome: 'unknownNotApplied' };
  if (at < 0.65) return { outcome: 'unknownAppliedLater', laterMs: between(random, 1, 5_000) };
  const ms = random() < 0.8 ? between(random, 1, 100) : between(random, 100, 1_900);
  return at < 0.8 ? { delayMs: ms } : { answerDelayMs: ms };
}

function logFault(random: Random, isSend: boolean): SimulatedFault {
  const at = random();
  if (at < 0.4 || !isSend) return { fails: 'unavailable' };
  return { fails: at < 0.7 ? 'lost' : 'stored' };
}

function one<T>(random: Random, of: readonly T[]): T {
  return of[Math.floor(random() * of.length)] as T;
}
