/** Time, timers and randomness, injected everywhere outside adapters so that the whole mesh can run on virtual time. */
export interface Clock {
  /** Milliseconds since the epoch; for people, never for decisions. */
  now(): number;
  /** Monotonic milliseconds, with fractions; for every decision. */
  monotonic(): number;
  /** Calls back once after `ms`; the result cancels. Does not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
}

/** A number in [0, 1). */
export type Random = () => number;

/** Resolves after `ms`, or rejects with the signal's reason. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
