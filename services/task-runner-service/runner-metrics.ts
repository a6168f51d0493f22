import { unitId } from '@rocketmq-connect/cluster';
import type { TaskCounters } from '@rocketmq-connect/pipeline/host-protocol';
import type { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import type { Clock } from '@rocketmq-connect/sdk';
import type { Emit, MetricSource } from '@rocketmq-connect/telemetry/metrics/registry';
import type { HostPool } from './host-pool.ts';
import type { TaskLedger, TaskLedgers } from './ledger.ts';
import type { UnitSummary } from './session-units.ts';
import type { UnitFigures } from './unit-figures.ts';
import { owns, type UnitPhase } from './unit-state.ts';

export interface RunnerMetricsDeps {
  readonly clock: Clock;
  readonly pool: HostPool;
  readonly ledgers: TaskLedgers;
  readonly figures: UnitFigures;
  readonly deadline: DeadlineWord;
  readonly session: () => string;
  readonly units: () => readonly UnitSummary[];
}

/** The metrics of a runner: of its units, its hosts, its membership. What is no longer here has no series. */
export function runnerMetrics(deps: RunnerMetricsDeps): MetricSource {
  return (emit) => {
    const units = deps.units();
    for (const unit of units) if (owns(unit.phase)) emitUnit(emit, unit, deps);
    emitUnits(emit, units, deps);
    emitMembership(emit, deps);
    emitHosts(emit, deps.pool);
  };
}

function emitUnit(emit: Emit, unit: UnitSummary, { ledgers, figures }: RunnerMetricsDeps): void {
  const { connector, type, task, plugin } = unit;
  const state = stateOf(unit);
  if (task === undefined) {
    emit('rocketmq_connect_connector_info', { connector, type, plugin }, 1);
    emit('rocketmq_connect_connector_state', { connector, type, state }, 1);
    return;
  }
  const labels = { connector, task, type };
  emit('rocketmq_connect_task_state', { ...labels, state }, 1);
  const history = figures.history(unitId({ connector, task }));
  if (history !== undefined) {
    for (const each of ['RUNNING', 'PAUSED'] as const)
      emit('rocketmq_connect_task_state_seconds_total', { ...labels, state: each }, figures.spentSeconds(history, each));
    emit('rocketmq_connect_task_failures_total', labels, history.failures);
    emit('rocketmq_connect_task_owned_since_timestamp_seconds', labels, history.ownedAtMs / 1000);
  }
  const ledger = ledgers.of(connector, task);
  emitLedger(emit, labels, ledger);
  emitMeters(emit, labels, ledger);
}

type TaskLabels = { readonly connector: string; readonly task: number; readonly type: 'source' | 'sink' };

function emitLedger(emit: Emit, labels: TaskLabels, ledger: TaskLedger): void {
  const totals = ledger.totals();
  emit('rocketmq_connect_task_polled_records_total', labels, totals.polled);
  const settled = { ...totals, acknowledged: ledger.acknowledgedMost };
  for (const [outcome, name] of outcomes) emit('rocketmq_connect_task_settled_records_total', { ...labels, outcome }, settled[name]);
  emit('rocketmq_connect_task_in_flight_records', labels, totals.inFlight);
  emit('rocketmq_connect_task_ledger_imbalance_records', labels, ledger.imbalance);
  emit('rocketmq_connect_task_bytes_total', labels, totals.bytes);
  emit('rocketmq_connect_task_retries_total', labels, totals.retries);
  if (labels.type === 'source' && totals.lag >= 0) emit('rocketmq_connect_source_task_lag', labels, totals.lag);
}

const outcomes = [
  ['acknowledged', 'acknowledged'],
  ['deduplicated', 'deduplicated'],
  ['filtered', 'filtered'],
  ['dead_lettered', 'deadLettered'],
  ['skipped', 'skipped'],
] as const satisfies readonly (readonly [string, keyof TaskCounters])[];

function emitMeters(emit: Emit, labels: TaskLabels, ledger: TaskLedger): void {
  const { connector, task, type } = labels;
  const { outcomes: commits, durations } = ledger.commits;
  for (const [outcome, count] of Object.entries(commits)) emit('rocketmq_connect_task_offset_commits_total', { ...labels, outcome }, count);
  emit('rocketmq_connect_task_offset_commit_duration_seconds', labels, durations);
  const meters = ledger.meters();
  for (const [stage, count] of Object.entries(meters.recordErrors))
    emit('rocketmq_connect_task_record_errors_total', { ...labels, stage }, count);
  emit('rocketmq_connect_task_record_failures_total', labels, meters.recordFailures);
  emit('rocketmq_connect_task_errors_logged_total', labels, meters.errorsLogged);
  emit('rocketmq_connect_task_dead_letter_requests_total', labels, meters.deadLetterRequests);
  emit('rocketmq_connect_task_dead_letter_failures_total', labels, meters.deadLetterFailures);
  if (meters.lastErrorAtMs > 0) emit('rocketmq_connect_task_last_error_timestamp_seconds', labels, meters.lastErrorAtMs / 1000);
  const { poll, pollBatch, send, put, putBatch, flush, latency } = meters.histograms;
  const one = { connector, task };
  if (poll !== undefined) emit('rocketmq_connect_source_task_poll_duration_seconds', one, poll);
  if (pollBatch !== undefined) emit('rocketmq_connect_source_task_poll_batch_records', one, pollBatch);
  if (send !== undefined) emit('rocketmq_connect_source_task_send_duration_seconds', one, send);
  if (put !== undefined) emit('rocketmq_connect_sink_task_put_duration_seconds', one, put);
  if (putBatch !== undefined) emit('rocketmq_connect_sink_task_put_batch_records', one, putBatch);
  if (flush !== undefined) emit('rocketmq_connect_sink_task_flush_duration_seconds', one, flush);
  if (latency !== undefined) emit(`rocketmq_connect_${type}_task_end_to_end_latency_seconds`, one, latency);
  for (const { partition, lag } of meters.partitionLags) emit('rocketmq_connect_source_task_partition_lag', { ...one, partition }, lag);
  for (const { queue, lag } of meters.queueLags) emit('rocketmq_connect_sink_task_queue_lag_records', { ...one, ...queue }, lag);
  if (type === 'sink') emit('rocketmq_connect_sink_task_queues', one, meters.queueLags.length);
}

function emitUnits(emit: Emit, units: readonly UnitSummary[], { figures }: RunnerMetricsDeps): void {
  for (const unit of units) {
    const kind = unit.task === undefined ? 'connector' : 'task';
    if (owns(unit.phase)) emit('rocketmq_connect_worker_units', { kind, state: stateOf(unit) }, 1);
  }
  emit('rocketmq_connect_worker_pending_units', {}, units.filter(({ phase }) => !settled.has(phase)).length);
  for (const kind of ['connector', 'task'] as const) {
    const { success, failure } = figures.startups[kind];
    emit('rocketmq_connect_worker_unit_startups_total', { kind, outcome: 'success' }, success);
    emit('rocketmq_connect_worker_unit_startups_total', { kind, outcome: 'failure' }, failure);
    emit('rocketmq_connect_worker_unit_start_duration_seconds', { kind }, figures.startDurations[kind]);
  }
  for (const [outcome, count] of Object.entries(figures.claims)) emit('rocketmq_connect_worker_claims_total', { outcome }, count);
  emit('rocketmq_connect_worker_releases_total', {}, figures.releases);
}

const settled: ReadonlySet<UnitPhase> = new Set(['RUNNING', 'PAUSED', 'FAILED', 'RESTARTING']);

function emitMembership(emit: Emit, { figures, deadline, clock, session }: RunnerMetricsDeps): void {
  const isLive = session() !== '';
  emit('rocketmq_connect_worker_session_live', {}, isLive ? 1 : 0);
  emit('rocketmq_connect_worker_sessions_total', {}, figures.sessions);
  if (figures.sessionStartMs > 0) emit('rocketmq_connect_worker_session_start_timestamp_seconds', {}, figures.sessionStartMs / 1000);
  const remainingMs = isLive ? Math.max(0, deadline.deadlineMs - clock.monotonic()) : 0;
  emit('rocketmq_connect_worker_lease_remaining_seconds', {}, remainingMs / 1000);
}

function emitHosts(emit: Emit, pool: HostPool): void {
  for (const { id, kind, loopDelayMs, heapBytes } of pool.list()) {
    emit('rocketmq_connect_worker_hosts', { kind }, 1);
    emit('rocketmq_connect_event_loop_delay_seconds', { host: id }, loopDelayMs / 1000);
    emit('rocketmq_connect_heap_bytes', { host: id }, heapBytes);
  }
  for (const { kind, reason, count } of pool.exits) emit('rocketmq_connect_worker_host_exits_total', { kind, reason }, count);
  const { requests, durations, inFlight, connections } = pool.logMeters();
  for (const [name, count] of Object.entries(requests)) {
    const [operation = '', outcome = ''] = name.split(' ');
    emit('rocketmq_connect_message_log_requests_total', { operation, outcome }, count);
  }
  for (const [operation, counts] of Object.entries(durations))
    emit('rocketmq_connect_message_log_request_duration_seconds', { operation }, counts);
  emit('rocketmq_connect_message_log_requests_in_flight', {}, inFlight);
  emit('rocketmq_connect_message_log_connections', {}, connections);
}

function stateOf({ shown }: UnitSummary): string {
  return shown.replace('UNIT_STATE_', '');
}
