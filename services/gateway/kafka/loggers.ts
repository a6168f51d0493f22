import type { Rpc } from '@rocketmq-connect/mesh';
import { LoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { LOG_LEVELS, type LogLevel } from '@rocketmq-connect/telemetry/log-levels';
import { type LoggerInfo, type Loggers, setLevel } from '@rocketmq-connect/telemetry/loggers';
import { type Problem, problem, toProblem } from '../problem.ts';
import type { Answer, RestRequest, Route } from '../route.ts';
import { object, text } from './schemas.ts';

const DEADLINE_MS = 5_000;

/** Of Kafka Connect and ours; others go by the same name. */
const kafkaNames: Readonly<Partial<Record<LogLevel, string>>> = { silent: 'OFF' };

/**
 * The levels of loggers, as Kafka Connect has them: of this gateway's process (scope=worker), or of every process of the cluster that can be
 * found now (scope=cluster). They hold until a process ends.
 */
export function loggerRoutes(loggers: Loggers, rpc: Rpc, processes: () => readonly string[]): readonly Route[] {
  const scope = {
    description: 'worker: the process of this gateway. cluster: every process that can be found.',
    schema: { type: 'string', enum: ['worker', 'cluster'], default: 'worker' },
  };
  const level = object({ level: text, last_modified: { type: ['integer', 'null'] } });
  return [
    {
      method: 'GET',
      path: '/admin/loggers',
      tag: 'Loggers',
      summary: 'The loggers that were given a level, and root',
      status: 200,
      response: { type: 'object', additionalProperties: level },
      handle: async () => ({ status: 200, json: Object.fromEntries(loggers.list().map((info) => [info.name, shown(info)])) }),
    },
    {
      method: 'GET',
      path: '/admin/loggers/{name}',
      tag: 'Loggers',
      summary: 'The level that holds for a logger',
      status: 200,
      response: level,
      handle: async ({ params: { name = '' } }) => {
        const info = loggers.get(name);
        if (info === undefined) throw problem(404, `Logger ${name} not found.`, { remedy: 'a logger is there when it has written a line' });
        return { status: 200, json: shown(info) };
      },
    },
    {
      method: 'PUT',
      path: '/admin/loggers/{name}',
      tag: 'Loggers',
      summary:
        'Sets the level of a logger and of all below it, at once: root, gateway, config, scheduler, task-runner, connectors.NAME.TASK, …',
      query: { scope },
      body: object({ level: text }),
      status: 200,
      response: { type: 'array', items: text },
      handle: async (request) => put(request, loggers, rpc, processes),
    },
  ];
}

async function put(
  { params, query, body, signal }: RestRequest,
  loggers: Loggers,
  rpc: Rpc,
  processes: () => readonly string[],
): Promise<Answer> {
  const { name: logger = '' } = params;
  const level = levelIn(body);
  const scope = query.get('scope') ?? 'worker';
  if (scope !== 'worker' && scope !== 'cluster')
    throw problem(400, `there is no scope ${scope}`, { field: 'scope', remedy: 'worker or cluster' });
  const affected = setLevel(loggers, logger, level);
  if (scope === 'worker') return { status: 200, json: affected };
  const failures: Problem[] = [];
  await Promise.all(
    [...new Set(processes())].map(async (address) => {
      try {
        await rpc.client(LoggerServiceDefinition, () => [address]).setLevel({ logger, level }, { signal, deadlineMs: DEADLINE_MS });
      } catch (error) {
        const { status, message, extra } = toProblem(error);
        failures.push(problem(status, `${address}: ${message}`, extra));
      }
    }),
  );
  if (failures.length > 0) {
    const message = `some processes could not be told, the others were: ${failures.map((failure) => failure.message).join('; ')}`;
    const lasting = failures.every(({ status }) => status === 501) ? failures[0] : undefined;
    throw lasting === undefined ? problem(503, message, { remedy: 'repeat it' }) : problem(501, message, lasting.extra);
  }
  return { status: 204 };
}

function levelIn(body: unknown): LogLevel {
  const given = typeof body === 'object' && body !== null ? (body as { readonly level?: unknown }).level : undefined;
  if (typeof given !== 'string') throw problem(400, "Desired 'level' parameter was not specified in request.", { field: 'level' });
  const level = LOG_LEVELS.find((each) => (kafkaNames[each] ?? each).toUpperCase() === given.toUpperCase() || each === given.toLowerCase());
  if (level === undefined)
    throw problem(404, `invalid log level '${given}'.`, { field: 'level', remedy: `one of ${LOG_LEVELS.map(nameOf).join(', ')}` });
  return level;
}

function shown({ level, modifiedMs }: LoggerInfo) {
  return { level: nameOf(level), last_modified: modifiedMs };
}

function nameOf(level: LogLevel): string {
  return kafkaNames[level] ?? level.toUpperCase();
}
