import { BATCH, LATENCY, SECONDS } from './histogram.ts';

/** What a metric is: docs/metrics.md, dashboards and alert rules are made from this table. */
export interface MetricDefinition {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** As OpenMetrics has it: the end of the name, before `_total`. '' for plain numbers. */
  readonly unit: '' | 'seconds' | 'bytes' | 'records';
  readonly labels: readonly string[];
  readonly help: string;
  /** Of Kafka Connect's metrics, which it takes the place of: `group: name, name`. */
  readonly kafka?: string;
  /** Upper bounds, of histograms. */
  readonly buckets?: readonly number[];
}

const TASK = ['connector', 'task', 'type'] as const;
const ONE = ['connector', 'task'] as const;

/**
 * Every metric of every process. Labels: `connector`, `task` (its number), `type` (source or sink), `host` (`main`, or a thread or process that
 * runs tasks). Only what runs has series, so there are as many as a process has tasks and queues.
 */
export const metrics = {
  // A process.
  rocketmq_connect_build_info: gauge('', ['version', 'services', 'id'], 'Always 1: what this process is.', 'app-info: version'),
  rocketmq_connect_ready: gauge('', [], '1 while the process serves, 0 while a stage of it blocks (see /health).'),
  rocketmq_connect_stage_ready: gauge('', ['stage'], '1 for a stage of the process that is done or works, 0 for one that blocks it.'),
  rocketmq_connect_event_loop_delay_seconds: gauge('seconds', ['host'], 'The longest that an event loop was late within its last second.'),
  rocketmq_connect_heap_bytes: gauge('bytes', ['host'], 'JavaScript heap in use.'),
  rocketmq_connect_log_lines_total: counter('', ['level'], 'Log lines that were written.'),
  rocketmq_connect_spans_total: counter(
    '',
    ['outcome'],
    'Spans of traces: sent, dropped because they came faster than they could be sent, or failed to be sent.',
  ),
  process_cpu_seconds_total: counter('seconds', [], 'CPU time of the process, its threads included, its child processes not.'),
  process_resident_memory_bytes: gauge('bytes', [], 'Memory of the process, its threads included.'),
  process_start_time_seconds: gauge('seconds', [], 'When the process was started, in seconds since the epoch.'),
  process_open_fds: gauge('', [], 'Open files and sockets; Linux only.'),
  process_max_fds: gauge('', [], 'Most that may be open; Linux only.'),

  // Connectors and tasks, told by the runner that owns them.
  rocketmq_connect_connector_info: gauge(
    '',
    ['connector', 'type', 'plugin'],
    'Always 1: what a connector that runs here is.',
    'connector-metrics: connector-class, connector-type',
  ),
  rocketmq_connect_connector_state: gauge(
    '',
    ['connector', 'type', 'state'],
    '1 for the present state of a connector instance; other states have no series.',
    'connector-metrics: status',
  ),
  rocketmq_connect_task_state: gauge(
    '',
    [...TASK, 'state'],
    '1 for the present state of a task; other states have no series.',
    'connector-task-metrics: status',
  ),
  rocketmq_connect_task_state_seconds_total: counter(
    'seconds',
    [...TASK, 'state'],
    'Time that a task was RUNNING or PAUSED; its rate is the share.',
    'connector-task-metrics: running-ratio, pause-ratio',
  ),
  rocketmq_connect_task_failures_total: counter('', TASK, 'Times that a task failed, whether or not it was restarted.'),
  rocketmq_connect_task_owned_since_timestamp_seconds: gauge(
    'seconds',
    TASK,
    'When this runner claimed the task, in seconds since the epoch.',
  ),

  // The ledger: polled = acknowledged + deduplicated + filtered + dead_lettered + skipped + in flight (invariant 9).
  rocketmq_connect_task_polled_records_total: counter(
    'records',
    TASK,
    'Records that a source returned, or that a sink read from its queues.',
    'source-task-metrics: source-record-poll-total; sink-task-metrics: sink-record-read-total',
  ),
  rocketmq_connect_task_settled_records_total: counter(
    'records',
    [...TASK, 'outcome'],
    'Records by what became of them: acknowledged (stored in the log, or put), deduplicated, filtered, dead_lettered, skipped.',
    'source-task-metrics: source-record-write-total; sink-task-metrics: sink-record-send-total; task-error-metrics: total-records-skipped',
  ),
  rocketmq_connect_task_in_flight_records: gauge(
    'records',
    TASK,
    'Records that were polled and are not settled yet.',
    'source-task-metrics: source-record-active-count; sink-task-metrics: sink-record-active-count',
  ),
  rocketmq_connect_task_ledger_imbalance_records: gauge(
    'records',
    TASK,
    'Records polled less those settled and those in flight, each counted for itself. Anything but 0 is an error of RocketMQ Connect.',
  ),

  // What tasks do.
  rocketmq_connect_task_bytes_total: counter('bytes', TASK, 'Bytes of messages stored in the log, or read from it.'),
  rocketmq_connect_task_offset_commits_total: counter(
    '',
    [...TASK, 'outcome'],
    'Commits by outcome: stored, refused (a value that cannot be stored), fenced (another runner owns the task).',
    'connector-task-metrics: offset-commit-success-percentage, offset-commit-failure-percentage; sink-task-metrics: offset-commit-completion-total',
  ),
  rocketmq_connect_task_offset_commit_duration_seconds: histogram(
    'seconds',
    TASK,
    'From the request of a commit, flush of the sink included, until it is stored.',
    SECONDS,
    'connector-task-metrics: offset-commit-avg-time-ms, offset-commit-max-time-ms',
  ),
  rocketmq_connect_source_task_poll_duration_seconds: histogram(
    'seconds',
    ONE,
    'Time that polls take that return records.',
    SECONDS,
    'source-task-metrics: poll-batch-avg-time-ms, poll-batch-max-time-ms',
  ),
  rocketmq_connect_source_task_poll_batch_records: histogram(
    'records',
    ONE,
    'Records that a poll returns, if any.',
    BATCH,
    'connector-task-metrics: batch-size-avg, batch-size-max',
  ),
  rocketmq_connect_source_task_send_duration_seconds: histogram(
    'seconds',
    ONE,
    'From the send of a batch until the log has stored it, repetitions included.',
    SECONDS,
  ),
  rocketmq_connect_source_task_end_to_end_latency_seconds: histogram(
    'seconds',
    ONE,
    "From the timestamp of a poll's first record until the log has stored all of the poll; once per poll, where records have timestamps.",
    LATENCY,
  ),
  rocketmq_connect_source_task_lag: gauge('', ONE, 'How far the task is behind its source, in the unit of the connector (records, bytes).'),
  rocketmq_connect_source_task_partition_lag: gauge(
    '',
    [...ONE, 'partition'],
    'The same per source partition, where the connector tells it; of the 100 that are most behind.',
  ),
  rocketmq_connect_sink_task_put_duration_seconds: histogram(
    'seconds',
    ONE,
    'Time that puts take.',
    SECONDS,
    'sink-task-metrics: put-batch-avg-time-ms, put-batch-max-time-ms',
  ),
  rocketmq_connect_sink_task_put_batch_records: histogram(
    'records',
    ONE,
    'Records that are put at once.',
    BATCH,
    'connector-task-metrics: batch-size-avg, batch-size-max',
  ),
  rocketmq_connect_sink_task_flush_duration_seconds: histogram('seconds', ONE, 'Time that flushes take, before each commit.', SECONDS),
  rocketmq_connect_sink_task_end_to_end_latency_seconds: histogram(
    'seconds',
    ONE,
    'From the timestamp of the first record of a put (where it has none, when the log stored it) until it is put; once per put.',
    LATENCY,
  ),
  rocketmq_connect_sink_task_queues: gauge('', ONE, 'Queues that the task reads.', 'sink-task-metrics: partition-count'),
  rocketmq_connect_sink_task_queue_lag_records: gauge(
    'records',
    [...ONE, 'topic', 'broker', 'queue'],
    'Messages of a queue that are stored and not read by the task yet.',
  ),

  // Errors of records and retries.
  rocketmq_connect_task_record_errors_total: counter(
    '',
    [...TASK, 'stage'],
    'Records that failed for good, by the stage of the data path.',
    'task-error-metrics: total-record-errors',
  ),
  rocketmq_connect_task_record_failures_total: counter(
    '',
    TASK,
    'Attempts at records that failed, the repeated ones included.',
    'task-error-metrics: total-record-failures',
  ),
  rocketmq_connect_task_retries_total: counter(
    '',
    TASK,
    'Repetitions of stages, polls, puts and sends.',
    'task-error-metrics: total-retries',
  ),
  rocketmq_connect_task_errors_logged_total: counter(
    '',
    TASK,
    'Errors of records that were logged.',
    'task-error-metrics: total-errors-logged',
  ),
  rocketmq_connect_task_dead_letter_requests_total: counter(
    '',
    TASK,
    'Records handed to the dead-letter topic.',
    'task-error-metrics: deadletterqueue-produce-requests',
  ),
  rocketmq_connect_task_dead_letter_failures_total: counter(
    '',
    TASK,
    'Attempts to store a dead letter that failed; they are repeated.',
    'task-error-metrics: deadletterqueue-produce-failures',
  ),
  rocketmq_connect_task_last_error_timestamp_seconds: gauge(
    'seconds',
    TASK,
    'When a record of the task failed last, in seconds since the epoch.',
    'task-error-metrics: last-error-timestamp',
  ),

  // A runner.
  rocketmq_connect_worker_units: gauge(
    '',
    ['kind', 'state'],
    'Connector instances and tasks (kind: connector, task) on this runner.',
    'connect-worker-metrics: connector-count, task-count, connector-…-task-count',
  ),
  rocketmq_connect_worker_pending_units: gauge(
    '',
    [],
    'Units that are placed here and not started yet, or started and no longer placed here.',
    'connect-worker-rebalance-metrics: rebalancing',
  ),
  rocketmq_connect_worker_unit_startups_total: counter(
    '',
    ['kind', 'outcome'],
    'Starts of units by outcome: success, failure.',
    'connect-worker-metrics: connector-startup-…-total, task-startup-…-total',
  ),
  rocketmq_connect_worker_unit_start_duration_seconds: histogram(
    'seconds',
    ['kind'],
    'From the claim of a unit until it runs.',
    LATENCY,
    'connect-worker-rebalance-metrics: rebalance-avg-time-ms, rebalance-max-time-ms',
  ),
  rocketmq_connect_worker_claims_total: counter(
    '',
    ['outcome'],
    'Claims of units by outcome: claimed, refused, failed.',
    'connect-worker-rebalance-metrics: completed-rebalances-total',
  ),
  rocketmq_connect_worker_releases_total: counter('', [], 'Units that were given back.'),
  rocketmq_connect_worker_session_live: gauge('', [], '1 while the runner is a member of the cluster.'),
  rocketmq_connect_worker_sessions_total: counter(
    '',
    [],
    'Times that the runner joined the cluster: more than 1 means that it lost its lease.',
    'connect-worker-rebalance-metrics: epoch',
  ),
  rocketmq_connect_worker_session_start_timestamp_seconds: gauge('seconds', [], 'When the runner joined last, in seconds since the epoch.'),
  rocketmq_connect_worker_lease_remaining_seconds: gauge(
    'seconds',
    [],
    'Time until the runner must have stopped everything if its lease is not renewed. 0 without a session.',
  ),
  rocketmq_connect_worker_hosts: gauge('', ['kind'], 'Threads and processes that run tasks.'),
  rocketmq_connect_worker_host_exits_total: counter(
    '',
    ['kind', 'reason'],
    'Task hosts that ended, by reason: crashed, outOfMemory, killed (by the runner).',
  ),

  // A scheduler.
  rocketmq_connect_scheduler_leading: gauge('', [], '1 while this scheduler leads.', 'connect-worker-rebalance-metrics: leader-name'),
  rocketmq_connect_scheduler_rounds_total: counter('', ['outcome'], 'Placement rounds by outcome: unchanged, written, refused, failed.'),
  rocketmq_connect_scheduler_round_duration_seconds: histogram('seconds', [], 'Time that placement rounds take.', SECONDS),
  rocketmq_connect_scheduler_placed_units: gauge('', [], 'Units that the last round of the leader placed.'),
  rocketmq_connect_scheduler_unplaced_units: gauge('', [], 'Units that no runner may run, as of the last round of the leader.'),
  rocketmq_connect_scheduler_runners: gauge('', ['state'], 'Runners that the leader sees: ready, draining, missing.'),
  rocketmq_connect_scheduler_last_change_timestamp_seconds: gauge(
    'seconds',
    [],
    'When this scheduler changed the placement last, in seconds since the epoch.',
    'connect-worker-rebalance-metrics: time-since-last-rebalance-ms',
  ),

  // The clients of a process.
  rocketmq_connect_metadata_store_reachable: gauge('', [], '1 while the metadata store answers.'),
  rocketmq_connect_metadata_store_reachable_since_timestamp_seconds: gauge(
    'seconds',
    [],
    'Since when the metadata store answers, in seconds since the epoch; 0 while it does not.',
  ),
  rocketmq_connect_metadata_store_requests_total: counter(
    '',
    ['operation', 'outcome'],
    'Requests to the metadata store: get, range, txn, grantLease, keepAlive, revoke; outcome ok, or the code of the error.',
  ),
  rocketmq_connect_metadata_store_request_duration_seconds: histogram(
    'seconds',
    ['operation'],
    'Time that requests to the metadata store take.',
    SECONDS,
  ),
  rocketmq_connect_metadata_store_requests_in_flight: gauge('', [], 'Requests to the metadata store that wait for their answer.'),
  rocketmq_connect_metadata_store_watches: gauge('', [], 'Open watches.'),
  rocketmq_connect_metadata_store_connected_watches: gauge(
    '',
    [],
    'Open watches that hear etcd; the others were cut off and look for a member to go on at.',
  ),
  rocketmq_connect_metadata_store_watch_reconnects_total: counter('', [], 'Watches that went on at a new connection to etcd.'),
  rocketmq_connect_metadata_store_member_preferred: gauge('', ['member'], '1 for the member of etcd that is asked first.'),
  rocketmq_connect_metadata_store_member_failures_total: counter(
    '',
    ['member'],
    'Calls, log-ins and streams that a member of etcd failed, whereupon another was asked.',
  ),
  rocketmq_connect_metadata_store_watch_ends_total: counter('', ['reason'], 'Watches that ended by themselves, by the code of the error.'),
  rocketmq_connect_message_log_requests_total: counter(
    '',
    ['operation', 'outcome'],
    'Requests of all tasks to the message log (a send is a batch, a read is one or more); outcome ok, or the code of the error.',
  ),
  rocketmq_connect_message_log_request_duration_seconds: histogram(
    'seconds',
    ['operation'],
    'Time that requests to the message log take; reads that wait for messages are not in it.',
    SECONDS,
  ),
  rocketmq_connect_message_log_requests_in_flight: gauge('', [], 'Requests to the message log that wait for their answer, reads left out.'),
  rocketmq_connect_message_log_connections: gauge('', [], 'Open connections to brokers, name servers or proxies.'),
  rocketmq_connect_rpc_client_requests_total: counter(
    '',
    ['service', 'method', 'code'],
    'gRPC calls and streams of this process that ended; code ok, or the kind of the error.',
  ),
  rocketmq_connect_rpc_client_request_duration_seconds: histogram('seconds', ['service', 'method'], 'Time of unary calls.', SECONDS),
  rocketmq_connect_rpc_client_requests_in_flight: gauge('', [], 'gRPC calls and streams of this process that are open.'),
  rocketmq_connect_rpc_server_requests_total: counter(
    '',
    ['service', 'method', 'code'],
    'gRPC calls and streams served that ended; code ok, or the kind of the error.',
  ),
  rocketmq_connect_rpc_server_request_duration_seconds: histogram('seconds', ['service', 'method'], 'Time of unary calls served.', SECONDS),
  rocketmq_connect_rpc_server_requests_in_flight: gauge('', [], 'gRPC calls and streams that are being served.'),
  rocketmq_connect_rest_requests_total: counter('', ['method', 'route', 'status'], 'REST requests served, by route and status.'),
  rocketmq_connect_rest_request_duration_seconds: histogram('seconds', ['method', 'route'], 'Time until a request is answered.', SECONDS),
  rocketmq_connect_rest_requests_in_flight: gauge('', [], 'REST requests that are being served.'),
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricName = keyof typeof metrics;

/** docs/metrics.md, generated so that it is always what the code does. */
export function metricsMarkdown(): string {
  const rows = Object.entries(metrics as Readonly<Record<string, MetricDefinition>>).map(([name, { kind, labels, help, kafka }]) => {
    const from = kafka === undefined ? '' : ` Kafka Connect: ${kafka}.`;
    return `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${help}${from} |`;
  });
  return [
    '# Metrics',
    '',
    'Every process shows its metrics at `/metrics`, in the text format of Prometheus and OpenMetrics, and sends them by OTLP when the',
    'environment asks for it: see [observability.md](observability.md). Times are in seconds, sizes in bytes. Counters only grow while the',
    'process lives, also when a thread or process that runs tasks is ended. `type` is source or sink, `host` is `main` or a thread or',
    'process that runs tasks.',
    '',
    'This page is generated by `npm run generate:docs`.',
    '',
    '| name | kind | labels | what it tells |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

type Labels<L extends readonly string[]> = { readonly labels: L };

function counter<const L extends readonly string[]>(unit: MetricDefinition['unit'], labels: L, help: string, kafka?: string) {
  return definition('counter', unit, labels, help, kafka);
}

function gauge<const L extends readonly string[]>(unit: MetricDefinition['unit'], labels: L, help: string, kafka?: string) {
  return definition('gauge', unit, labels, help, kafka);
}

function histogram<const L extends readonly string[]>(
  unit: MetricDefinition['unit'],
  labels: L,
  help: string,
  buckets: readonly number[],
  kafka?: string,
) {
  return { ...definition('histogram', unit, labels, help, kafka), buckets };
}

function definition<K extends MetricDefinition['kind'], L extends readonly string[]>(
  kind: K,
  unit: MetricDefinition['unit'],
  labels: L,
  help: string,
  kafka?: string,
): Omit<MetricDefinition, 'kind' | 'labels'> & { readonly kind: K } & Labels<L> {
  return { kind, unit, labels, help, ...(kafka === undefined ? {} : { kafka }) };
}
