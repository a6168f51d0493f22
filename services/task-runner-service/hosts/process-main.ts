import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { DeadlineWord, type HostExit } from '@rocketmq-connect/pipeline/task-host';
import type { FromProcess, ProcessHostData, ToProcess } from './process-protocol.ts';
import { ThreadHosts } from './thread-hosts.ts';

/**
 * The entry of a host process: one thread runs the tasks, as it would in the runner; this one is always free to end the process, whatever they
 * do: at the deadline of the runner's session, when the runner is gone, and when they take too much memory.
 */
if (process.send === undefined) throw new Error('process-main.ts runs in a process with a channel only');
const send = process.send.bind(process) as (message: FromProcess, ...more: unknown[]) => boolean;
const deadline = new DeadlineWord();
let endAtDeadline: NodeJS.Timeout | undefined;

// A terminal signals the whole group, and so does whoever stops a service: tasks end when the runner has stopped them in order.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', end);
process.once('message', (first: ToProcess) => {
  if (!('start' in first)) throw new Error('the first message must say what to be');
  takeDeadline(first.deadlineMs);
  const host = openHost(first.start);
  process.on('message', (message: ToProcess) => {
    if ('command' in message) host.send(message.command);
    else takeDeadline(message.deadlineMs);
  });
});

const BEAT_MS = 200;
const MEMORY_LOOK_MS = 500;
const LAST_WORD_MS = 500;

function openHost({ log, maxMemoryMb, ...options }: ProcessHostData) {
  const connectLog = () => ({ connection: log, transferList: [], release: () => {} });
  const host = new ThreadHosts({ ...options, connectLog, deadline }).open({
    onEvent: (event) => void send({ event }),
    onExit: endFor,
  });
  setInterval(() => void send({ beat: true }), BEAT_MS);
  setInterval(() => {
    if (process.memoryUsage.rss() <= maxMemoryMb * 1024 * 1024) return;
    endFor({ reason: 'outOfMemory', message: `it needed more than ${maxMemoryMb} MB of memory` });
  }, MEMORY_LOOK_MS);
  return host;
}

function takeDeadline(deadlineMs: number): void {
  deadline.set(deadlineMs);
  clearTimeout(endAtDeadline);
  if (deadlineMs !== 0) endAtDeadline = setTimeout(endIfOver, deadlineMs - systemClock.monotonic());
}

/** A timer may be early by less than a millisecond. */
function endIfOver(): void {
  if (deadline.passed(systemClock.monotonic())) end();
  else endAtDeadline = setTimeout(endIfOver, 1);
}

function endFor(exit: HostExit): void {
  send({ exit }, undefined, undefined, end);
  setTimeout(end, LAST_WORD_MS);
}

/** Nothing else ends a process for certain while a thread of it runs. */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}
