import { Type } from '@rocketmq-connect/sdk';

const COMMON = 'Common';

/** Keys of sink connectors. Orders are Kafka Connect's wherever it has the key. */
export const SinkKeys = {
  topics: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    title: 'Topics',
    description: 'List of topics to consume, separated by commas. Only one of topics or topics.regex should be specified.',
    importance: 'high',
    group: COMMON,
    order: 4,
    width: 'long',
  }),
  'topics.regex': Type.String({
    default: '',
    format: 'regex',
    title: 'Topics regex',
    description:
      'Regular expression that the whole name of a topic to consume matches, in RE2 syntax: linear time, so neither look-around nor back-references. Only one of topics or topics.regex should be specified.',
    importance: 'high',
    group: COMMON,
    order: 4,
    width: 'long',
  }),
  'topic.discovery.interval.ms': Type.Integer({
    minimum: 100,
    default: 1000,
    configType: 'LONG',
    title: 'Topic discovery interval',
    description: 'Milliseconds between two looks for new topics that match topics.regex, and for changed numbers of queues.',
    importance: 'low',
    group: COMMON,
    order: 15,
    width: 'medium',
  }),
  'consumer.auto.offset.reset': Type.String({
    default: 'earliest',
    title: 'Where to begin',
    description:
      "Where a queue without a committed position is read from: 'earliest', its beginning; 'latest', what came after the connector was created or its offsets were reset; or what came since a time, such as 2026-01-31T08:00:00Z.",
    importance: 'medium',
    group: COMMON,
    order: 16,
    width: 'short',
  }),
  'position.out.of.range': Type.Union([Type.Literal('fail'), Type.Literal('skip')], {
    default: 'fail',
    title: 'Position out of range',
    description:
      "What to do when the log no longer holds a committed position (retention, a topic made anew): 'fail' the task, or 'skip' to what the log still holds, which is all of a topic made anew, and count what was missed.",
    importance: 'medium',
    group: COMMON,
    order: 17,
    width: 'short',
  }),
  'put.max.records': Type.Integer({
    minimum: 1,
    maximum: 100_000,
    default: 500,
    title: 'Records per put max',
    description: 'Records that the sink gets at once, at most.',
    importance: 'low',
    group: 'Throughput',
    order: 2,
    width: 'short',
  }),
};
