import assert from 'node:assert/strict';
import { fuzzRemoting } from './support/remoting-fuzz.ts';

describe('The decoders of the remoting adapter, at length', function () {
  this.timeout(600_000);
  it('read or refuse 1,000,000 random and mutated frames and messages, in bounded memory', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 32);
    const before = process.memoryUsage().rss;
    fuzzRemoting(1_000_000, seed);
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 400 * 1024 * 1024, `seed ${seed}: ${Math.round(grown / 1e6)} MB more`);
  });
});
