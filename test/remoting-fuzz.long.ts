import assert from 'node:assert/strict';
import { recordRow } from './support/measurements.ts';
import { fuzzRemoting } from './support/remoting-fuzz.ts';

describe('The decoders of the remoting adapter, at length', function () {
  this.timeout(600_000);
  it('read or refuse 1,000,000 random and mutated frames and messages, in bounded memory', async () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 32);
    let most = 0;
    const before = process.memoryUsage().rss;
    for (let part = 0; part < 1_000; part++) {
      fuzzRemoting(1_000, seed + part);
      most = Math.max(most, process.memoryUsage().rss - before);
      // zlib frees what it has in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(most < 400 * 1024 * 1024, `seed ${seed}: ${Math.round(most / 1e6)} MB more`);
    recordRow('remoting-fuzz.md', seed, '1,000,000', `${Math.round(most / 1e6)} MB`);
  });
});
