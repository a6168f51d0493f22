import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@rocketmq-connect/sdk';
import { between } from '@rocketmq-connect/sdk/testing';
import type { EtcdCluster } from '../support/etcd-cluster.ts';
import { LEASE_TTL_MS, type Mesh, type ServiceKind } from '../support/mesh.ts';
import { brokerVictim } from '../support/rocketmq.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';

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
  'kill etcd shortly',
  'kill etcd beyond leases',
  'compact etcd',
  'kill broker',
] as const;
export type Fault = (typeof FAULTS)[number];

/** What faults strike at. */
export interface Victims {
  readonly mesh: Mesh;
  readonly etcd: EtcdCluster;
  /** Between each runner and etcd. */
  readonly links: ReadonlyMap<string, TcpProxy>;
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
  const runners = [...links.keys()];
  const runner = one(random, runners);
  const link = links.get(runner);

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
      return bounce('scheduler', one(random, ['s1', 's2']), signalOf(fault));
    case 'kill config-service':
    case 'end config-service':
      return bounce('config-service', one(random, ['c1', 'c2']), signalOf(fault));
    case 'kill gateway':
    case 'end gateway':
      return bounce('gateway', one(random, ['g1', 'g2']), signalOf(fault));
    case 'suspend runner shortly':
    case 'suspend runner beyond its lease':
      await suspend(runner, fault === 'suspend runner shortly' ? shortMs : longMs);
      return revive([runner]);
    case 'suspend config-service beyond its lease':
      return suspend(one(random, ['c1', 'c2']), longMs);
    case 'suspend scheduler beyond its lease':
      return suspend(one(random, ['s1', 's2']), longMs);
    case 'cut runner from etcd':
    case 'cut runner from etcd while it compacts':
      link?.refuse();
      await sleep(eitherMs);
      if (fault === 'cut runner from etcd while it compacts') await victims.compact();
      link?.heal();
      return revive([runner]);
    case 'silence etcd for runner':
      link?.silence();
      await sleep(eitherMs);
      link?.heal();
      return revive([runner]);
    case 'kill etcd shortly':
    case 'kill etcd beyond leases':
      await etcd.first.kill();
      await sleep(fault === 'kill etcd shortly' ? shortMs : longMs);
      await etcd.first.restart();
      return revive(runners);
    case 'compact etcd':
      return victims.compact();
    case 'kill broker':
      await brokerVictim.kill();
      await sleep(shortMs);
      return brokerVictim.start();
  }
}

function signalOf(fault: string): 'SIGKILL' | 'SIGTERM' {
  return fault.startsWith('kill') ? 'SIGKILL' : 'SIGTERM';
}

export function one<T>(random: Random, of: readonly T[]): T {
  return of[Math.floor(random() * of.length)] as T;
}
