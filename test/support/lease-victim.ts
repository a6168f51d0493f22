import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys, openSession, type Session } from '@rocketmq-connect/cluster';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { LeaseThread } from '../../services/task-runner-service/lease/lease-thread.ts';

/** A process that has a runner's session and nothing else, to be blocked, stopped and cut off: see lease-thread.real.ts. */

export interface VictimOptions {
  readonly endpoints: readonly string[];
  readonly cluster: string;
  readonly ttlMs: number;
  /** Says, when told that its session ends, that all that ran has ended; and then joins again. */
  readonly confirms: boolean;
}

export type VictimReport =
  | { readonly type: 'joined'; readonly session: string }
  /** `late`: the deadline had passed when it was told. */
  | { readonly type: 'ending'; readonly reason: string; readonly late: boolean }
  | { readonly type: 'unblocked'; readonly live: boolean };

const { endpoints, cluster, ttlMs, confirms } = JSON.parse(process.argv[2] ?? '{}') as VictimOptions;
const clock = systemClock;
const deadline = new DeadlineWord();
const connection = { endpoints, callTimeoutMs: 500 };
const leaseThread = new LeaseThread({ connection, deadline, clock });
const store = await EtcdStore.open(connection);
let session: Session;
let sessions = 0;

process.on('message', ({ blockMs }: { readonly blockMs: number }) => {
  const endMs = clock.monotonic() + blockMs;
  while (clock.monotonic() < endMs);
  // What waited while it was blocked comes first.
  setTimeout(() => report({ type: 'unblocked', live: session.live }), 50);
});
await join();

async function join(): Promise<void> {
  session = await openSession({
    store,
    keys: clusterKeys(cluster),
    clock,
    runner: StoredRunner.create({ id: 'victim', session: `s${++sessions}` }),
    ttlMs,
    deadline,
    openLease: (ms, options) => leaseThread.open(ms, options),
    onEnding: (reason) => void ended(reason),
  });
  report({ type: 'joined', session: session.session });
}

async function ended(reason: string): Promise<void> {
  report({ type: 'ending', reason, late: deadline.passed(clock.monotonic()) });
  if (!confirms) return;
  // As long as hosts may take.
  await sleep(300);
  await session.confirmEnded();
  await join();
}

function report(message: VictimReport): void {
  process.send?.(message);
}
