import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

describe('a process that is asked to end', () => {
  it('lives until it has stopped, though it waits for timers only', () => {
    const modules = ['./signals.ts', '../../libs/configuration/system-clock.ts'].map((path) => new URL(path, import.meta.url).href);
    const code = `
      const [{ listenForEnd }, { systemClock }] = await Promise.all(${JSON.stringify(modules)}.map((module) => import(module)));
      const end = listenForEnd();
      process.kill(process.pid, 'SIGTERM');
      await end.asked;
      await new Promise((resolve) => systemClock.after(50, resolve));
      console.log('stopped');
      end.dispose();`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [0, 'stopped\n'], stderr);
  });
});
