const CHECKS = 5;

/**
 * Calls `onBlocked` when the beats stand still for about `blockedAfterMs`. Counts looks instead of time: a process that was suspended looks
 * once when it goes on, and blames no host for it. A host that has not beaten yet is still being loaded; the limits of starts are for that.
 */
export function watchPulse(beats: () => number, blockedAfterMs: number, onBlocked: () => void): () => void {
  let last = 0;
  let missed = 0;
  const timer = setInterval(() => {
    const now = beats();
    missed = now === last && now !== 0 ? missed + 1 : 0;
    last = now;
    if (missed === CHECKS) onBlocked();
  }, blockedAfterMs / CHECKS);
  timer.unref();
  return () => clearInterval(timer);
}
