import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { LeaseKeeper } from '@rocketmq-connect/cluster/lease-keeper';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { toPlainError } from '@rocketmq-connect/sdk';
import type { LeaseCommand, LeaseEvent, LeaseThreadData } from './protocol.ts';

/**
 * The thread that keeps the runner's lease (invariant 6), so that nothing that the control thread does can make it late. It renews only
 * while the control thread answers, writes the deadline where task hosts look, and when the end is latched it is this thread that makes sure
 * of it: unless the control thread says in time that all hosts are gone, the whole process is killed.
 */

if (parentPort === null) throw new Error('thread-main.ts runs in a worker thread only');
const port = parentPort;
const { connection, deadline } = workerData as LeaseThreadData;
const word = new DeadlineWord(deadline);
const clock = systemClock;

let store: EtcdStore | undefined;
let keeper: LeaseKeeper | undefined;
let permitted: () => void = () => {};
let cancelKill: () => void = () => {};

port.on('message', (command: LeaseCommand) => {
  switch (command.type) {
    case 'open':
      return void open(command.ttlMs, command.killTimeMs).catch((error: unknown) => post({ type: 'failed', error: toPlainError(error) }));
    case 'pong':
      return permitted();
    case 'lost':
      return keeper?.lost(command.reason);
    case 'release':
      return void release();
  }
});

async function open(ttlMs: number, killTimeMs: number): Promise<void> {
  store ??= await EtcdStore.open({ ...connection, openTimeoutMs: 0 });
  let deadlineMs = 0;
  keeper = await LeaseKeeper.open(store, ttlMs, {
    clock,
    killTimeMs,
    permit: () =>
      new Promise((resolve) => {
        permitted = resolve;
        post({ type: 'ping' });
      }),
    onDeadline: (nextMs) => {
      const begins = deadlineMs === 0;
      deadlineMs = nextMs;
      if (begins || nextMs === 0) word.set(nextMs);
      else if (!word.extend(nextMs)) keeper?.lost('the control thread found the end of the session');
    },
    onEnding: (reason) => {
      word.latch();
      post({ type: 'ending', reason });
      // A process that was suspended wakes up late: its control thread gets the time to end what runs all the same.
      const killMs = Math.max(deadlineMs, clock.monotonic() + killTimeMs) - clock.monotonic();
      cancelKill = clock.after(killMs, () => kill(reason));
    },
  });
  post({ type: 'opened', id: keeper.id, ttlMs: keeper.lease.ttlMs });
}

async function release(): Promise<void> {
  cancelKill();
  await keeper?.release();
  keeper = undefined;
  post({ type: 'released' });
}

/** Synchronously, for there is no later; and by a signal, since `process.exit` in a thread ends the thread only. */
function kill(reason: string): void {
  const msg = 'not all tasks were certain to have ended at the deadline of the session: the process ends';
  writeSync(2, `${JSON.stringify({ level: 'fatal', time: new Date().toISOString(), service: 'task-runner', reason, msg })}\n`);
  process.kill(process.pid, 'SIGKILL');
}

function post(event: LeaseEvent): void {
  port.postMessage(event);
}
