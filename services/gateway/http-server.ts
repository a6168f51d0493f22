import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import type { SpanOptions, Tracer } from '@rocketmq-connect/tracing';
import { parseTraceparent, TRACEPARENT, TRACESTATE } from '@rocketmq-connect/tracing/trace-context';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { checkCaller, guardHeaders } from './guard.ts';
import { parseJson } from './json-body.ts';
import { Problem, problem, problemBody, toProblem } from './problem.ts';
import { type Answer, type Match, type Route, router } from './route.ts';

const BODY_BYTES_MAX = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
/** Their traces would tell nothing, every few seconds. */
const ASKED_BY_MACHINES = /^\/(metrics|health)(\/|$)/;
const CLOSE_GRACE_MS = 3_000;

export interface HttpServer {
  listen(host: string, port: number): Promise<{ readonly port: number }>;
  close(): Promise<void>;
  /** For tests: answers without a socket. */
  readonly inject: FastifyInstance['inject'];
}

/** Serves a table of routes, with the limits, headers and answers to wrong requests that hold for all of them. */
export function createHttpServer(options: {
  readonly routes: readonly Route[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly host: string;
  readonly tracer: Tracer;
  /** PEM; with it, HTTPS. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
}): HttpServer {
  const { log, metrics, host, tracer } = options;
  const table = router(options.routes);
  const stopping = new AbortController();
  const scheme = options.tls === undefined ? 'http' : 'https';
  const app = fastify({
    ...(options.tls === undefined ? {} : { https: options.tls }),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => fail(error, request, reply),
  });
  const fail = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const answer = toProblem(error);
    const fields = { method: request.method, path: pathOf(request), status: answer.status };
    if (answer.status === 500) log.error('a request failed', { ...fields, error });
    else if (answer.status > 500) log.warn('a request could not be served', { ...fields, reason: answer.message });
    else log.debug('a request was refused', { ...fields, reason: answer.message });
    reply.code(answer.status).headers({ ...guardHeaders, ...answer.extra.headers });
    reply.header('content-type', 'application/json').send(encoded(JSON.stringify(problemBody(answer))));
  };
  const routesOf = new WeakMap<FastifyRequest, string>();
  let inFlight = 0;
  metrics.from((emit) => emit('rocketmq_connect_rest_requests_in_flight', {}, inFlight));
  app.addHook('onRequest', (_request, reply, done) => {
    inFlight++;
    reply.raw.once('close', () => void inFlight--);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const route = routesOf.get(request) ?? 'none';
    metrics.add('rocketmq_connect_rest_requests_total', { method, route, status: reply.statusCode });
    metrics.observe('rocketmq_connect_rest_request_duration_seconds', { method, route }, reply.elapsedTime / 1000);
    done();
  });
  app.setErrorHandler(fail);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const respond = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    checkCaller(request.method, request.headers, host);
    reply.headers(guardHeaders);
    const path = pathOf(request);
    if (request.method === 'OPTIONS') return reply.code(200).header('allow', table.allowed(path).join(',')).send();
    const { route, params } = table.match(request.method, path);
    routesOf.set(request, route.path);
    if (route.negotiates !== true) checkAccept(request.headers.accept, route.mediaType ?? 'application/json');
    const work = (): Promise<FastifyReply> => answer(request, reply, route, params);
    return ASKED_BY_MACHINES.test(route.path) ? work() : traced(request, reply, route, work);
  };
  const answer = async (request: FastifyRequest, reply: FastifyReply, route: Route, params: Match['params']): Promise<FastifyReply> => {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const given = await route.handle({
      params,
      query: new URL(request.url, 'http://gateway').searchParams,
      body: route.body === undefined ? undefined : bodyOf(request),
      accept: request.headers.accept,
      origin: `${scheme}://${request.headers.host ?? host}`,
      signal: AbortSignal.any([gone.signal, stopping.signal]),
      identity: '',
    });
    if (request.method === 'HEAD') gone.abort();
    const mediaType = given.mediaType ?? route.mediaType ?? 'application/json';
    return send(reply, request.method === 'HEAD' ? { ...given, lines: undefined } : given, mediaType);
  };
  /** Failures are answered and logged within the span, too. */
  const traced = (request: FastifyRequest, reply: FastifyReply, route: Route, work: () => Promise<FastifyReply>): Promise<FastifyReply> =>
    tracer.span(`${route.method} ${route.path}`, spanOptions(request, route, scheme), async (span) => {
      try {
        await work();
      } catch (error) {
        fail(error, request, reply);
        if (reply.statusCode >= 500) span.fail(toProblem(error).message);
      }
      span.set('http.response.status_code', reply.statusCode);
      return reply;
    });
  app.all('*', respond);
  app.setNotFoundHandler(respond);
  return {
    inject: app.inject.bind(app) as FastifyInstance['inject'],
    async listen(address, port) {
      await app.listen({ host: address, port });
      const bound = app.server.address();
      return { port: typeof bound === 'object' && bound !== null ? bound.port : port };
    },
    async close() {
      stopping.abort(new Problem(503, 'the gateway is stopping', {}));
      // A connection that falls idle while the server closes would hold it until its keep-alive time is over.
      const idle = setInterval(() => app.server.closeIdleConnections(), 20);
      const late = setTimeout(() => app.server.closeAllConnections(), CLOSE_GRACE_MS);
      await app.close();
      clearInterval(idle);
      clearTimeout(late);
    },
  };
}

/** The path has names of connectors, and no secrets; the query is left out. */
function spanOptions(request: FastifyRequest, route: Route, scheme: string): SpanOptions {
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    kind: 'server',
    attributes: {
      'http.request.method': request.method,
      'http.route': route.path,
      'url.path': pathOf(request),
      'url.scheme': scheme,
    },
    parent: parseTraceparent(header(TRACEPARENT), header(TRACESTATE)),
  };
}

function send(reply: FastifyReply, answer: Answer, mediaType: string): FastifyReply {
  reply.code(answer.status).headers(answer.headers ?? {});
  if (answer.lines !== undefined) return reply.header('content-type', mediaType).send(Readable.from(answer.lines, { objectMode: false }));
  if (answer.file !== undefined) return reply.header('content-type', mediaType).send(createReadStream(answer.file));
  if (answer.text !== undefined) return reply.header('content-type', mediaType).send(encoded(answer.text));
  if (answer.json === undefined) return reply.send();
  return reply.header('content-type', mediaType).send(encoded(JSON.stringify(answer.json)));
}

/** As bytes, for to a text Fastify would add a charset, which JSON has none of. */
function encoded(text: string): Buffer {
  return Buffer.from(text);
}

function pathOf({ url }: FastifyRequest): string {
  return url.replace(/[?#].*$/s, '');
}

function bodyOf(request: FastifyRequest): unknown {
  if (!(request.body instanceof Buffer) || request.body.length === 0) return undefined;
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type)) {
    throw problem(415, `bodies of type ${type} are not taken`, { field: 'Content-Type', remedy: 'send JSON as application/json' });
  }
  return parseJson(request.body);
}

/** Whether the caller takes what the route gives, as RFC 9110 says. */
function checkAccept(accept: string | undefined, mediaType: string): void {
  const [type] = mediaType.split(/[;/]/);
  const ranges = (accept ?? '*/*').split(',').map((range) => range.trim().toLowerCase());
  const taken = ranges.some((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) return false;
    return name === '*/*' || name === `${type}/*` || name === mediaType.split(';')[0] || name === '*' || name === '';
  });
  if (!taken) throw problem(406, 'HTTP 406 Not Acceptable', { field: 'Accept', remedy: `accept ${mediaType}` });
}
