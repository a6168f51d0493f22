import type { TraceContext } from '@rocketmq-connect/tracing';
import pino from 'pino';
import type { Logger } from './index.ts';
import { type LogLevel, loggerName, ROOT } from './log-levels.ts';
import type { Loggers } from './loggers.ts';
import { plainFields } from './plain-fields.ts';
import { prettyLine } from './pretty-line.ts';

export interface LoggerOptions {
  /** Whose levels hold, also for children that were made before they were changed. */
  readonly loggers: Loggers;
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

/**
 * JSON lines `{level, time, msg, …}` or lines for people, written synchronously: what was logged before a crash is there. Values of keys
 * that name secrets are masked at any depth.
 */
export function createLogger(options: LoggerOptions): Logger {
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
  return loggerOver(sink, ROOT, options);
}

/** OpenTelemetry's names for them outside its own format. Of a trace that is not sampled nothing can be looked up. */
function traceFields(span: TraceContext | undefined): Record<string, string> {
  return span?.sampled === true ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

function loggerOver(sink: pino.Logger, name: string, options: Pick<LoggerOptions, 'loggers' | 'onLine'>): Logger {
  const { loggers, onLine } = options;
  loggers.know(name);
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => {
    return (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      if (!loggers.lets(fields === undefined ? name : loggerName(fields, name), level)) return;
      onLine?.(level);
      sink[level](fields === undefined ? {} : plainFields(fields), message);
    };
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => loggerOver(sink.child(plainFields(fields)), loggerName(fields, name), options),
  };
}
