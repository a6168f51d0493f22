import { LOG_LEVELS, type LogLevel } from '@rocketmq-connect/telemetry/log-levels';
import { type LoggerInfo, type Loggers, setLevel } from '@rocketmq-connect/telemetry/loggers';
import type { Clients } from '../clients.ts';
import { problem } from '../problem.ts';
import type { Answer, RestRequest, Route } from '../route.ts';
import { object, text } from './schemas.ts';

const DEADLINE_MS = 5_000;

/** Of Kafka Connect and ours; others go by the same name. */
const kafkaNames: Readonly<Partial<Record<LogLevel, string>>> = { silent: 'OFF' };

/**
 * The levels of loggers, as Kafka Connect has them: of this gateway's process, until it ends (scope=worker), or of every process of the
 * cluster, also of those that start later, until they are taken back (scope=cluster).
 */
export function loggerRoutes(loggers: Loggers, clients: Clients): readonly Route[] {
  const scope = {
    description: 'worker: the process of this gateway, until it ends. cluster: every process, now and later, until it is taken back.',
    schema: { type: 'string', enum: ['worker', 'cluster'], default: 'worker' },
  };
  const level = object({
    level: text,
    last_modified: { type: ['integer', 'null'] },
    scope: { type: ['string', 'null'], enum: ['worker', 'cluster', null] },
  });
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
      handle: async (request) => put(request, loggers, clients),
    },
    {
      method: 'DELETE',
      path: '/admin/loggers/{name}',
      tag: 'Loggers',
      summary: 'Takes back the level that a logger has in the whole cluster',
      query: { scope: { description: 'cluster, the only one', schema: { type: 'string', enum: ['cluster'], default: 'cluster' } } },
      status: 204,
      handle: async (request) => takeBack(request, loggers, clients),
    },
  ];
}

async function put({ params, query, body, signal }: RestRequest, loggers: Loggers, { clusterLoggers }: Clients): Promise<Answer> {
  const { name: logger = '' } = params;
  const level = levelIn(body);
  const scope = query.get('scope') ?? 'worker';
  if (scope === 'worker') return { status: 200, json: setLevel(loggers, logger, level) };
  if (scope !== 'cluster') throw problem(400, `there is no scope ${scope}`, { field: 'scope', remedy: 'worker or cluster' });
  const { modifiedMs } = await clusterLoggers.setClusterLevel({ logger, level }, { signal, deadlineMs: DEADLINE_MS });
  // Who asked looks here next.
  loggers.set(logger, level, { modifiedMs: Number(modifiedMs), scope });
  return { status: 204 };
}

async function takeBack({ params, query, signal }: RestRequest, loggers: Loggers, { clusterLoggers }: Clients): Promise<Answer> {
  const { name: logger = '' } = params;
  const scope = query.get('scope') ?? 'cluster';
  if (scope !== 'cluster') {
    const remedy = 'set another one: what was given to a process alone ends with it';
    throw problem(400, `only a level of the cluster can be taken back, not of scope ${scope}`, { field: 'scope', remedy });
  }
  await clusterLoggers.removeClusterLevel({ logger }, { signal, deadlineMs: DEADLINE_MS });
  loggers.takeBack(logger);
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

function shown({ level, modifiedMs, scope }: LoggerInfo) {
  return { level: nameOf(level), last_modified: modifiedMs, scope };
}

function nameOf(level: LogLevel): string {
  return kafkaNames[level] ?? level.toUpperCase();
}
