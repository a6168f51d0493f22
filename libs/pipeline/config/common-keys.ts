import { Type } from '@rocketmq-connect/sdk';

const COMMON = 'Common';
const ERRORS = 'Error Handling';
const THROUGHPUT = 'Throughput';

/** Keys, orders and texts are Kafka Connect's wherever it has the key. */
export const CommonKeys = {
  name: Type.String({
    minLength: 1,
    pattern: '^\\P{Cc}*$',
    title: 'Connector name',
    description: 'Globally unique name to use for this connector.',
    importance: 'high',
    group: COMMON,
    order: 1,
    width: 'medium',
  }),
  'connector.class': Type.String({
    minLength: 1,
    title: 'Connector class',
    description:
      'Name, alias or class of the connector. If its class is org.apache.kafka.connect.file.FileStreamSinkConnector, "FileStreamSink" and "FileStreamSinkConnector" mean the same.',
    importance: 'high',
    group: COMMON,
    order: 2,
    width: 'long',
  }),
  'connector.plugin.version': Type.Optional(
    Type.String({
      title: 'Connector version',
      description: 'Version of the connector. Default: the newest that the task runners have.',
      group: COMMON,
      order: 3,
      width: 'medium',
    }),
  ),
  'tasks.max': Type.Integer({
    minimum: 1,
    default: 1,
    title: 'Tasks max',
    description: 'Maximum number of tasks to use for this connector.',
    importance: 'high',
    group: COMMON,
    order: 4,
    width: 'short',
  }),
  'tasks.max.enforce': Type.Boolean({
    default: true,
    title: 'Enforce tasks max',
    description: '(Deprecated) Accepted for compatibility; has no effect: tasks.max is always respected.',
    importance: 'low',
    group: COMMON,
    order: 5,
    width: 'short',
  }),
  'tasks.isolation': Type.Union([Type.Literal('shared'), Type.Literal('thread'), Type.Literal('process')], {
    default: 'shared',
    title: 'Isolation of tasks',
    description:
      "Where the connector and its tasks run on a runner: 'shared' in threads with those of others; 'thread' in threads of their own; 'process' in processes of their own, so that not even native code can harm others (needs a RocketMQ cluster). Takes no reference.",
    importance: 'low',
    group: COMMON,
    order: 15,
    width: 'short',
  }),
  ...converterKeys('key', 'StringConverter', 6, 'Controls the format of the keys of messages.'),
  ...converterKeys('value', 'StringConverter', 8, 'Controls the format of the values of messages.'),
  ...converterKeys(
    'header',
    'SimpleHeaderConverter',
    10,
    'Controls the format of the values of headers. SimpleHeaderConverter writes them as text, and infers their schemas when it reads them.',
  ),
  transforms: Type.Array(Type.String(), {
    default: [],
    uniqueItems: true,
    title: 'Transforms',
    description: 'Aliases for the transformations to be applied to records.',
    importance: 'low',
    group: 'Transforms',
    order: 12,
    width: 'long',
  }),
  predicates: Type.Array(Type.String(), {
    default: [],
    uniqueItems: true,
    title: 'Predicates',
    description: 'Aliases for the predicates used by transformations.',
    importance: 'low',
    group: 'Predicates',
    order: 13,
    width: 'long',
  }),
  'trace.records': Type.Boolean({
    default: false,
    title: 'Trace single records',
    description:
      'If true, every record of a sampled batch gets a span of its own. For looking closely: it costs much where batches are large. Traces need OTEL_* variables: see docs/observability.md.',
    importance: 'low',
    group: COMMON,
    order: 16,
    width: 'short',
  }),
  'config.action.reload': Type.Union([Type.Literal('none'), Type.Literal('restart')], {
    default: 'restart',
    title: 'Reload Action',
    description: 'Accepted for compatibility; has no effect: references are resolved when a task starts.',
    importance: 'low',
    group: COMMON,
    order: 14,
    width: 'medium',
  }),
};

export const ErrorKeys = {
  'errors.retry.timeout': Type.Integer({
    minimum: -1,
    default: 0,
    configType: 'LONG',
    title: 'Retry Timeout for Errors',
    description:
      'The maximum duration in milliseconds that a failed operation will be reattempted. The default is 0, which means no retries will be attempted. Use -1 for infinite retries.',
    importance: 'medium',
    group: ERRORS,
    order: 1,
    width: 'medium',
  }),
  'errors.retry.delay.max.ms': Type.Integer({
    minimum: 1,
    default: 60_000,
    configType: 'LONG',
    title: 'Maximum Delay Between Retries for Errors',
    description:
      'The maximum duration in milliseconds between consecutive retry attempts. Jitter will be added to the delay once this limit is reached to prevent thundering herd issues.',
    importance: 'medium',
    group: ERRORS,
    order: 2,
    width: 'medium',
  }),
  'errors.tolerance': Type.Union([Type.Literal('none'), Type.Literal('all')], {
    default: 'none',
    title: 'Error Tolerance',
    description:
      "Behavior for tolerating errors during connector operation. 'none' is the default value and signals that any error will result in an immediate connector task failure; 'all' changes the behavior to skip over problematic records.",
    importance: 'medium',
    group: ERRORS,
    order: 3,
    width: 'short',
  }),
  'errors.log.enable': Type.Boolean({
    default: false,
    title: 'Log Errors',
    description:
      "If true, write each error and the details of the failed operation and problematic record to the log. This is 'false' by default, so that only errors that are not tolerated are reported.",
    importance: 'medium',
    group: ERRORS,
    order: 4,
    width: 'short',
  }),
  'errors.log.include.messages': Type.Boolean({
    default: false,
    title: 'Log Error Details',
    description:
      "Whether to include in the log the record that resulted in a failure. This is 'false' by default, which will prevent record keys, values, and headers from being written to log files.",
    importance: 'medium',
    group: ERRORS,
    order: 5,
    width: 'short',
  }),
  'errors.deadletterqueue.topic.name': Type.String({
    default: '',
    title: 'DLQ Topic Name',
    description:
      "The topic for records that cannot be processed, of sinks and of sources; needs errors.tolerance 'all'. Empty, the default: they are skipped.",
    importance: 'medium',
    group: ERRORS,
    order: 6,
    width: 'medium',
  }),
  'errors.deadletterqueue.topic.replication.factor': Type.Integer({
    default: 3,
    title: 'DLQ Topic Replication Factor',
    description: 'Accepted for compatibility; has no effect: replication is a setting of the brokers.',
    importance: 'medium',
    group: ERRORS,
    order: 7,
    width: 'medium',
  }),
  'errors.deadletterqueue.context.headers.enable': Type.Boolean({
    default: false,
    title: 'Enable Error Context Headers',
    description: 'If true, headers that say where a record came from and why it failed are added to it in the dead-letter topic.',
    importance: 'medium',
    group: ERRORS,
    order: 8,
    width: 'medium',
  }),
};

export const ThroughputKeys = {
  'bytes.in.flight.max': Type.Integer({
    minimum: 64 * 1024,
    default: 8 * 1024 * 1024,
    configType: 'LONG',
    title: 'Bytes in flight max',
    description:
      'Bytes per task that may be polled and not yet acknowledged (sources), or fetched and not yet put (sinks). When they are reached the task waits.',
    importance: 'medium',
    group: THROUGHPUT,
    order: 1,
    width: 'medium',
  }),
};

function converterKeys<N extends 'key' | 'value' | 'header'>(name: N, byDefault: string, order: number, text: string) {
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)} converter`;
  const converter = Type.String({
    default: byDefault,
    minLength: 1,
    configType: 'CLASS',
    title: `${title} class`,
    description: `${text} Name or class of a converter; its own keys follow as ${name}.converter.*. Default: ${byDefault}.`,
    importance: 'low',
    group: COMMON,
    order,
    width: 'short',
  });
  const version = Type.Optional(
    Type.String({
      title: `${title} version`,
      description: `Version of the ${name} converter. Default: the newest.`,
      importance: 'low',
      group: COMMON,
      order: order + 1,
      width: 'short',
    }),
  );
  return { [`${name}.converter`]: converter, [`${name}.converter.plugin.version`]: version } as Record<`${N}.converter`, typeof converter> &
    Record<`${N}.converter.plugin.version`, typeof version>;
}
