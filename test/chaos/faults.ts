import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@rocketmq-connect/sdk';
import { between } from '@rocketmq-connect/sdk/testing';
import type { EtcdCluster } from '../support/etcd-cluster.ts';
import { LEASE_TTL_MS, type Mesh, type ServiceKind } from '../support/mesh.ts';
import { brokerVictim } from '../support/rocketmq.ts';
import type { Far, Links } from './links.ts';

/** What happens to real processes and servers. `kill` is SIGKILL, `end` SIGTERM. */
export const FAULTS = [
  'kill runner',
  'kill two runners',
  'kill scheduler',
  'kill config-service',
  'kill gateway',
  'end runner',
  'end scheduler',
  'end config-service',
  'end gateway',
  'suspend runner shortly',
  'suspend runner beyond its lease',
  'suspend config-service beyond its lease',
  'suspend scheduler beyond its lease',
  'cut runner from etcd',
  'cut runner from etcd while it compacts',
  'silence etcd for runner',
  'cut config-service from etcd',
  'silence etcd for config-service',
  'cut scheduler from etcd',
  'silence etcd for scheduler',
  'kill etcd shortly',
  'kill etcd beyond leases',
  'kill etcd leader',
  'freeze etcd leader',
  'compact etcd',
  'cut runner from config-services',
  'silence config-services for runner',
  'cut runner from broker',
  'silence broker for runner',
  'kill broker',
  'freeze broker',
] as const;
export type Fault = (typeof FAULTS)[number];

/** The processes by their ids. */
export const PROCESSES = {
  'config-service': ['c1', 'c2'],
  scheduler: ['s1', 's2'],
  'task-runner': ['t1', 't2', 't3'],
  gateway: ['g1', 'g2'],
} as const satisfies Record<ServiceKind, readonly string[]>;

/** What faults strike at. */
export interface Victims {
  readonly mesh: Mesh;
  readonly etcd: EtcdCluster;
  readonly links: Links;
  /** Starts a process that is gone again. */
  add(kind: ServiceKind, id: string): Promise<void>;
  /** Forgets what everybody who is connected has seen. */
  compact(): Promise<void>;
}

/** When it resolves the fault is over, and whatever it killed is there again. */
export async function strike(fault: Fault, victims: Victims, random: Random): Promise<void> {
  const { mesh, etcd, links } = victims;
  const shortMs = between(random, 100, LEASE_TTL_MS * 0.5);
  const longMs = between(random, LEASE_TTL_MS * 1.3, LEASE_TTL_MS * 2.5);
  const eitherMs = random() < 0.5 ? shortMs : longMs;
  const runners = PROCESSES['task-runner'];
  const runner = one(random, runners);
  const config = one(random, PROCESSES['config-service']);
  const scheduler = one(random, PROCESSES.scheduler);
  const gateway = one(random, PROCESSES.gateway);

  const bounce = async (kind: ServiceKind, id: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    await mesh.get(id).signal(signal);
    await sleep(shortMs);
    await victims.add(kind, id);
  };
  const suspend = async (id: string, forMs: number): Promise<void> => {
    await mesh.get(id).signal('SIGSTOP');
    await sleep(forMs);
    await mesh.get(id).signal('SIGCONT');
  };
  const cut = async (id: string, from: Far = 'etcd'): Promise<void> => {
    links.cut(from, id);
    await sleep(eitherMs);
    links.heal();
  };
  const silence = async (id: string, far: Far = 'etcd'): Promise<void> => {
    links.silence(far, id);
    await sleep(eitherMs);
    links.heal();
  };
  /** A runner that could not end its tasks in time ends itself: somebody starts it again, as a supervisor would. */
  const revive = async (ids: readonly string[]): Promise<void> => {
    await sleep(500);
    for (const id of ids) if (!mesh.get(id).alive) await victims.add('task-runner', id);
  };

  switch (fault) {
    case 'kill runner':
      return bounce('task-runner', runner, 'SIGKILL');
    case 'kill two runners': {
      const other = one(
        random,
        runners.filter((id) => id !== runner),
      );
      await Promise.all([bounce('task-runner', runner, 'SIGKILL'), bounce('task-runner', other, 'SIGKILL')]);
      return;
    }
    case 'end runner':
      return bounce('task-runner', runner, 'SIGTERM');
    case 'kill scheduler':
    case 'end scheduler':
      return bounce('scheduler', scheduler, signalOf(fault));
    case 'kill config-service':
    case 'end config-service':
      return bounce('config-service', config, signalOf(fault));
    case 'kill gateway':
    case 'end gateway':
      return bounce('gateway', gateway, signalOf(fault));
    case 'suspend runner shortly':
    case 'suspend runner beyond its lease':
      await suspend(runner, fault === 'suspend runner shortly' ? shortMs : longMs);
      return revive([runner]);
    case 'suspend config-service beyond its lease':
      return suspend(config, longMs);
    case 'suspend scheduler beyond its lease':
      return suspend(scheduler, longMs);
    case 'cut runner from etcd':
      await cut(runner);
      return revive([runner]);
    case 'cut runner from etcd while it compacts':
      await Promise.all([cut(runner), sleep(eitherMs / 2).then(victims.compact)]);
      return revive([runner]);
    case 'silence etcd for runner':
      await silence(runner);
      return revive([runner]);
    case 'cut config-service from etcd':
      return cut(config);
    case 'silence etcd for config-service':
      return silence(config);
    case 'cut scheduler from etcd':
      return cut(scheduler);
    case 'silence etcd for scheduler':
      return silence(scheduler);
    case 'kill etcd shortly':
    case 'kill etcd beyond leases':
      await etcd.kill();
      await sleep(fault === 'kill etcd shortly' ? shortMs : longMs);
      await etcd.restart();
      return revive(runners);
    case 'kill etcd leader':
      await (await etcd.leader()).kill();
      await sleep(eitherMs);
      await etcd.restart();
      return revive(runners);
    case 'freeze etcd leader': {
      const leader = await etcd.leader();
      leader.freeze();
      await sleep(eitherMs);
      leader.thaw();
      return revive(runners);
    }
    case 'cut runner from config-services':
      return cut(runner, 'config-services');
    case 'silence config-services for runner':
      return silence(runner, 'config-services');
    case 'cut runner from broker':
      return cut(runner, 'broker');
    case 'silence broker for runner':
      return silence(runner, 'broker');
    case 'compact etcd':
      return victims.compact();
    case 'kill broker':
      await brokerVictim.kill();
      await sleep(shortMs);
      return brokerVictim.start();
    case 'freeze broker':
      brokerVictim.freeze();
      await sleep(longMs);
      return brokerVictim.thaw();
  }
}

function signalOf(fault: string): 'SIGKILL' | 'SIGTERM' {
  return fault.startsWith('kill') ? 'SIGKILL' : 'SIGTERM';
}

export function one<T>(random: Random, of: readonly T[]): T {
  return of[Math.floor(random() * of.length)] as T;
}
