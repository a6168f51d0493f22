import assert from 'node:assert/strict';
import { Metrics } from '@rocketmq-connect/telemetry/metrics/registry';
import { freePorts } from '../../test/support/etcd-cluster.ts';
import { parseExposition, seriesValue } from '../../test/support/exposition.ts';
import { quietLogger, recordingLogger } from '../../test/support/quiet-logger.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { type ObservabilityServer, openObservability, serveObservability } from './observability-server.ts';
import { Stages } from './stages.ts';

describe('the port of /metrics and /health', () => {
  const metrics = new Metrics();
  const opened: ObservabilityServer[] = [];
  let stages: Stages;

  beforeEach(() => {
    stages = new Stages(new VirtualClock());
  });
  afterEach(async () => {
    for (const server of opened.splice(0)) await server.close();
  });
  const open = async (): Promise<string> => {
    const server = await serveObservability('127.0.0.1', 0, metrics, stages);
    opened.push(server);
    return server.url;
  };
  const get = async (url: string, headers: Record<string, string> = {}) => {
    const response = await fetch(url, { headers });
    return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() };
  };

  it('shows metrics in the format that was asked for', async () => {
    metrics.add('rocketmq_connect_log_lines_total', { level: 'info' });
    const url = await open();
    const plain = await get(`${url}/metrics`);
    assert.match(plain.type, /^text\/plain; version=0\.0\.4/);
    assert.equal(seriesValue(parseExposition(plain.text, 'prometheus'), 'rocketmq_connect_log_lines_total'), 1);
    const open1 = await get(`${url}/metrics?x`, { accept: 'application/openmetrics-text; version=1.0.0' });
    assert.match(open1.type, /^application\/openmetrics-text; version=1\.0\.0/);
    assert.equal(seriesValue(parseExposition(open1.text, 'openmetrics'), 'rocketmq_connect_log_lines_total'), 1);
  });

  it('S062: is alive at once, ready when no required stage blocks, and says which one does and why', async () => {
    const start = stages.add('start', 'the process is starting');
    let trouble: string | null = 'no name server answers';
    stages.look('message log', () => trouble);
    const url = await open();
    assert.equal((await get(`${url}/health/live`)).status, 200);
    const blocked = await get(`${url}/health/ready`);
    assert.equal(blocked.status, 503);
    assert.match(JSON.parse(blocked.text).message, /start: the process is starting/);
    start.ready();
    const degraded = await get(`${url}/health`);
    assert.equal(degraded.status, 200);
    const { status, message, stages: shown } = JSON.parse(degraded.text);
    assert.equal(status, 'healthy');
    assert.match(message, /ready to handle requests.*But message log: no name server answers/);
    assert.deepEqual(
      shown.map(({ stage, state }: { stage: string; state: string }) => `${stage} ${state}`),
      ['start ready', 'message log degraded'],
    );
    trouble = null;
    assert.equal(JSON.parse((await get(`${url}/health`)).text).message, 'Worker has completed startup and is ready to handle requests.');
    start.trouble('the process is stopping');
    assert.equal((await get(`${url}/health`)).status, 503);
  });

  it('answers nothing else', async () => {
    const url = await open();
    assert.equal((await get(`${url}/connectors`)).status, 404);
    assert.equal((await fetch(`${url}/metrics`, { method: 'POST' })).status, 405);
  });

  it('names the setting where its port is taken', async () => {
    const port = Number(new URL(await open()).port);
    const settings = { host: '127.0.0.1', port };
    await assert.rejects(openObservability({ settings, hasRest: false, log: quietLogger, metrics, stages }), {
      kind: 'config',
      field: 'metrics.port',
    });
  });

  it('is there without being asked for, unless the REST port shows the same, and is left to whoever has it', async () => {
    const logged: string[] = [];
    const [defaultPort = 0] = await freePorts(1);
    const openUnasked = async (port: number, hasRest = false): Promise<ObservabilityServer | null> => {
      const settings = { host: '127.0.0.1', port };
      const server = await openObservability({ settings, hasRest, log: recordingLogger(logged), metrics, stages, defaultPort });
      if (server !== null) opened.push(server);
      return server;
    };
    assert.deepEqual([await openUnasked(-1, true), await openUnasked(0)], [null, null]);
    const first = await openUnasked(-1);
    assert.equal(first?.url, `http://127.0.0.1:${defaultPort}`);
    assert.equal((await get(`${first.url}/metrics`)).status, 200);
    assert.deepEqual(logged, []);
    assert.equal(await openUnasked(-1), null);
    assert.match(logged.join(), /shows no \/metrics: .*in use by another process.*--metrics-port/);
  });
});
