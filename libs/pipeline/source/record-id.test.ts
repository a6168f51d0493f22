import assert from 'node:assert/strict';
import type { JsonValue, SourceOffset } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { canonicalJson } from '../canonical-json.ts';
import { AckTracker } from './ack-tracker.ts';
import { authorOf, connectorTag, isOfSibling, RecordIds, withoutAuthor } from './record-id.ts';

const P = { file: 'a' };

/** Ids of records in one incarnation of a task. */
function idsOf(offsets: readonly SourceOffset[], partition: Record<string, string> = P, connector = 'c'): string[] {
  const ids = new RecordIds(connector, 'abcd0');
  const tracked = new AckTracker().partition(partition);
  return offsets.map((offset) => {
    ids.next(tracked, offset);
    const buffer = Buffer.alloc(ids.bytesMax);
    assert.equal(buffer.toString('latin1', 0, ids.write(buffer, 0)), `${ids.text}!abcd0`);
    return ids.text;
  });
}

const value = fc.oneof(
  fc.integer({ min: 0, max: 5 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom<JsonValue>('x', 'y', '#', '', null, true, { nested: [1] }, { nested: [2] }),
);
const offset: fc.Arbitrary<SourceOffset> = fc.dictionary(fc.constantFrom('a', 'b', 'position'), value, { minKeys: 1 });

describe('record ids', () => {
  it('two records have one id only if their offsets have equal content and they are the same in their group', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(offset, fc.integer({ min: 1, max: 3 })), { maxLength: 12 }), (groups) => {
        const distinct = groups.filter(([one], i) => groups.findIndex(([other]) => canonicalJson(other) === canonicalJson(one)) === i);
        const ids = idsOf(distinct.flatMap(([one, count]) => Array.from({ length: count }, () => structuredClone(one))));
        assert.equal(new Set(ids).size, ids.length, ids.join(' '));
      }),
    );
  });

  it('the same record has the same id wherever a task begins, and in whatever order an offset has its keys', () => {
    fc.assert(
      fc.property(fc.uniqueArray(offset, { selector: canonicalJson, minLength: 1, maxLength: 12 }), fc.nat(), (offsets, at) => {
        const from = at % offsets.length;
        const reversed = offsets.slice(from).map((one) => Object.fromEntries(Object.entries(one).reverse()));
        assert.deepEqual(idsOf(reversed), idsOf(offsets).slice(from));
      }),
    );
  });

  it('counts the records of an offset, the first of a group having the plain id', () => {
    const [first, second, other, again] = idsOf([{ p: 1 }, { p: 1 }, { p: 2 }, { p: 2 }]) as [string, string, string, string];
    assert.deepEqual([second, again], [`${first}~1`, `${other}~1`]);
    assert.equal(idsOf([{ p: 2 }])[0], other);
  });

  it('tells partitions and connectors apart; all of a connector begin with its tag', () => {
    const ids = [idsOf([{ p: 1 }]), idsOf([{ p: 1 }], { file: 'b' }), idsOf([{ p: 1 }], P, 'd')].flat();
    assert.equal(new Set(ids).size, 3);
    assert.ok(ids[0]?.startsWith(connectorTag('c')) && ids[2]?.startsWith(connectorTag('d')));
  });

  it('in a message tells who sent it, so that siblings can be left out', () => {
    const [own, sibling, older] = [authorOf('2', 0), authorOf('2', 36), authorOf('1', 36)];
    assert.deepEqual([own.length, sibling.length], [5, 6]);
    assert.deepEqual(
      [`x!${own}`, `x!${sibling}`, `x!${older}`, 'x'].map((text) => isOfSibling(text, own)),
      [false, true, false, false],
    );
    assert.deepEqual([withoutAuthor(`x.1~2/3!${own}`), withoutAuthor('x.1')], ['x.1~2/3', 'x.1']);
  });

  it('is short, and needs no escaping', () => {
    const [id = ''] = idsOf([{ position: 123_456_789, file: '1234567-89abcdef' }]);
    assert.match(id, /^[0-9a-z]{20}\.123456789$/);
  });
});
