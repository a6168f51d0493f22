import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OtlpReceiver, type ReceivedSpan } from './support/otlp-receiver.ts';
import { type StandaloneProcess, spawnStandalone, startStandalone, waitFor } from './support/standalone.ts';

describe('traces of a standalone', function () {
  this.timeout(60_000);
  let cwd: string;
  let receiver: OtlpReceiver;
  let endpoint: string;
  let mesh: Pick<StandaloneProcess, 'kill' | 'child'> | undefined;

  beforeEach(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'rmqc-tracing-'));
    receiver = new OtlpReceiver();
    endpoint = await receiver.start();
  });
  afterEach(async () => {
    if (mesh !== undefined && mesh.child.exitCode === null) await mesh.kill();
    mesh = undefined;
    await receiver.stop();
    assert.deepEqual(receiver.faults, []);
    rmSync(cwd, { recursive: true, force: true });
  });

  const start = async (env: Readonly<Record<string, string>>): Promise<StandaloneProcess> => {
    const args = ['--no-quickstart', '--log-format', 'json', '--log-level', 'debug', '--offsets-commit-interval-ms', '200'];
    const started = await startStandalone({ dataDir: join(cwd, 'data'), cwd, args, env });
    mesh = started;
    return started;
  };
  const copyLines = async (standalone: StandaloneProcess): Promise<void> => {
    const [file, copy] = [join(cwd, 'lines.txt'), join(cwd, 'copy.txt')];
    writeFileSync(file, 'one\ntwo\nthree\n');
    await standalone.request('POST', '/connectors', {
      name: 'out',
      config: { 'connector.class': 'FileStreamSource', file, topic: 'lines' },
    });
    await standalone.request('POST', '/connectors', {
      name: 'in',
      config: { 'connector.class': 'FileStreamSink', file: copy, topics: 'lines' },
    });
    await waitFor(() => existsSync(copy) && readFileSync(copy, 'utf8') === 'one\ntwo\nthree\n', 'the lines are copied');
  };
  const found = async (what: string, is: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> => {
    await waitFor(() => receiver.spans.some(is), what);
    return receiver.spans.find(is) as ReceivedSpan;
  };

  it("go from a caller's span through REST and gRPC to the write in the store, and log lines carry them", async () => {
    const standalone = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' });
    const [traceId, caller] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
    const headers = { 'content-type': 'application/json', traceparent: `00-${traceId}-${caller}-01` };
    const config = { 'connector.class': 'FileStreamSource', file: join(cwd, 'none'), topic: 't' };
    const body = JSON.stringify({ name: 'traced', config });
    assert.equal((await fetch(`${standalone.url}/connectors`, { method: 'POST', headers, body })).status, 201);

    const rest = await found(
      'the REST request arrives',
      ({ name, parentSpanId }) => name === 'POST /connectors' && parentSpanId === caller,
    );
    assert.equal(rest.traceId, traceId);
    assert.deepEqual(
      [rest.service, rest.attributes['http.route'], rest.attributes['http.response.status_code']],
      ['rocketmq-connect', '/connectors', 201],
    );
    const path = 'rocketmq.connect.v1.ConnectorService/Create';
    await waitFor(() => receiver.below(rest).some(({ name }) => name === path), 'the call arrives');
    const [client] = receiver.below(rest);
    const server = await found('the call is served', (span) => span.parentSpanId === client?.spanId);
    assert.deepEqual([client?.name, client?.kind, server.name, server.kind], [path, 3, path, 2]);
    const write = await found(
      'the write arrives',
      (span) => span.parentSpanId === server.spanId && /put .*\/specs\/traced/.test(String(span.attributes['db.query.text'])),
    );
    assert.deepEqual([write.name, write.traceId], ['sqlite txn', traceId]);

    assert.equal((await fetch(`${standalone.url}/connectors`, { method: 'POST', headers, body })).status, 409);
    await waitFor(() => standalone.output().includes('"msg":"a request was refused"'), 'the refusal is logged');
    const line =
      standalone
        .output()
        .split('\n')
        .find((text) => text.includes('"msg":"a request was refused"')) ?? '{}';
    assert.equal(JSON.parse(line).trace_id, traceId);
  });

  it('link a sink batch to the source batch whose records it delivers', async () => {
    const standalone = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' });
    await copyLines(standalone);
    const source = await found('the source batch arrives', ({ name }) => name === 'source batch');
    assert.equal(source.attributes['rmqc.connector'], 'out');
    const sink = await found('the sink batch arrives', ({ links }) => links.some(({ spanId }) => spanId === source.spanId));
    assert.deepEqual([sink.name, sink.attributes['rmqc.connector'], sink.links.length], ['sink batch', 'in', 1]);
    assert.equal(sink.links[0]?.traceId, source.traceId);
    for (const batch of [source, sink]) {
      const commit = await found('the commit arrives', ({ name, parentSpanId }) => name === 'commit' && parentSpanId === batch.spanId);
      const piece = await found('config-service takes it', ({ kind, parentSpanId }) => kind === 2 && parentSpanId === commit.spanId);
      assert.equal(piece.name, 'rocketmq.connect.v1.CommitService/Commit');
      assert.equal(piece.attributes['rmqc.connector'], batch.attributes['rmqc.connector']);
    }
  });

  it('are sent when the process ends, whatever waits', async () => {
    const standalone = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '60000' });
    await standalone.request('GET', '/connectors');
    await standalone.request('GET', '/health');
    assert.equal(await standalone.interrupt(), 0);
    const names = receiver.spans.map(({ name }) => name);
    assert.ok(names.includes('GET /connectors'));
    assert.ok(!names.includes('GET /health'), 'what machines ask every few seconds is not traced');
  });

  it('are none where they are switched off', async () => {
    const standalone = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: 'true', OTEL_BSP_SCHEDULE_DELAY: '1' });
    await standalone.request('GET', '/connectors');
    assert.equal(await standalone.interrupt(), 0);
    assert.deepEqual(receiver.spans, []);
  });

  it('cost a warning and nothing else where no collector answers', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_BSP_SCHEDULE_DELAY: '1', OTEL_BSP_EXPORT_TIMEOUT: '500' };
    const standalone = await start(env);
    await standalone.request('GET', '/connectors');
    await waitFor(() => /"msg":"spans were lost/.test(standalone.output()), 'the loss is said');
    assert.equal(await standalone.interrupt(), 0);
  });

  it('are refused where a variable is not understood', async () => {
    const run = spawnStandalone({ dataDir: join(cwd, 'data'), cwd, env: { OTEL_TRACES_EXPORTER: 'jaeger' } });
    mesh = run;
    await waitFor(() => run.child.exitCode !== null, 'it refuses to start');
    assert.match(run.output(), /OTEL_TRACES_EXPORTER is 'jaeger'[\s\S]*otlp, zipkin, console, none/);
  });
});
