/**
 * Lets those who ask for the same while it is being read share the next reading, which begins after all of them asked: no answer is older than
 * its question (Invariant 4), and a thousand tasks that start at once do not each have all that belongs to their connector read.
 */
export function sharedReads<T>(read: (of: string) => Promise<T>): (of: string) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  const waiting = new Map<string, Promise<T>>();
  const begin = (of: string): Promise<T> => {
    const reading = read(of).finally(() => {
      if (running.get(of) === reading) running.delete(of);
    });
    running.set(of, reading);
    return reading;
  };
  return (of) => {
    const before = running.get(of);
    if (before === undefined) return begin(of);
    const joined = waiting.get(of);
    if (joined !== undefined) return joined;
    const next = before
      .catch(() => undefined)
      .then(() => {
        waiting.delete(of);
        return begin(of);
      });
    waiting.set(of, next);
    return next;
  };
}
