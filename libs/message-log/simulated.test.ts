import assert from 'node:assert/strict';
import type { Clock } from '@rocketmq-connect/sdk';
import type { MessageLog, QueueAddress } from './index.ts';
import { BatchBuilder } from './message.ts';
import { SimulatedLog } from './simulated.ts';

const queue: QueueAddress = { topic: 'lines', broker: 'simulated', queue: 0 };

describe('SimulatedLog', () => {
  const timers: { readonly ms: number; readonly callback: () => void }[] = [];
  const clock: Clock = {
    now: () => 1_000,
    monotonic: () => 1_000,
    after: (ms, callback) => {
      const timer = { ms, callback };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    },
  };
  let log: SimulatedLog;
  let client: MessageLog;
  beforeEach(async () => {
    timers.length = 0;
    log = new SimulatedLog(clock);
    client = log.connect('runner-1');
    await client.createTopic('lines', { queues: 1 });
  });

  it('plays a send whose answer is lost, stored or not', async () => {
    log.faults = ({ operation }) => (operation === 'send' ? { fails: 'lost' } : undefined);
    await assert.rejects(client.send(queue, batchOf('a')), { kind: 'retriable', code: 'SEND_OUTCOME_UNKNOWN' });
    assert.equal(log.stored(queue).length, 0);
    log.faults = () => ({ fails: 'stored' });
    await assert.rejects(client.send(queue, batchOf('a')), { kind: 'retriable', code: 'SEND_OUTCOME_UNKNOWN' });
    assert.equal(log.stored(queue).length, 1);
  });

  it('plays an unreachable log and a full disk for one client, and stores nothing', async () => {
    for (const [fails, code] of [
      ['unavailable', 'LOG_UNAVAILABLE'],
      ['diskFull', 'DISK_FULL'],
    ] as const) {
      log.faults = ({ client: name }) => (name === 'runner-1' ? { fails } : undefined);
      await assert.rejects(client.send(queue, batchOf('a')), { kind: 'retriable', code });
      await assert.rejects(client.flush(), { code });
    }
    assert.equal(log.stored(queue).length, 0);
    assert.deepEqual(await log.connect('runner-2').send(queue, batchOf('a')), { offset: 0 });
  });

  it('returns what some queues gave when another cannot be read', async () => {
    await client.createTopic('lines', { queues: 2 });
    const both = [queue, { ...queue, queue: 1 }];
    for (const one of both) await client.send(one, batchOf('a'));
    const reader = await client.assign(
      'g',
      both.map((one) => ({ queue: one, position: 0 })),
    );
    const read = () => reader.read(1_000_000, 0, new AbortController().signal);
    log.faults = ({ queue: of }) => (of?.queue === 1 ? { fails: 'unavailable' } : undefined);
    assert.deepEqual(
      (await read()).map((fetched) => fetched.queue.queue),
      [0],
    );
    await assert.rejects(read(), { code: 'LOG_UNAVAILABLE' });
    log.faults = () => undefined;
    assert.deepEqual(
      (await read()).map((fetched) => fetched.queue.queue),
      [1],
    );
  });

  it('delays by the clock', async () => {
    log.faults = () => ({ delayMs: 70 });
    const sending = client.send(queue, batchOf('a'));
    await Promise.resolve();
    assert.equal(log.stored(queue).length, 0);
    assert.equal(timers[0]?.ms, 70);
    timers[0]?.callback();
    assert.deepEqual(await sending, { offset: 0 });
  });

  it('forgets in a power failure what no flush has covered, and readers are told', async () => {
    await client.send(queue, batchOf('safe'));
    await client.flush();
    await client.send(queue, batchOf('lost'));
    const reader = await client.assign('test', [{ queue, position: 2 }]);
    log.powerFailure();
    assert.equal(await client.maxOffset(queue), 1);
    await assert.rejects(reader.read(100, 0, new AbortController().signal), { code: 'POSITION_ABOVE_MAXIMUM', resumeAt: 1 });
  });

  it('counts what was read as flushed by the reader', async () => {
    await client.send(queue, batchOf('a'));
    const sink = log.connect('sink');
    const reader = await sink.assign('test', [{ queue, position: 0 }]);
    await reader.read(100, 0, new AbortController().signal);
    await sink.flush();
    log.powerFailure();
    assert.equal(await client.maxOffset(queue), 1);
  });

  it('removes by retention whole batches below a position', async () => {
    await client.send(queue, batchOf('a', 'b'));
    await client.send(queue, batchOf('c', 'd'));
    log.removeBelow(queue, 3);
    assert.equal(await client.minOffset(queue), 2);
    const reader = await client.assign('test', [{ queue, position: 0 }]);
    await assert.rejects(reader.read(100, 0, new AbortController().signal), { code: 'POSITION_BELOW_MINIMUM', resumeAt: 2 });
  });
});

function batchOf(...bodies: string[]) {
  const builder = new BatchBuilder(64);
  for (const body of bodies) builder.add(Buffer.from(body), '');
  return builder.take();
}
