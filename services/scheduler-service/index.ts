import { type ClusterKeys, Election, encodeStored } from '@rocketmq-connect/cluster';
import { type Implementation, implement } from '@rocketmq-connect/mesh';
import type { MetadataStore } from '@rocketmq-connect/metadata-store';
import { ClusterServiceDefinition } from '@rocketmq-connect/proto/cluster';
import { StoredLeader } from '@rocketmq-connect/proto/storage';
import { type Clock, type ConnectError, type Random, toPlainError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { readCluster } from './cluster-read.ts';
import { ClusterState } from './cluster-state.ts';
import { viewHandlers } from './cluster-view.ts';
import { drainHandlers } from './drains.ts';
import { explainHandlers } from './explain.ts';
import { SchedulerFigures } from './figures.ts';
import { LeaderLoop } from './leader-loop.ts';
import { previewPlacement } from './preview.ts';

export interface SchedulerServiceDeps {
  readonly store: MetadataStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Of this replica. */
  readonly id: string;
  /** Of the leader key: how long after a leader's death another takes over. Default 10 s. */
  readonly leaseTtlMs?: number;
  /** How long a runner that is gone keeps its units. Default 0: a lost lease is patience enough. */
  readonly graceMs?: number;
  /** When the store was last seen not to answer, monotonic ms. Default: never. */
  readonly storeTroubledAtMs?: () => number;
  readonly metrics?: Metrics;
}

/**
 * After an outage of the store every runner's lease is over, and so is the leader's; they come back one after the other. The first must not
 * be given what the others had a moment ago.
 */
const SETTLE_MS = 5_000;

export interface SchedulerService {
  readonly implementations: readonly Implementation[];
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Decides where units should run. Replicas elect a leader; only it writes targets, each write fenced by its leader key. */
export function createSchedulerService(deps: SchedulerServiceDeps): SchedulerService {
  const { store, keys, clock, log, id, leaseTtlMs = 10_000, storeTroubledAtMs = () => Number.NEGATIVE_INFINITY } = deps;
  const graceMs = (): number => {
    // A store that is back gives every lease its full time again; the leader and the runners then come back within seconds.
    const isSettling = clock.monotonic() - storeTroubledAtMs() < leaseTtlMs + 2 * SETTLE_MS;
    return Math.max(deps.graceMs ?? 0, isSettling ? SETTLE_MS : 0);
  };
  const onSetBack = (error: ConnectError): void => {
    log.error('this scheduler stops until it is restarted', { error: error.message, remedy: error.remedy });
    void stop();
  };
  const state = new ClusterState({ store, keys, clock, log, onSetBack });
  const election = new Election({
    store,
    key: keys.leader,
    value: encodeStored(StoredLeader, { scheduler: id }),
    clock,
    ttlMs: leaseTtlMs,
    onElected: () => {
      log.info('leads the scheduling', { scheduler: id });
      loop.wake();
    },
    onLost: (reason) => log.info('leads the scheduling no more', { scheduler: id, reason }),
    onSetBack,
    onTrouble: (error) => log.debug('the election meets trouble and goes on', { error: toPlainError(error).message }),
  });
  const figures = new SchedulerFigures(clock);
  const loop = new LeaderLoop({ store, keys, clock, log, graceMs, state, figures, leader: () => election.leader() });
  deps.metrics?.from((emit) => figures.emit(emit, election.leader() !== null));
  const stop = async (): Promise<void> => {
    await loop.stop();
    await election.stop();
    state.stop();
  };
  return {
    implementations: [
      implement(ClusterServiceDefinition, {
        ...viewHandlers(deps),
        ...drainHandlers(deps),
        ...explainHandlers(deps),
        previewPlacement: async (change) => previewPlacement((await readCluster(store, keys)).snapshot, change),
      }),
    ],
    start: async () => {
      state.start();
      loop.start();
      election.start();
    },
    stop,
  };
}
