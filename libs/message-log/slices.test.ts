import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { FetchedMessages } from './index.ts';
import { BatchBuilder, decodeMessages } from './message.ts';
import { inParts } from './slices.ts';

describe('Messages in parts', () => {
  it('are the same messages at the same positions, at most so many at a time', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 5 }), fc.integer({ min: 1, max: 10 }), (sizes, most) => {
        const all = sizes.map((count, queue) => fetched(queue, count));
        const parts = [...inParts(all, most)];
        assert.ok(parts.every(({ count }) => count >= 1 && count <= most));
        assert.deepEqual(parts.flatMap(described), all.flatMap(described));
      }),
    );
  });
});

function fetched(queue: number, count: number): FetchedMessages {
  const builder = new BatchBuilder();
  for (let i = 0; i < count; i++) builder.add(Buffer.from(`${queue}/${i}`), '');
  return { queue: { topic: 't', broker: 'b', queue }, offset: 100, ...builder.take(), layout: 'batch', storedAtMs: 1 };
}

function described({ queue, offset, count, bytes }: FetchedMessages): unknown[] {
  const messages: unknown[] = [];
  decodeMessages(bytes, (body, _properties, index) => messages.push([queue.queue, offset + index, body.toString()]));
  assert.equal(messages.length, count);
  return messages;
}
