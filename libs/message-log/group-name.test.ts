import assert from 'node:assert/strict';
import fc from 'fast-check';
import { groupName } from './group-name.ts';

describe('The name of a group', () => {
  it('has the characters that brokers take, and is as readable as can be', () => {
    assert.equal(groupName('connect-größe.x 1'), 'connect-gr%c3%b6%c3%9fe%2ex%201');
    assert.equal(groupName('connect-orders_2'), 'connect-orders_2');
  });

  it('is another one for another connector, however alike and long', () => {
    const name = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.stringMatching(/^[a.%_\t]{0,6}$/));
    fc.assert(
      fc.property(name, name, (one, other) => {
        assert.match(groupName(one), /^[A-Za-z0-9_%|-]{0,100}$/);
        if (one.isWellFormed() && other.isWellFormed()) assert.equal(groupName(one) === groupName(other), one === other);
      }),
    );
    const long = 'x'.repeat(200);
    assert.notEqual(groupName(`${long}a`), groupName(`${long}b`));
  });
});
