import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { createHttpServer } from '@rocketmq-connect/gateway/http-server';
import { gatewayRoutes } from '@rocketmq-connect/gateway/index';
import type { RunnerEndpoints } from '@rocketmq-connect/gateway/v1/runner-client';
import type { Implementation } from '@rocketmq-connect/mesh';
import { SimulatedNetwork, SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import type { Logger } from '@rocketmq-connect/telemetry';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { noTracer } from '@rocketmq-connect/tracing';

export interface RestReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly json: unknown;
}

export interface RestCall {
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a text as it is. */
  readonly body?: unknown;
}

/** A gateway before services on a simulated network, asked without sockets. `runnerEndpoints`: where runners are, if not with the others. */
export async function gatewayBefore(implementations: readonly Implementation[], runnerEndpoints?: RunnerEndpoints) {
  const network = new SimulatedNetwork({ clock: systemClock });
  const server = await new SimulatedRpc(network, 'services').serve('127.0.0.1:9083', implementations);
  const endpoints = () => [server.address];
  const rpc = new SimulatedRpc(network, 'gateway');
  const metrics = new Metrics();
  const loggers = new Loggers('info', () => 1_000);
  const health = () => ({
    status: 200,
    json: { status: 'healthy', message: 'Worker has completed startup and is ready to handle requests.' },
  });
  const about = { version: '0.1.0', clusterId: 'default', metrics, loggers, health };
  const routes = gatewayRoutes({
    rpc,
    configEndpoints: endpoints,
    schedulerEndpoints: endpoints,
    runnerEndpoints: runnerEndpoints ?? endpoints,
    ...about,
  });
  const http = createHttpServer({ routes, log: silent, metrics, host: '127.0.0.1', tracer: noTracer });
  return {
    routes,
    network,
    loggers,
    close: () => http.close(),
    async request(method: string, url: string, { headers = {}, body }: RestCall = {}): Promise<RestReply> {
      const text = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const type = text === undefined ? {} : { 'content-type': 'application/json' };
      const reply = await http.inject({
        method: method as 'GET',
        url,
        headers: { ...type, ...headers },
        ...(text === undefined ? {} : { payload: text }),
      });
      const isJson = reply.body !== '' && String(reply.headers['content-type']).startsWith('application/json');
      return { status: reply.statusCode, headers: reply.headers, text: reply.body, json: isJson ? JSON.parse(reply.body) : undefined };
    },
  };
}

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };
