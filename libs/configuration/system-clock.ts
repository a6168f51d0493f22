import type { Clock } from '@rocketmq-connect/sdk';

/** The machine's clock. Monotonic time is the same in all threads and processes of a machine. Timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.max(0, ms));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
