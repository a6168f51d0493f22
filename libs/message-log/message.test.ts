import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BatchBuilder, decodeMessages, encodeProperty, property, visitMessages } from './message.ts';

describe('The batch layout', () => {
  const message = fc.record({ body: fc.uint8Array({ maxLength: 300 }), properties: fc.string({ unit: 'binary', maxLength: 60 }) });

  it('gives back every body and property text, whatever they hold, from a builder that is used again', () => {
    const builder = new BatchBuilder(16);
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 40 }), (messages) => {
        for (const { body, properties } of messages) builder.add(Buffer.from(body), properties);
        const { bytes, count } = builder.take();
        assert.equal(count, messages.length);
        assert.deepEqual([builder.bytes, builder.count], [0, 0]);
        const seen: unknown[] = [];
        // What was handed out stays as it is while the builder goes on.
        builder.add(Buffer.alloc(500, 0xee), 'next');
        builder.take();
        decodeMessages(bytes, (body, properties, index) => {
          assert.equal(index, seen.length);
          seen.push({ body: new Uint8Array(body), properties });
        });
        assert.deepEqual(
          seen,
          messages.map(({ body, properties }) => ({ body, properties })),
        );
      }),
    );
  });

  it('is that of RocketMQ, byte for byte', () => {
    const builder = new BatchBuilder();
    builder.add(Buffer.from('hi'), encodeProperty('KEYS', 'k'));
    assert.equal(
      builder.take().bytes.toString('hex'),
      ['0000001f', '00000000', '00000000', '00000000', '00000002', '6869', '0007', '4b455953016b02'].join(''),
    );
  });

  it('refuses bytes that do not add up, wherever they were changed, instead of reading past them', () => {
    const builder = new BatchBuilder();
    for (let index = 0; index < 3; index++) builder.add(Buffer.from(`body ${index}`), 'a\x01b\x02');
    const { bytes } = builder.take();
    for (let length = 1; length < bytes.length; length++) {
      if (length % (bytes.length / 3) === 0) continue;
      assert.throws(() => decodeMessages(bytes.subarray(0, length), () => {}), RangeError);
    }
    for (const [at, value] of [
      [0, -1],
      [0, 0],
      [0, 1_000_000],
      [16, -5],
      [16, 2_000_000_000],
      [16, 3],
    ] as const) {
      const wrong = Buffer.from(bytes);
      wrong.writeInt32BE(value, at);
      assert.throws(() => visitMessages(wrong, () => {}), RangeError, `${value} at ${at}`);
    }
  });

  it('refuses properties that its length field cannot hold, and keeps what was added before', () => {
    const builder = new BatchBuilder();
    builder.add(Buffer.from('a'), 'x'.repeat(32_767));
    assert.throws(() => builder.add(Buffer.from('b'), 'x'.repeat(32_768)), RangeError);
    assert.throws(() => builder.add(Buffer.from('b'), 'ü'.repeat(16_384)), RangeError);
    const bodies: string[] = [];
    decodeMessages(builder.take().bytes, (body) => bodies.push(body.toString()));
    assert.deepEqual(bodies, ['a']);
  });

  it('finds a property by its whole name', () => {
    const text = encodeProperty('XKEYS', '1') + encodeProperty('KEYS', '2') + encodeProperty('KEYS2', '3');
    assert.deepEqual([property(text, 'KEYS'), property(text, 'KEYS2'), property(text, 'EYS')], ['2', '3', undefined]);
    assert.equal(property('', 'KEYS'), undefined);
  });
});
