import { setTimeout as delay } from 'node:timers/promises';
import type { TaskContext, TaskLogger } from '../connector.ts';

/** What a connector logged. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A task's surroundings on the real clock, with its log kept in `logs`. */
export function taskContext(connector: string, task: number, signal: AbortSignal, logs: LogLine[]): TaskContext {
  return {
    connector,
    task,
    log: logger(logs),
    signal,
    sleep: (ms) => delay(ms, undefined, { signal }),
    now: () => Date.now(),
  };
}

function logger(logs: LogLine[]): TaskLogger {
  const at =
    (level: LogLine['level']) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      logs.push({ level, message, fields });
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
