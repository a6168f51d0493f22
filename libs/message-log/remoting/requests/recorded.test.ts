import assert from 'node:assert/strict';
import { recorded } from '../../../../test/support/remoting-recorded.ts';
import { type Frame, FrameDecoder } from '../frame.ts';
import { responseError } from '../response-code.ts';
import { parseOffset } from './offsets.ts';
import { parsePullResponse } from './pull.ts';
import { parseRoute } from './route.ts';
import { parseSendResponse } from './send-batch.ts';
import { parseCluster, parseTopicList } from './topics.ts';

describe('The answers of a real RocketMQ', () => {
  it('to a route', () => {
    assert.deepEqual(parseRoute(frame(recorded.route)), {
      brokers: [{ name: 'broker-a', master: '127.0.0.1:19886', slaves: [], readQueues: 2, writeQueues: 2, permission: 6 }],
    });
  });

  it('to the brokers of a cluster, whose JSON is none', () => {
    assert.deepEqual(parseCluster(frame(recorded.cluster)), {
      masters: new Map([['broker-a', '127.0.0.1:19886']]),
      clusters: ['DefaultCluster'],
    });
  });

  it('to the list of topics', () => {
    assert.ok(parseTopicList(frame(recorded.topics)).includes('recorded'));
  });

  it('to a batch', () => {
    assert.deepEqual(parseSendResponse(frame(recorded.send)), { offset: 0 });
  });

  it('to pulls', () => {
    const numbers = { nextOffset: 2, minOffset: 0, maxOffset: 2, suggestedBroker: 0 };
    for (const [bytes, code, bodyBytes] of [
      [recorded.pull, 0, 217],
      [recorded.pullAtEnd, 19, 0],
      [recorded.pullAboveMaximum, 21, 0],
    ] as const) {
      const answer = frame(bytes);
      const { body, ...rest } = parsePullResponse(answer);
      assert.deepEqual([answer.code, body.length, rest], [code, bodyBytes, numbers]);
    }
  });

  it('to the end of a queue', () => {
    assert.equal(parseOffset(frame(recorded.maxOffset)), 2);
    assert.throws(() => parseOffset(frame(recorded.route)), { kind: 'retriable', code: 'REMOTING_PROTOCOL' });
  });

  it('that are errors say what is wrong', () => {
    for (const [bytes, kind, code] of [
      [recorded.sendTooLarge, 'data', 'MESSAGE_TOO_LARGE'],
      [recorded.sendWithoutQueue, 'data', 'QUEUE_NOT_FOUND'],
      [recorded.pullWithoutTopic, 'data', 'TOPIC_NOT_FOUND'],
      [recorded.routeWithoutTopic, 'data', 'TOPIC_NOT_FOUND'],
    ] as const) {
      const error = responseError('a request', '127.0.0.1:1', frame(bytes));
      assert.deepEqual([error.kind, error.code, error.remedy === undefined], [kind, code, false]);
      assert.doesNotMatch(error.message, /\n|See https/);
    }
  });
});

function frame(bytes: Buffer): Frame {
  const frames: Frame[] = [];
  new FrameDecoder().push(bytes, (each) => frames.push(each));
  assert.equal(frames.length, 1);
  return frames[0] as Frame;
}
