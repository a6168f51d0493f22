import { setTimeout as sleep } from 'node:timers/promises';

/** Waits on the wall clock until the condition holds; fails after `withinMs`, naming it. For tests with real servers. */
export async function until(condition: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const giveUpMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > giveUpMs) throw new Error(`not within ${withinMs} ms: ${condition}`);
    await sleep(10);
  }
}
