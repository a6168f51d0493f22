import { killRounds } from './support/kill-rounds.ts';

describe('kill -9 at random moments', function () {
  this.timeout(120_000);

  it('S122: loses and doubles nothing: sink file and topic equal the source, byte for byte', async () => {
    await killRounds({ rounds: 4, lines: 20_000, seed: 7 });
  });
});
