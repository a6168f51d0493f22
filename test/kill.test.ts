import { killRounds } from './support/kill-rounds.ts';
import { embeddedUnderCopy } from './support/logs-under-copy.ts';

describe('kill -9 at random moments', function () {
  this.timeout(120_000);

  it('S122: loses and doubles nothing: sink files and topics equal the source', async () => {
    await killRounds({ rounds: 4, lines: 20_000, seed: 7, log: embeddedUnderCopy });
  });
});
