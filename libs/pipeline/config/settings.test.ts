import assert from 'node:assert/strict';
import { ConfigError } from '@rocketmq-connect/sdk';
import { pipelineSettings } from './settings.ts';
import { topicGroupOf } from './topic-creation.ts';

describe('pipelineSettings', () => {
  it('has defaults for all that is not configured', () => {
    assert.deepEqual(pipelineSettings({}), {
      maxTasks: 1,
      errors: {
        tolerance: 'none',
        retryTimeoutMs: 0,
        retryDelayMaxMs: 60_000,
        logRetryDelayMaxMs: 2_000,
        logEnable: false,
        logIncludeMessages: false,
        deadLetterTopic: '',
        deadLetterHeaders: false,
      },
      batch: { maxBytes: 524_288, maxCount: 4096, lingerMs: 0 },
      bytesInFlightMax: 8_388_608,
      sendOrdering: 'partition',
      sendDurability: 'stored',
      exactlyOnce: 'auto',
      fixedProperties: { tags: '', groupByKey: false },
      delayMs: 0,
      tagExpression: '*',
      topicCreation: { enable: true, groups: [], default: { queues: 4 } },
      autoOffsetReset: 'earliest',
      positionOutOfRange: 'fail',
      topics: [],
      topicsRegex: '',
      traceRecords: false,
      topicDiscoveryIntervalMs: 1000,
      putMaxRecords: 500,
    });
  });

  it('reads what is configured, and leaves the plugin its own keys', () => {
    const settings = pipelineSettings({
      file: 'x',
      'tasks.max': '3',
      topics: 'a, b, a',
      'errors.tolerance': 'all',
      'errors.retry.timeout': '-1',
      'errors.deadletterqueue.topic.name': 'dead',
      'errors.deadletterqueue.context.headers.enable': 'true',
      'batch.linger.ms': '5',
      'send.ordering': 'none',
      'consumer.auto.offset.reset': 'latest',
    });
    assert.equal(settings.maxTasks, 3);
    assert.deepEqual(settings.topics, ['a', 'b']);
    assert.equal(settings.errors.tolerance, 'all');
    assert.equal(settings.errors.retryTimeoutMs, -1);
    assert.equal(settings.errors.deadLetterTopic, 'dead');
    assert.equal(settings.errors.deadLetterHeaders, true);
    assert.equal(settings.batch.lingerMs, 5);
    assert.equal(settings.sendOrdering, 'none');
    assert.equal(settings.autoOffsetReset, 'latest');
  });

  it('S074: reads groups of topics to create', () => {
    const { topicCreation } = pipelineSettings({
      'topic.creation.groups': 'ordered, many',
      'topic.creation.default.partitions': '6',
      'topic.creation.default.replication.factor': '3',
      'topic.creation.ordered.include': 'orders, order-.*',
      'topic.creation.ordered.exclude': 'order-old',
      'topic.creation.ordered.message.type': 'FIFO',
      'topic.creation.ordered.attributes': '+reserve.time=100, cleanup.policy=DELETE',
      'topic.creation.many.include': 'm.*',
      'topic.creation.many.queues': '16',
    });
    const attributes = { 'message.type': 'FIFO', 'reserve.time': '100', 'cleanup.policy': 'DELETE' };
    assert.deepEqual(topicCreation.groups, [
      { name: 'ordered', include: ['orders', 'order-.*'], exclude: ['order-old'], settings: { queues: 6, attributes } },
      { name: 'many', include: ['m.*'], exclude: [], settings: { queues: 16 } },
    ]);
    assert.deepEqual(topicCreation.default, { queues: 6 });
    const groupOf = (topic: string) => topicGroupOf(topicCreation, topic)?.name;
    assert.deepEqual(['orders', 'order-1', 'order-old', 'my-orders'].map(groupOf), ['ordered', 'ordered', 'default', 'many']);
    assert.throws(
      () => pipelineSettings({ 'topic.creation.groups': 'a', 'topic.creation.a.queues': '0' }),
      (error: unknown) => {
        assert(error instanceof ConfigError);
        assert.deepEqual(
          error.fields.map(({ field }) => field),
          ['topic.creation.a.include', 'topic.creation.a.queues'],
        );
        return true;
      },
    );
  });

  it('names every wrong key', () => {
    assert.throws(
      () => pipelineSettings({ 'tasks.max': '0', 'errors.tolerance': 'some', 'batch.max.bytes': '5000000' }),
      (error: unknown) => {
        assert(error instanceof ConfigError);
        assert.deepEqual(error.fields, [
          { field: 'tasks.max', message: 'Invalid value 0 for configuration tasks.max: Value must be at least 1' },
          { field: 'errors.tolerance', message: 'Invalid value some for configuration errors.tolerance: String must be one of: none, all' },
          {
            field: 'batch.max.bytes',
            message: 'Invalid value 5000000 for configuration batch.max.bytes: Value must be no more than 4194304',
          },
        ]);
        return true;
      },
    );
  });
});
