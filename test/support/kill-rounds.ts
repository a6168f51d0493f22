import { between, seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import { type CopyResult, LineCopy, type LogUnderCopy } from './line-copy.ts';

export interface KillRounds {
  readonly rounds: number;
  readonly lines: number;
  readonly seed: number;
  readonly log: LogUnderCopy;
  /** What is killed: the standalone, or a server that is started again. */
  readonly victim?: Victim;
  /** What is started, by turns: see `LineCopyOptions`. */
  readonly bins?: readonly string[];
  readonly name?: string;
}

interface Victim {
  kill(): Promise<void>;
  start(): Promise<void>;
}

const ALIVE_MS_MAX = 1_500;
const START_MS_MAX = 1_500;

/**
 * Copies a file that grows to `lines` through a real standalone, while something is killed at random moments, `rounds` times; then lets it finish
 * and compares topics and files with the source.
 */
export async function killRounds({ rounds, lines, seed, log, victim, name = '', bins }: KillRounds): Promise<CopyResult> {
  const random = seededRandom(seed);
  const copy = new LineCopy({ log, random, name, ...(bins === undefined ? {} : { bins }) });
  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const growUntil = async (endMs: number, most: number): Promise<void> => {
    while (performance.now() < endMs) {
      if (copy.lines < most) copy.grow(Math.min(most, copy.lines + between(random, 1, Math.ceil(lines / rounds / 8))));
      await wait(random() * 20);
    }
  };
  try {
    copy.grow(Math.ceil(lines / rounds / 2));
    for (let round = 0; round < rounds; round++) {
      const most = Math.floor(((round + 1) * lines) / rounds);
      if (round === 0 || victim === undefined) await copy.start();
      await growUntil(performance.now() + random() * ALIVE_MS_MAX, most);
      // Half of the kills meet a burst on its way.
      if (random() < 0.5) {
        copy.grow(most);
        await wait(random() * 50);
      }
      if (victim === undefined) {
        await copy.kill();
        if (random() < 0.2) await copy.killWhileItStarts(random() * START_MS_MAX);
        continue;
      }
      await victim.kill();
      await growUntil(performance.now() + random() * ALIVE_MS_MAX, most);
      await victim.start();
      await copy.goesOn();
    }
    copy.grow(lines);
    return await copy.finish();
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    await copy.remove();
  }
}
