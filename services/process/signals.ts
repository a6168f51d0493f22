/** A terminal signals the whole process group, and npm or a wrapper passes the signal on: what comes so soon is the same one again. */
const SAME_SIGNAL_MS = 300;
const PARENT_CHECK_MS = 500;

export interface EndRequest {
  /** Resolves at the first SIGINT or SIGTERM. */
  readonly asked: Promise<void>;
  /** Listens no more: the process ends by itself, or by the next signal. */
  dispose(): void;
}

/**
 * Listens for SIGINT and SIGTERM; a second one ends the process at once. Keeps the process alive until it is disposed of, for timers do not,
 * and a start or a stop may wait for nothing else. Call it before the start: a signal that comes during the start must stop what was started
 * in order, too.
 *
 * npm passes SIGTERM to the shell that it runs its script in, and many shells die of it without telling this process, which would keep the
 * ports and the data folder: under npm, the end of the parent asks for the end as well.
 */
export function listenForEnd(): EndRequest {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const parent = process.env['npm_lifecycle_event'] === undefined ? undefined : process.ppid;
  const alive = setInterval(() => {
    if (askedAt === undefined && parent !== undefined && process.ppid !== parent) onSignal();
  }, PARENT_CHECK_MS);
  let askedAt: number | undefined;
  let ask: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const onSignal = (): void => {
    if (askedAt !== undefined && performance.now() - askedAt > SAME_SIGNAL_MS) process.exit(130);
    askedAt ??= performance.now();
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
