import type { Clock } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';

/** What happened, one line each, with its virtual time. Two runs of one seed have the same trace, to the letter. */
export class Trace {
  readonly lines: string[] = [];
  readonly #clock: Clock;
  readonly #startMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.monotonic();
  }

  add(who: string, what: string): void {
    const seconds = ((this.#clock.monotonic() - this.#startMs) / 1000).toFixed(3);
    this.lines.push(`${seconds.padStart(8)} ${who.padEnd(6)} ${what}`);
  }

  /** What a process logs, from `info` on. */
  logger(who: string): Logger {
    const write =
      (level: string) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
        const texts = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`);
        this.add(who, `${level} ${message} ${texts.join(' ')}`.trimEnd());
      };
    const logger: Logger = {
      debug: () => undefined,
      info: write('info:'),
      warn: write('warn:'),
      error: write('error:'),
      child: () => logger,
    };
    return logger;
  }
}
