import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Settings } from '@rocketmq-connect/configuration';
import { cannotListen, joinAddress } from '@rocketmq-connect/mesh/address';
import type { Logger } from '@rocketmq-connect/telemetry';
import { contentTypes, exposition, formatFor } from '@rocketmq-connect/telemetry/metrics/exposition';
import type { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { healthBody, type Stages } from './stages.ts';

export interface ObservabilityServer {
  readonly url: string;
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 500;
/** What OpenTelemetry's exporter for Prometheus takes by default, too. */
const DEFAULT_PORT = 9464;

export interface ObservabilityOptions {
  readonly settings: Settings['metrics'];
  /** Its REST port shows the same. */
  readonly hasRest: boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly stages: Stages;
  /** Where none is given. */
  readonly defaultPort?: number;
}

/**
 * As the settings want it; null: nothing listens. A port that nobody asked for is left to the process that has it, for several may run on
 * one machine. Rejects with `ConfigError` when a given one is taken.
 */
export async function openObservability(options: ObservabilityOptions): Promise<ObservabilityServer | null> {
  const { settings, hasRest, log, metrics, stages, defaultPort = DEFAULT_PORT } = options;
  const { host, port } = settings;
  if (port >= 0) return port === 0 ? null : serveObservability(host, port, metrics, stages);
  if (hasRest) return null;
  try {
    return await serveObservability(host, defaultPort, metrics, stages);
  } catch (error) {
    log.info(`this process shows no /metrics: ${(error as Error).message}`, {
      remedy: 'give each process a port of its own with --metrics-port, or 0 for none',
    });
    return null;
  }
}

/** /metrics, /health, /health/live and /health/ready on a port of their own. Rejects with `ConfigError` when it is taken. */
export async function serveObservability(host: string, port: number, metrics: Metrics, stages: Stages): Promise<ObservabilityServer> {
  const server = createServer((request, response) => answer(request, response, metrics, stages));
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(joinAddress(host, port), error.message, 'metrics.port', error)));
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  return {
    url: `http://${joinAddress(host, typeof bound === 'object' && bound !== null ? bound.port : port)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS).unref();
      }),
  };
}

function answer(request: IncomingMessage, response: ServerResponse, metrics: Metrics, stages: Stages): void {
  const { status, type, text } = body(request, metrics, stages);
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  response.end(request.method === 'HEAD' ? undefined : text);
}

function body({ method, url = '', headers }: IncomingMessage, metrics: Metrics, stages: Stages): Body {
  if (method !== 'GET' && method !== 'HEAD') return json(405, { error_code: 405, message: 'HTTP 405 Method Not Allowed' });
  switch (url.replace(/[?#].*$/s, '')) {
    case '/metrics': {
      const format = formatFor(headers.accept);
      return { status: 200, type: contentTypes[format], text: exposition(metrics.collect(), format) };
    }
    case '/health':
    case '/health/ready': {
      const health = healthBody(stages);
      return json(health.status, health.json);
    }
    case '/health/live':
      return json(200, { status: 'alive' });
    default:
      return json(404, {
        error_code: 404,
        message: 'HTTP 404 Not Found',
        remedy: '/metrics, /health, /health/live and /health/ready are here',
      });
  }
}

interface Body {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function json(status: number, value: unknown): Body {
  return { status, type: 'application/json', text: JSON.stringify(value) };
}
