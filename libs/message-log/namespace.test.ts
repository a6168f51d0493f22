import assert from 'node:assert/strict';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { BatchBuilder } from './message.ts';
import { inNamespace } from './namespace.ts';
import { SimulatedLog } from './simulated.ts';

const { signal } = new AbortController();

describe('A log in a namespace', () => {
  const simulated = new SimulatedLog(new VirtualClock());
  const outside = simulated.connect();
  const inside = inNamespace(simulated.connect(), 'NS');

  function message() {
    const builder = new BatchBuilder();
    builder.add(Buffer.from('x'), '');
    return builder.take();
  }

  it('has topics that outside have its prefix, and sees no others', async () => {
    await outside.createTopic('orders', { queues: 1 });
    await outside.createTopic('OTHER%orders', { queues: 1 });
    const { topic, queues } = await inside.createTopic('orders', { queues: 2 });
    assert.deepEqual([topic, queues.map((queue) => queue.topic)], ['orders', ['orders', 'orders']]);
    assert.deepEqual(await inside.listTopics(), ['orders']);
    assert.deepEqual(await outside.listTopics(), ['NS%orders', 'OTHER%orders', 'orders']);
    await assert.rejects(inside.describeTopic('lines'), { code: 'TOPIC_NOT_FOUND', message: /NS%lines/ });
  });

  it('sends, reads, seeks and finds positions there', async () => {
    const [queue] = (await inside.describeTopic('orders')).queues;
    assert.ok(queue !== undefined);
    await inside.send(queue, message());
    await inside.send(queue, message());
    assert.deepEqual([await inside.minOffset(queue), await inside.maxOffset(queue), await inside.offsetAt(queue, 0)], [0, 2, 0]);
    assert.equal(await outside.maxOffset({ ...queue, topic: 'NS%orders' }), 2);
    const reader = await inside.assign('group', [{ queue, position: 1 }]);
    for (const position of [1, 0]) {
      reader.seek(queue, position);
      const [fetched] = await reader.read(1_000, 0, signal);
      assert.deepEqual([fetched?.queue, fetched?.offset], [queue, position]);
    }
    await reader.close();
    await inside.deleteTopic('orders');
    assert.deepEqual(await outside.listTopics(), ['OTHER%orders', 'orders']);
  });

  it('keeps what a broker puts before the names of groups in front', async () => {
    await inside.createTopic('%DLQ%group', { queues: 1 });
    assert.ok((await outside.listTopics()).includes('%DLQ%NS%group'));
    assert.deepEqual(await inside.listTopics(), ['%DLQ%group']);
  });

  it('is the log itself without a namespace, and refuses what is none', () => {
    assert.equal(inNamespace(outside, undefined), outside);
    assert.equal(inNamespace(outside, ''), outside);
    for (const bad of ['a%b', 'a b', 'x'.repeat(61)]) {
      assert.throws(() => inNamespace(outside, bad), { kind: 'config', field: 'rocketmq.namespace' }, bad);
    }
  });
});
