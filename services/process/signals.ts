/** A terminal signals the whole process group, and npm or a wrapper passes the signal on: what comes so soon is the same one again. */
const SAME_SIGNAL_MS = 300;

export interface EndRequest {
  /** Resolves at the first SIGINT or SIGTERM. */
  readonly asked: Promise<void>;
  /** Listens no more: the process ends by itself, or by the next signal. */
  dispose(): void;
}

/**
 * Listens for SIGINT and SIGTERM and keeps the process alive until one comes; a second one ends the process at once. Call it before the
 * start: a signal that comes during the start must stop what was started in order, too.
 */
export function listenForEnd(): EndRequest {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const alive = setInterval(() => {}, 60_000);
  let askedAt: number | undefined;
  let ask: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const onSignal = (): void => {
    if (askedAt !== undefined && performance.now() - askedAt > SAME_SIGNAL_MS) process.exit(130);
    askedAt ??= performance.now();
    clearInterval(alive);
    ask();
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    asked,
    dispose: () => {
      clearInterval(alive);
      for (const name of signals) process.off(name, onSignal);
    },
  };
}
