import { type ChildProcess, fork } from 'node:child_process';
import type { HostCommand } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import type { FromProcess, ToProcess } from './process-protocol.ts';
import { watchPulse } from './pulse.ts';
import type { ThreadHostsOptions } from './thread-hosts.ts';

/** As of threads; the log is one that processes can use by themselves. */
export interface ProcessHostsOptions extends ThreadHostsOptions {
  /** All memory of one process, buffers and native code included: beyond it the process ends with `outOfMemory`. */
  readonly maxMemoryMb: number;
}

/** How often it is looked for a new deadline. A process that hears of it late ends early, never late. */
const DEADLINE_LOOK_MS = 100;
/** What a process said before its end has arrived by then. */
const DRAIN_MS = 1_000;
const STDERR_TAIL = 4_096;

/**
 * Task hosts in processes of their own: nothing that code does there reaches the runner's process (ADR 0040). A host process ends by itself
 * at the session's deadline, and when the runner is gone (`process-main.ts`).
 */
export class ProcessHosts implements TaskHosts {
  readonly #options: ProcessHostsOptions;
  readonly #children = new Set<ChildProcess>();
  #looking: NodeJS.Timeout | undefined;
  #toldMs = 0;

  constructor(options: ProcessHostsOptions) {
    this.#options = options;
  }

  open(listener: TaskHostListener): TaskHost {
    const { connectLog, deadline, blockedAfterMs, ...options } = this.#options;
    const log = connectLog();
    const child = fork(new URL('./process-main.ts', import.meta.url), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      execArgv: [],
    });
    let given: HostExit | undefined;
    let beats = 0;
    const endFor = (exit: HostExit): void => {
      given ??= exit;
      child.kill('SIGKILL');
    };
    const stopWatching = watchPulse(
      () => beats,
      blockedAfterMs,
      () => endFor({ reason: 'crashed', message: `its process gave no sign for about ${blockedAfterMs} ms` }),
    );
    child.on('message', (message: FromProcess) => {
      if ('event' in message) listener.onEvent(message.event);
      else if ('beat' in message) beats++;
      else given ??= message.exit;
    });
    whenOver(child, (seen) => {
      stopWatching();
      this.#leave(child);
      log.release();
      listener.onExit(given ?? seen);
    });
    this.#look();
    // Not in the arguments or the environment, which others can read: there may be credentials in it.
    tell(child, { start: { ...options, log: log.connection, blockedAfterMs }, deadlineMs: this.#toldMs });
    this.#join(child);
    return {
      id: `process-${child.pid ?? 'unstarted'}`,
      send: (command: HostCommand) => tell(child, { command }),
      kill: () => endFor({ reason: 'killed', message: 'ended by the runner' }),
    };
  }

  #join(child: ChildProcess): void {
    this.#children.add(child);
    this.#looking ??= setInterval(() => this.#look(), DEADLINE_LOOK_MS).unref();
  }

  #leave(child: ChildProcess): void {
    this.#children.delete(child);
    if (this.#children.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #look(): void {
    const { deadlineMs } = this.#options.deadline;
    if (deadlineMs === this.#toldMs) return;
    this.#toldMs = deadlineMs;
    for (const child of this.#children) tell(child, { deadlineMs });
  }
}

/** Calls back once: the process is gone, and all that it said has been heard. With what can be seen of its end from outside. */
function whenOver(child: ChildProcess, tellOnce: (seen: HostExit) => void): void {
  let told = false;
  const over = (how: string): void => {
    const said = stderr.trim().split('\n').at(-1) ?? '';
    if (!told) tellOnce({ reason: 'crashed', message: said === '' ? how : `${how}: ${said}` });
    told = true;
  };
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    stderr = (stderr + chunk.toString()).slice(-STDERR_TAIL);
  });
  child.on('error', (error) => {
    if (child.pid === undefined) over(`the process cannot be started: ${error.message}`);
  });
  child.on('exit', (code, signal) => {
    const how = signal === null ? `its process ended with code ${code}` : `its process was ended by ${signal}`;
    // A process that it started may hold the standard error open.
    child.on('close', () => over(how));
    setTimeout(() => over(how), DRAIN_MS).unref();
  });
}

/** What a process does not get any more need not reach it: its end is told by itself. */
function tell(child: ChildProcess, message: ToProcess): void {
  if (child.connected) child.send(message, () => {});
}
