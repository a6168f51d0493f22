import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ParsedFamily, parseExposition, seriesValue } from './support/exposition.ts';
import { type StandaloneProcess, startStandalone, waitFor } from './support/standalone.ts';

describe('what a process tells of itself', function () {
  this.timeout(60_000);
  let cwd: string;
  let process: StandaloneProcess;

  before(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'rmqc-observability-'));
    process = await startStandalone({ dataDir: join(cwd, 'data'), cwd, args: ['--offsets-commit-interval-ms', '200'] });
  });
  after(async () => {
    await process.kill();
    rmSync(cwd, { recursive: true, force: true });
  });

  const scrape = async (format: 'prometheus' | 'openmetrics' = 'prometheus'): Promise<ReadonlyMap<string, ParsedFamily>> => {
    const accept = format === 'openmetrics' ? 'application/openmetrics-text' : 'text/plain';
    const response = await fetch(`${process.url}/metrics`, { headers: { accept } });
    return parseExposition(await response.text(), format);
  };

  it('shows the ledger, states, times and lags of its tasks, and its clients, at /metrics', async () => {
    const source = { connector: 'quickstart-source', task: '0' };
    const sink = { connector: 'quickstart-sink', task: '0' };
    let families = await scrape();
    const value = (name: string, labels: Readonly<Record<string, string>>): number => seriesValue(families, name, labels) ?? -1;
    const settled = async (): Promise<boolean> => {
      families = await scrape();
      const put = value('rocketmq_connect_task_settled_records_total', { ...sink, outcome: 'acknowledged' });
      return put > 0 && put === value('rocketmq_connect_task_settled_records_total', { ...source, outcome: 'acknowledged' });
    };
    await waitFor(settled, 'the sink has put what the source has sent');
    for (const task of [source, sink]) {
      const polled = value('rocketmq_connect_task_polled_records_total', task);
      assert.equal(value('rocketmq_connect_task_settled_records_total', { ...task, outcome: 'acknowledged' }), polled);
      assert.equal(value('rocketmq_connect_task_ledger_imbalance_records', task), 0);
      assert.equal(value('rocketmq_connect_task_in_flight_records', task), 0);
      assert.equal(value('rocketmq_connect_task_state', { ...task, state: 'RUNNING' }), 1);
      assert.ok(value('rocketmq_connect_task_bytes_total', task) > 0);
    }
    assert.ok(value('rocketmq_connect_source_task_poll_duration_seconds_count', source) > 0);
    assert.ok(value('rocketmq_connect_source_task_send_duration_seconds_count', source) > 0);
    assert.ok(value('rocketmq_connect_sink_task_put_duration_seconds_count', sink) > 0);
    assert.ok(value('rocketmq_connect_sink_task_end_to_end_latency_seconds_count', sink) > 0);
    assert.equal(value('rocketmq_connect_sink_task_queue_lag_records', { ...sink, queue: '0' }), 0);
    const behind = families.get('rocketmq_connect_source_task_partition_lag')?.samples ?? [];
    assert.deepEqual(
      behind.map(({ value }) => value),
      [0],
      'of its one file',
    );
    assert.match(behind[0]?.labels['partition'] ?? '', /^\{"filename":"[^"]*quickstart[^"]*"\}$/);
    const commits = { ...sink, outcome: 'stored' };
    await waitFor(async () => {
      families = await scrape();
      return value('rocketmq_connect_task_offset_commits_total', commits) > 0;
    }, 'a commit is stored');
    assert.ok(value('rocketmq_connect_message_log_requests_total', { operation: 'send', outcome: 'ok' }) > 0);
    assert.ok(value('rocketmq_connect_metadata_store_requests_total', { operation: 'txn', outcome: 'ok' }) > 0);
    assert.ok(value('rocketmq_connect_rpc_server_requests_total', { method: 'Read', code: 'ok' }) > 0);
    assert.ok(value('rocketmq_connect_rest_requests_total', { route: '/metrics' }) > 0);
    assert.equal(value('rocketmq_connect_scheduler_leading', {}), 1);
    assert.equal(value('rocketmq_connect_worker_session_live', {}), 1);
    assert.ok(value('process_cpu_seconds_total', {}) > 0);
    assert.equal(value('rocketmq_connect_ready', {}), 1);
    await scrape('openmetrics');
  });

  it('changes the level of one connector at once, where its tasks run, too', async () => {
    await process.request('PUT', '/admin/loggers/connectors.quickstart-sink', { level: 'DEBUG' });
    await process.request('POST', '/connectors/quickstart-sink/restart?includeTasks=true');
    const debug = /"level":"debug".*"connector":"quickstart-sink".*RUNNING/;
    await waitFor(() => debug.test(process.output()), 'its lines of level debug');
    assert.doesNotMatch(process.output(), /"level":"debug"(?!.*quickstart-sink)/);
    const loggers = await process.request<Record<string, { level: string }>>('GET', '/admin/loggers');
    assert.equal(loggers['connectors.quickstart-sink']?.level, 'DEBUG');
    await process.request('PUT', '/admin/loggers/root?scope=cluster', { level: 'WARN' });
    assert.equal((await process.request<{ level: string }>('GET', '/admin/loggers/gateway')).level, 'WARN');
    await process.request('DELETE', '/admin/loggers/root?scope=cluster');
    assert.equal((await process.request<{ level: string }>('GET', '/admin/loggers/gateway')).level, 'INFO');
  });

  it('says at /health which stages there are, and that none blocks', async () => {
    const health = await process.request<{ status: string; stages: { stage: string; state: string }[] }>('GET', '/health');
    assert.equal(health.status, 'healthy');
    const states = Object.fromEntries(health.stages.map(({ stage, state }) => [stage, state]));
    for (const stage of ['start', 'metadata store', 'plugins', 'cluster state', 'membership', 'config-service'])
      assert.equal(states[stage], 'ready', stage);
  });

  it('shows the ledger of tasks in the status, where it is asked for', async () => {
    type Status = { tasks: { ledger?: { polled: number; acknowledged: number; in_flight: number; imbalance: number } | null }[] };
    const settled = async (): Promise<boolean> => {
      const { tasks } = await process.request<Status>('GET', '/connectors/quickstart-sink/status?ledger=true');
      const ledger = tasks[0]?.ledger;
      return ledger?.imbalance === 0 && ledger.in_flight === 0 && ledger.polled > 0 && ledger.polled === ledger.acknowledged;
    };
    await waitFor(settled, 'every record that was polled is put');
    const plain = await process.request<Status>('GET', '/connectors/quickstart-sink/status');
    assert.ok(plain.tasks.every((task) => !('ledger' in task)));
  });

  it('keeps the level that the cluster gave a logger when it is started again, and no other', async () => {
    await process.request('PUT', '/admin/loggers/connectors?scope=cluster', { level: 'DEBUG' });
    await process.request('PUT', '/admin/loggers/gateway', { level: 'DEBUG' });
    await process.kill();
    process = await startStandalone({ dataDir: join(cwd, 'data'), cwd });
    type Loggers = Record<string, { level: string; last_modified: number | null; scope: string | null }>;
    await waitFor(async () => 'connectors' in (await process.request<Loggers>('GET', '/admin/loggers')), 'the level is taken');
    const { root, connectors, ...others } = await process.request<Loggers>('GET', '/admin/loggers');
    assert.deepEqual(
      [root, connectors?.level, connectors?.scope],
      [{ level: 'INFO', last_modified: null, scope: null }, 'DEBUG', 'cluster'],
    );
    assert.ok((connectors?.last_modified ?? 0) > Date.now() - 60_000);
    assert.deepEqual(others, {});
    const debug = /"level":"debug".*"connector":"quickstart-sink"/;
    await waitFor(() => debug.test(process.output()), 'its hosts know it');
  });
});
