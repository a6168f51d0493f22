import assert from 'node:assert/strict';
import { VirtualClock } from './virtual-clock.ts';

describe('the virtual clock', () => {
  it('runs timers by due time, then in the order they were made, each after all that the one before set off', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    clock.after(20, () => seen.push('late'));
    clock.after(10, async () => {
      seen.push('first');
      await null;
      setImmediate(() => setImmediate(() => seen.push('what the first set off')));
    });
    clock.after(10, () => seen.push('second'));
    await clock.advance(19);
    assert.deepEqual(seen, ['first', 'what the first set off', 'second']);
    await clock.advance(1);
    assert.equal(seen.at(-1), 'late');
    assert.equal(clock.pendingTimers, 0);
  });

  it('runs timers made on the way, and shows each its own time', async () => {
    const clock = new VirtualClock();
    const start = clock.monotonic();
    const wall = clock.now();
    const seen: number[] = [];
    const tick = (): void => {
      seen.push(clock.monotonic() - start);
      clock.after(10, tick);
    };
    clock.after(10, tick);
    await clock.advance(35);
    assert.deepEqual(seen, [10, 20, 30]);
    assert.equal(clock.monotonic() - start, 35);
    assert.equal(clock.now() - wall, 35);
  });

  it('cancels, waits for conditions and fails when they never come', async () => {
    const clock = new VirtualClock();
    let ran = false;
    clock.after(5, () => {
      ran = true;
    })();
    await clock.advance(10);
    assert.equal(ran, false);
    clock.after(50, () => {
      ran = true;
    });
    await clock.until(() => ran);
    await assert.rejects(
      clock.until(() => false, 100),
      /still not so/,
    );
  });

  it('lets time pass without its timers while suspended, and then runs them late', async () => {
    const clock = new VirtualClock();
    const start = clock.monotonic();
    const seen: number[] = [];
    clock.after(10, () => seen.push(clock.monotonic() - start));
    clock.suspend(100);
    await clock.settle();
    assert.deepEqual(seen, []);
    await clock.advance(0);
    assert.deepEqual(seen, [100]);
  });

  it('leaves monotonic time alone when the wall clock jumps', () => {
    const clock = new VirtualClock();
    const [monotonic, wall] = [clock.monotonic(), clock.now()];
    clock.jumpWallClock(-3_600_000);
    assert.equal(clock.monotonic(), monotonic);
    assert.equal(clock.now(), wall - 3_600_000);
  });
});
