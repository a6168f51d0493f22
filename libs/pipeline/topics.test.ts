import assert from 'node:assert/strict';
import type { MessageLog, TopicSettings } from '@rocketmq-connect/message-log';
import { topicNotFound } from '@rocketmq-connect/message-log/checks';
import { ConfigError, RetriableError } from '@rocketmq-connect/sdk';
import { openTopic } from './topics.ts';

describe('openTopic', () => {
  const creation = {
    enable: true,
    groups: [{ name: 'fifo', include: ['o.*'], exclude: [], settings: { queues: 8, attributes: { 'message.type': 'FIFO' } } }],
    default: { queues: 4 },
  };

  const queues = [{ topic: 'orders', broker: 'a', queue: 0 }];

  /** A log without topics, that answers a creation as the test says. */
  function logThat(onCreate: (settings: TopicSettings) => void): MessageLog {
    const log: Pick<MessageLog, 'capabilities' | 'describeTopic' | 'createTopic'> = {
      capabilities: { assign: true, subscribe: false, createTopic: true, delay: false, processes: false, dottedTopics: true },
      describeTopic: async (topic) => {
        throw topicNotFound(topic);
      },
      createTopic: async (topic, settings) => {
        onCreate(settings);
        return { topic, queues };
      },
    };
    return log as MessageLog;
  }

  it('S074: creates a topic with the settings of its group', async () => {
    const created: TopicSettings[] = [];
    for (const topic of ['orders', 'lines'])
      await openTopic(
        logThat((settings) => created.push(settings)),
        topic,
        creation,
      );
    assert.deepEqual(created, [{ queues: 8, attributes: { 'message.type': 'FIFO' } }, { queues: 4 }]);
  });

  it('S106: names the key of a setting that the log does not take; other errors stay what they are', async () => {
    const refusing = logThat(() => {
      throw new ConfigError('no such attribute', { field: 'attributes', remedy: 'Leave it out.' });
    });
    const expected = { kind: 'config', field: 'topic.creation.fifo.attributes', remedy: 'Leave it out.' };
    await assert.rejects(openTopic(refusing, 'orders', creation), expected);
    const away = logThat(() => {
      throw new RetriableError('away', { code: 'BROKER_UNAVAILABLE' });
    });
    await assert.rejects(openTopic(away, 'orders', creation), { kind: 'retriable', code: 'BROKER_UNAVAILABLE' });
  });

  it('S074: does not create where that is switched off', async () => {
    const off = { ...creation, enable: false };
    await assert.rejects(
      openTopic(
        logThat(() => assert.fail()),
        'orders',
        off,
      ),
      { code: 'TOPIC_NOT_FOUND', field: 'topic.creation.enable' },
    );
  });

  it('gives the queues that are written to, and waits for one', async () => {
    const describing = (writable?: typeof queues): MessageLog => {
      const log: Pick<MessageLog, 'describeTopic'> = {
        describeTopic: async (topic) => ({ topic, queues, ...(writable === undefined ? {} : { writable }) }),
      };
      return log as MessageLog;
    };
    assert.deepEqual(await openTopic(describing(), 'orders', creation), queues);
    const others = [{ topic: 'orders', broker: 'b', queue: 0 }];
    assert.deepEqual(await openTopic(describing(others), 'orders', creation), others);
    await assert.rejects(openTopic(describing([]), 'orders', creation), { kind: 'retriable', code: 'TOPIC_READ_ONLY', field: 'topic' });
  });
});
