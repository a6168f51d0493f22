import assert from 'node:assert/strict';
import { causeOf, type Events } from './doubles.ts';

describe('what explains a doubled line', () => {
  const NOON = Date.parse('2026-01-01T12:00:00Z');
  const secondsLater = (seconds: number): number => NOON + seconds * 1_000;
  const lost = (unit: string, atMs: number): Events => ({
    lost: [{ unit, connector: 'in', generation: '1', runner: 't1', token: 1n, atMs }],
    brokerAwayAtMs: [],
  });
  const inTopic = { file: 1, copies: 2, storedAtMs: [NOON, secondsLater(5)] };
  const onceInTopic = { file: 1, copies: 2, storedAtMs: [NOON] };

  it('is a lost session of its source task between its copies', () => {
    assert.equal(causeOf(inTopic, lost('tasks/in/1', secondsLater(4))), 'a lost session of the source task');
    assert.equal(causeOf(inTopic, lost('tasks/in/1', secondsLater(120))), undefined, 'later');
    assert.equal(causeOf(inTopic, lost('tasks/in/1', secondsLater(-120))), undefined, 'long before');
    assert.equal(causeOf(inTopic, lost('tasks/in/0', secondsLater(4))), undefined, 'another task');
    assert.equal(causeOf(inTopic, lost('tasks/out/1', secondsLater(4))), undefined, 'a task of the sink');
  });

  it('is a broker that was away while it was sent', () => {
    assert.equal(causeOf(inTopic, { lost: [], brokerAwayAtMs: [secondsLater(1)] }), 'a send of unknown outcome');
    assert.equal(causeOf(inTopic, { lost: [], brokerAwayAtMs: [secondsLater(60)] }), undefined);
  });

  it('is a lost session of a sink task where the topic has it once', () => {
    assert.equal(causeOf(onceInTopic, lost('tasks/out/0', secondsLater(3))), 'a lost session of a sink task');
    assert.equal(causeOf(onceInTopic, lost('tasks/out/0', secondsLater(-3))), undefined, 'before it was there');
    assert.equal(causeOf(onceInTopic, lost('tasks/in/1', secondsLater(3))), undefined, 'a task of the source');
    assert.equal(causeOf(onceInTopic, { lost: [], brokerAwayAtMs: [secondsLater(1)] }), undefined);
  });
});
