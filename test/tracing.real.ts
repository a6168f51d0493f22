import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { useEtcd } from './support/etcd.ts';
import { Mesh } from './support/mesh.ts';
import { OtlpReceiver, type ReceivedSpan } from './support/otlp-receiver.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { waitFor } from './support/standalone.ts';

describe('traces of a mesh, on a real etcd and a real RocketMQ', function () {
  this.timeout(60_000);
  const run = `${process.pid}-${Date.now()}`;
  const topic = `tracing-${run}`;
  const receiver = new OtlpReceiver();
  let folder: string;
  let mesh: Mesh;

  before(async function () {
    await useRocketmq(this);
    const etcd = await useEtcd(this);
    this.timeout(120_000);
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: await receiver.start(), OTEL_BSP_SCHEDULE_DELAY: '100' };
    folder = mkdtempSync(join(tmpdir(), 'rmqc-tracing-'));
    mesh = new Mesh({ etcd, nameServer: rocketmq.nameServer, cluster: `tracing-${run}`, folder, env });
    await mesh.start({ 'config-service': 1, scheduler: 1, gateway: 1 });
    await Promise.all([mesh.add('task-runner', 't1', '--labels', 'side=in'), mesh.add('task-runner', 't2', '--labels', 'side=out')]);
  });
  after(async function () {
    this.timeout(60_000);
    await mesh?.stop();
    await receiver.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(function () {
    if (this.currentTest?.isFailed()) process.stdout.write(`${mesh.outputs()}\n${JSON.stringify(receiver.spans, printable, 1)}\n`);
    assert.deepEqual(receiver.faults, []);
  });

  const found = async (what: string, is: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> => {
    await waitFor(() => receiver.spans.some(is), what);
    return receiver.spans.find(is) as ReceivedSpan;
  };
  const childOf = (parent: ReceivedSpan, what: string, is: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> =>
    found(what, (span) => span.traceId === parent.traceId && span.parentSpanId === parent.spanId && is(span));

  it('one trace goes from a REST request at the gateway to the write in etcd by the config-service', async () => {
    const file = join(folder, 'lines.txt');
    writeFileSync(file, 'one\ntwo\nthree\n');
    await mesh.connector('in', { 'connector.class': 'FileStreamSource', file, topic, 'placement.labels': 'side=in' });
    const rest = await found('the REST request arrives', ({ name }) => name === 'POST /connectors');
    const path = 'rocketmq.connect.v1.ConnectorService/Create';
    const client = await childOf(rest, 'the gateway calls', ({ name, kind }) => name === path && kind === 3);
    const server = await childOf(client, 'the config-service is called', ({ name, kind }) => name === path && kind === 2);
    const write = await childOf(server, 'the write arrives', ({ attributes }) =>
      /put \S+\/specs\/in/.test(String(attributes['db.query.text'])),
    );
    assert.deepEqual(
      [rest.service, client.service, server.service, write.service],
      ['gateway', 'gateway', 'config-service', 'config-service'].map((name) => `rocketmq-connect-${name}`),
    );
    assert.deepEqual([rest.parentSpanId, write.name, write.attributes['db.system.name']], ['', 'etcd txn', 'etcd']);
    // The plugin's code validates the configuration on a runner, in the same trace.
    const validation = await childOf(server, 'the config-service asks a runner', ({ name }) => /PluginHostService\/Validate$/.test(name));
    const validated = await childOf(validation, 'the runner is asked', ({ kind }) => kind === 2);
    assert.equal(validated.service, 'rocketmq-connect-task-runner-service');
    // Wall clocks of one machine: what is below lies within, to the millisecond that they show.
    for (const [outer, inner] of [
      [rest, client],
      [server, write],
    ] as const) {
      assert.ok(inner.startNanos >= outer.startNanos - 1_000_000n && inner.endNanos <= outer.endNanos + 1_000_000n);
    }
  });

  it('the sink batch of a process of its own, below another runner, links to the source batch', async () => {
    const copy = join(folder, 'copy.txt');
    const isolated = { 'tasks.isolation': 'process', 'placement.labels': 'side=out' };
    await mesh.connector('out', { 'connector.class': 'FileStreamSink', file: copy, topics: topic, ...isolated });
    await waitFor(() => existsSync(copy) && readFileSync(copy, 'utf8') === 'one\ntwo\nthree\n', 'the lines are copied', 40_000);
    const source = await found(
      'the source batch arrives',
      ({ name, attributes }) => name === 'source batch' && attributes['rmqc.connector'] === 'in',
    );
    for (const name of ['poll', 'convert', 'send']) await childOf(source, `${name} arrives`, (span) => span.name === name);
    const sink = await found(
      'the sink batch arrives',
      ({ name, links }) => name === 'sink batch' && links.some(({ spanId }) => spanId === source.spanId),
    );
    assert.deepEqual([source.instance, sink.instance], ['t1', 't2']);
    assert.equal(sink.links[0]?.traceId, source.traceId);
    for (const name of ['fetch', 'convert', 'put', 'flush']) await childOf(sink, `${name} arrives`, (span) => span.name === name);
    // The commit of either goes on through the stream to config-service, and from there to etcd.
    for (const batch of [source, sink]) {
      const commit = await childOf(batch, 'the commit arrives', ({ name }) => name === 'commit');
      const piece = await childOf(commit, 'config-service takes it', ({ kind }) => kind === 2);
      assert.deepEqual([piece.name, piece.service], ['rocketmq.connect.v1.CommitService/Commit', 'rocketmq-connect-config-service']);
      // Pieces that come together share it.
      const together = await found(
        'it is committed',
        ({ name, parentSpanId, links }) =>
          name === 'commit pieces' && (parentSpanId === piece.spanId || links.some(({ spanId }) => spanId === piece.spanId)),
      );
      const fence = `/commits/${batch.attributes['rmqc.connector']}/0`;
      await childOf(
        together,
        'the write arrives',
        ({ name, attributes }) => name === 'etcd txn' && String(attributes['db.query.text']).includes(fence),
      );
    }
    assert.ok(receiver.spans.every(({ failed, name }) => !failed || name !== 'sink batch'));
  });
});

function printable(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
