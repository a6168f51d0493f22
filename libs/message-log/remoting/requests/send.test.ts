import assert from 'node:assert/strict';
import { BatchBuilder } from '../../message.ts';
import { sendDelayedRequest } from './send.ts';

describe('The request of a delayed message', () => {
  function request(delayMs: number, brokerVersion: number) {
    const builder = new BatchBuilder();
    builder.add(Buffer.from('body'), 'KEYS\x01k\x02');
    return sendDelayedRequest('group', 't', 'b', 3, { ...builder.take(), delayMs }, brokerVersion, 17);
  }

  it('carries the message by itself, with any delay, for RocketMQ 5', () => {
    const { code, fields, body } = request(1_234, 493);
    assert.deepEqual(
      [code, fields['i'], fields['m'], fields['e'], body?.toString()],
      [310, 'KEYS\x01k\x02TIMER_DELAY_MS\x011234\x02', false, 3, 'body'],
    );
  });

  it('has one of 18 levels for RocketMQ 4, the next longer one, up to 2 hours', () => {
    for (const [delayMs, level] of [
      [1, 1],
      [1_000, 1],
      [1_001, 2],
      [600_000, 14],
      [600_001, 15],
      [7_200_000, 18],
    ] as const) {
      assert.equal(request(delayMs, 401).fields['i'], `KEYS\x01k\x02DELAY\x01${level}\x02`);
    }
    assert.throws(() => request(7_200_001, 401), { kind: 'data', code: 'DELAY_TOO_LONG', field: 'rocketmq.delay.ms' });
  });
});
