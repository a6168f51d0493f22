import { type Static, Type } from '@rocketmq-connect/sdk';
import type { FixedProperties } from '../property-writer.ts';
import { BEGINNINGS, type Beginning, beginningOf } from './beginning.ts';
import { configError, convertConfig, invalid } from './convert.ts';
import { PipelineKeys } from './keys.ts';
import { type TopicCreation, topicCreation } from './topic-creation.ts';

/** What the pipeline itself takes from a connector's configuration; the rest is the plugin's. */
export interface PipelineSettings {
  readonly maxTasks: number;
  readonly errors: {
    /** `none`: the task fails at the first bad record. */
    readonly tolerance: 'none' | 'all';
    /** How long an operation that failed with `RetriableError` is tried again; -1 for ever. */
    readonly retryTimeoutMs: number;
    readonly retryDelayMaxMs: number;
    /** Where it is the message log that is away: data flows again soon after it is back, however long it was gone. */
    readonly logRetryDelayMaxMs: number;
    readonly logEnable: boolean;
    readonly logIncludeMessages: boolean;
    /** '' for none. */
    readonly deadLetterTopic: string;
    readonly deadLetterHeaders: boolean;
  };
  readonly batch: { readonly maxBytes: number; readonly maxCount: number; readonly lingerMs: number };
  /** Polled but not acknowledged, or fetched but not put: back-pressure begins here. */
  readonly bytesInFlightMax: number;
  /** `partition`: keyless records of one source partition keep their order in one queue. `none`: they are spread. */
  readonly sendOrdering: 'partition' | 'none';
  /** Whether "stored, not yet as safe as the log is set up to" counts as sent. */
  readonly sendDurability: 'stored' | 'strict';
  readonly exactlyOnce: 'auto' | 'off';
  /** What every message gets, where its record says nothing else. */
  readonly fixedProperties: FixedProperties;
  /** After which a message gets into its queue, where its record says nothing else. */
  readonly delayMs: number;
  /** Which messages a sink takes. */
  readonly tagExpression: string;
  readonly topicCreation: TopicCreation;
  readonly autoOffsetReset: Beginning;
  readonly positionOutOfRange: 'fail' | 'skip';
  readonly topics: readonly string[];
  readonly topicsRegex: string;
  readonly topicDiscoveryIntervalMs: number;
  readonly putMaxRecords: number;
  /** A span per record of a sampled batch. */
  readonly traceRecords: boolean;
}

const AllKeys = Type.Object({ ...PipelineKeys.source.properties, ...PipelineKeys.sink.properties });

/**
 * The pipeline's own settings out of a connector's configuration, whose references are resolved; defaults applied. Keys of the
 * other kind have their defaults. Throws `ConfigError` that names every wrong key.
 */
export function pipelineSettings(config: Readonly<Record<string, string>>): PipelineSettings {
  // Name and class are the business of whoever starts the connector.
  const values: Static<typeof AllKeys> = convertConfig(AllKeys, { name: '-', 'connector.class': '-', ...config });
  return {
    maxTasks: values['tasks.max'],
    errors: {
      tolerance: values['errors.tolerance'],
      retryTimeoutMs: values['errors.retry.timeout'],
      retryDelayMaxMs: values['errors.retry.delay.max.ms'],
      logRetryDelayMaxMs: Math.min(LOG_RETRY_DELAY_MAX_MS, values['errors.retry.delay.max.ms']),
      logEnable: values['errors.log.enable'],
      logIncludeMessages: values['errors.log.include.messages'],
      deadLetterTopic: values['errors.deadletterqueue.topic.name'],
      deadLetterHeaders: values['errors.deadletterqueue.context.headers.enable'],
    },
    batch: { maxBytes: values['batch.max.bytes'], maxCount: values['batch.max.count'], lingerMs: values['batch.linger.ms'] },
    bytesInFlightMax: values['bytes.in.flight.max'],
    sendOrdering: values['send.ordering'],
    sendDurability: values['send.durability'],
    exactlyOnce: values['exactly.once'],
    fixedProperties: { tags: values['rocketmq.tags'].trim(), groupByKey: values['rocketmq.message.group'] === 'key' },
    delayMs: values['rocketmq.delay.ms'],
    tagExpression: values['rocketmq.tag.expression'],
    topicCreation: topicCreation(config, values),
    autoOffsetReset: beginning(values['consumer.auto.offset.reset']),
    positionOutOfRange: values['position.out.of.range'],
    topics: [...new Set(values.topics)],
    topicsRegex: values['topics.regex'],
    topicDiscoveryIntervalMs: values['topic.discovery.interval.ms'],
    putMaxRecords: values['put.max.records'],
    traceRecords: values['trace.records'],
  };
}

function beginning(text: string): Beginning {
  const found = beginningOf(text.trim());
  if (found !== null) return found;
  const field = 'consumer.auto.offset.reset';
  throw configError([{ field, message: invalid(field, text, BEGINNINGS) }]);
}

const LOG_RETRY_DELAY_MAX_MS = 2_000;
