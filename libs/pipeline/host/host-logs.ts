import type { Clock, TaskLogger } from '@rocketmq-connect/sdk';
import { isLoud, type LevelTable, type LogLevel, levelOf, loggerName, loosestOf, ROOT } from '@rocketmq-connect/telemetry/log-levels';
import { hideSecrets } from '../config/secrets.ts';
import type { HostLogLine } from '../host-protocol.ts';

const FLUSH_MS = 100;
const FLUSH_LINES = 100;

/** Collects log lines and hands them over in batches. */
export class HostLogs {
  readonly #clock: Clock;
  readonly #post: (lines: readonly HostLogLine[]) => void;
  #lines: HostLogLine[] = [];
  #levels: LevelTable = { root: 'info' };
  #loosest: LogLevel = 'info';
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, post: (lines: readonly HostLogLine[]) => void) {
    this.#clock = clock;
    this.#post = post;
  }

  setLevels(levels: LevelTable): void {
    this.#levels = levels;
    this.#loosest = loosestOf(levels);
  }

  /** A logger whose lines carry `fields`, as they are at the time of the line, and no secret. */
  logger(fields: () => Readonly<Record<string, unknown>>, secrets: readonly string[] = []): TaskLogger {
    const at =
      (level: LogLevel) =>
      (message: string, more: Readonly<Record<string, unknown>> = {}): void => {
        // Plugins may log each record: what no logger lets through costs no fields.
        if (!isLoud(level, this.#loosest)) return;
        const own = fields();
        if (!isLoud(level, levelOf(this.#levels, loggerName(own, ROOT)))) return;
        const line = {
          level,
          atMs: this.#clock.now(),
          message: hideSecrets(String(message), secrets),
          fields: plain({ ...own, ...more }, secrets),
        };
        this.#add(line);
      };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    this.#post(lines);
  }

  #add(line: HostLogLine): void {
    this.#lines.push(line);
    if (this.#lines.length >= FLUSH_LINES) this.flush();
    else this.#cancel ??= this.#clock.after(FLUSH_MS, () => this.flush());
  }
}

/** Plugins log what they like; only plain data without secrets crosses the port. */
function plain(fields: Readonly<Record<string, unknown>>, secrets: readonly string[]): Record<string, unknown> {
  try {
    const text = JSON.stringify(fields, (_key, value: unknown) => {
      if (value instanceof Error) return { name: value.name, message: value.message };
      return typeof value === 'bigint' ? String(value) : value;
    });
    return JSON.parse(hideSecrets(text, secrets));
  } catch {
    return { fields: 'cannot be shown: no JSON' };
  }
}
