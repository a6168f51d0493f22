import assert from 'node:assert/strict';
import { ConfigError, ConnectError, fromPlainError, toPlainError } from './errors.ts';

describe('toPlainError', () => {
  it('keeps what an error of the family tells, there and back', () => {
    const error = new ConfigError('no file', { field: 'file', remedy: 'name one', fields: [{ field: 'file', message: 'no file' }] });
    const back = fromPlainError(structuredClone(toPlainError(error)));
    assert.ok(back instanceof ConnectError);
    assert.deepEqual(toPlainError(back), toPlainError(error));
  });

  it('takes whatever plugin code throws', () => {
    const noText = {
      toString() {
        throw new Error('no');
      },
    };
    const thrown: [unknown, string][] = [
      [new TypeError('boom'), 'boom'],
      [new Error('fetch failed', { cause: new Error('connect refused') }), 'fetch failed: caused by connect refused'],
      ['a text', 'a text'],
      [undefined, 'undefined'],
      [noText, 'an object that has no text'],
      [Object.create(null), 'an object that has no text'],
    ];
    for (const [value, message] of thrown) {
      const plain = toPlainError(value);
      assert.deepEqual([plain.kind, plain.code, plain.message], ['fatal', 'UNEXPECTED', message]);
    }
  });
});
