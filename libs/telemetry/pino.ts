import type { TraceContext } from '@rocketmq-connect/tracing';
import pino from 'pino';
import type { Logger } from './index.ts';
import { plainFields } from './plain-fields.ts';
import { prettyLine } from './pretty-line.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Single lines for people instead of JSON. */
  readonly pretty: boolean;
  /** Takes whole lines; default standard output. */
  readonly destination?: { write(line: string): void };
  /** The span that a line is written in, for its `trace_id` and `span_id`. */
  readonly activeSpan?: () => TraceContext | undefined;
  /** Of pretty lines; default: when standard output is a terminal and NO_COLOR is not set. */
  readonly color?: boolean;
  /** Told of every line that is written. */
  readonly onLine?: (level: LogLevel) => void;
}

/** The logger of a process. Its level holds for every child, also for those made before it was changed. */
export interface RootLogger extends Logger {
  level: LogLevel;
}

/**
 * JSON lines `{level, time, msg, …}` or lines for people, written synchronously: what was logged before a crash is there. Values of keys
 * that name secrets are masked at any depth.
 */
export function createLogger(options: LoggerOptions): RootLogger {
  const out = options.destination ?? pino.destination({ dest: 1, sync: true });
  const color = options.color ?? (process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '');
  const destination = options.pretty ? { write: (line: string) => out.write(prettyLine(line, color)) } : out;
  const { activeSpan } = options;
  const sink = pino(
    {
      // Levels are judged here, since a pino child keeps the level it was born with.
      level: 'trace',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      ...(activeSpan === undefined ? {} : { mixin: () => traceFields(activeSpan()) }),
    },
    destination,
  );
  const root = { least: options.level, onLine: options.onLine ?? (() => undefined) };
  return Object.defineProperty(loggerOver(sink, root), 'level', {
    get: () => root.least,
    set: (level: LogLevel) => {
      if (!(level in severity)) throw new RangeError(`'${level}' is not a log level; there are ${Object.keys(severity).join(', ')}`);
      root.least = level;
    },
  }) as RootLogger;
}

/** OpenTelemetry's names for them outside its own format. Of a trace that is not sampled nothing can be looked up. */
function traceFields(span: TraceContext | undefined): Record<string, string> {
  return span?.sampled === true ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

const severity: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, silent: 60 };

function loggerOver(sink: pino.Logger, root: { readonly least: LogLevel; readonly onLine: (level: LogLevel) => void }): Logger {
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => {
    return (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      if (severity[level] < severity[root.least]) return;
      root.onLine(level);
      sink[level](fields === undefined ? {} : plainFields(fields), message);
    };
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => loggerOver(sink.child(plainFields(fields)), root),
  };
}
