import type { Logger } from '@rocketmq-connect/telemetry';

/** Says nothing. */
export const quietLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quietLogger,
};

/** Keeps each line: its message and its fields. */
export function recordingLogger(lines: string[]): Logger {
  const write = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  const logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
  return logger;
}
