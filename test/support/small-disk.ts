import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killRocketmq, startRocketmq } from './rocketmq.ts';

const SIZE = '1g';
const FREE_WHEN_FULL = 0.08;

/** Puts the broker on a file system in memory that can be filled. Needs the right to mount. */
export class SmallDisk {
  readonly #folder = mkdtempSync(join(tmpdir(), 'rmqc-disk-'));
  readonly #ballast = join(this.#folder, 'ballast');

  /** Undefined where mounting is not allowed. */
  static mount(): SmallDisk | undefined {
    const disk = new SmallDisk();
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', disk.#folder], { stdio: 'ignore' });
      return disk;
    } catch {
      rmdirSync(disk.#folder);
      return undefined;
    }
  }

  async useForBroker(): Promise<void> {
    await killRocketmq('broker');
    await startRocketmq(join(this.#folder, 'store'));
  }

  fill(): void {
    const { bsize, blocks, bfree } = statfsSync(this.#folder);
    const chunk = Buffer.alloc(1024 * 1024, 1);
    const file = openSync(this.#ballast, 'w');
    for (let left = bsize * (bfree - blocks * FREE_WHEN_FULL); left > 0; left -= chunk.length) writeSync(file, chunk);
    closeSync(file);
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  /** The broker has its old data again. */
  async unmount(): Promise<void> {
    await killRocketmq('broker');
    execFileSync('umount', [this.#folder]);
    rmdirSync(this.#folder);
    await startRocketmq();
  }
}
