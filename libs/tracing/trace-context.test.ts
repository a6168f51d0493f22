import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatTraceparent, newSpanId, newTraceId, parseTraceparent, TRACEPARENT_BYTES } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traceparent', () => {
  it('is read as it is written', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), fc.boolean(), (numbers, sampled) => {
        const random = (): number => numbers.next().value ?? 0.5;
        const context = { traceId: newTraceId(random), spanId: newSpanId(random), sampled, state: '' };
        fc.pre(!/^0+$/.test(context.traceId));
        const text = formatTraceparent(context);
        assert.equal(text.length, TRACEPARENT_BYTES);
        assert.deepEqual(parseTraceparent(text), context);
      }),
    );
  });

  it('is read in a later version, with what that adds, and with flags that nobody knows yet', () => {
    assert.deepEqual(parseTraceparent(`01-${TRACE}-${SPAN}-ff-more`), { traceId: TRACE, spanId: SPAN, sampled: true, state: '' });
    assert.equal(parseTraceparent(`00-${TRACE}-${SPAN}-02`)?.sampled, false);
  });

  for (const wrong of [
    '',
    'null',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01\n`,
  ]) {
    it(`is none where it is ${JSON.stringify(wrong)}`, () => assert.equal(parseTraceparent(wrong), undefined));
  }

  it('carries a tracestate on as it came, unless it is no header or too long', () => {
    const state = (text: string) => parseTraceparent(`00-${TRACE}-${SPAN}-01`, text)?.state;
    assert.equal(state('vendor=a,other=b'), 'vendor=a,other=b');
    assert.equal(state('a=\u0001'), '');
    assert.equal(state(`a=${'x'.repeat(511)}`), '');
  });
});
