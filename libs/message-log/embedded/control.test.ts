import assert from 'node:assert/strict';
import { ControlMemory, type Tail } from './control.ts';

const before: Tail = { nextOffset: 10, segment: 0, bytes: 1_000, storedAtMs: 5 };
const after: Tail = { nextOffset: 12, segment: 10, bytes: 90, storedAtMs: 6 };

describe('ControlMemory', () => {
  it('holds the old tail or the new one, whole, wherever a thread dies while it publishes', () => {
    const store = Atomics.store;
    let published = false;
    for (let diesAt = 0; !published; diesAt++) {
      const control = new ControlMemory();
      control.occupy(3, 1, { ...before, nextOffset: 0 }, 0, 0);
      control.publish(3, before);
      let stores = 0;
      Atomics.store = ((...args: Parameters<typeof store>) => {
        if (stores++ === diesAt) throw new Error('dies here');
        return store(...args);
      }) as typeof store;
      try {
        control.publish(3, after);
        published = true;
      } catch {
        assert.deepEqual(control.tail(3), before, `after ${diesAt} stores`);
      } finally {
        Atomics.store = store;
      }
      // The next holder of the lock is not confused by what the dead one left.
      control.publish(3, after);
      assert.deepEqual(control.tail(3), after);
    }
  });

  it('keeps queues apart, the last one too', () => {
    const control = new ControlMemory();
    control.occupy(16_383, 7, after, 4, 5);
    control.occupy(16_382, 6, before, 1, 2);
    assert.deepEqual([control.tail(16_383), control.minOffset(16_383), control.flushed(16_383), control.topic(16_383)], [after, 4, 5, 7]);
    assert.deepEqual([control.tail(16_382), control.minOffset(16_382), control.flushed(16_382), control.topic(16_382)], [before, 1, 2, 6]);
    assert.equal(control.topic(16_381), 0);
  });

  it('frees the locks of one holder only', () => {
    const control = new ControlMemory();
    assert.ok(control.tryLock(0, 1) && control.tryLock(1, 2) && control.tryLock(2, 1));
    assert.equal(control.tryLock(0, 2), false);
    control.freeLocksOf(1);
    assert.deepEqual([control.tryLock(0, 3), control.tryLock(1, 3), control.tryLock(2, 3)], [true, false, true]);
  });

  it('never takes back what is flushed', () => {
    const control = new ControlMemory();
    control.raiseFlushed(0, 9);
    control.raiseFlushed(0, 4);
    assert.equal(control.flushed(0), 9);
  });
});
