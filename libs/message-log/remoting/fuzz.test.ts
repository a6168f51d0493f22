import assert from 'node:assert/strict';
import { fuzzRemoting } from '../../../test/support/remoting-fuzz.ts';

describe('The decoders of the remoting adapter', () => {
  it('read or refuse 20,000 random and mutated frames and messages', () => {
    const { decoded, refused } = fuzzRemoting(20_000, 20_261_124);
    assert.ok(decoded > 2_000 && refused > 2_000, `${decoded} decoded, ${refused} refused`);
  });
});
