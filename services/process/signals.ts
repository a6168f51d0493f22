/** A terminal signals the whole process group, and npm or a wrapper passes the signal on: what comes so soon is the same one again. */
const SAME_SIGNAL_MS = 300;

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. Keeps the process alive meanwhile. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const alive = setInterval(() => {}, 60_000);
    const onSignal = (signal: NodeJS.Signals): void => {
      clearInterval(alive);
      const at = performance.now();
      for (const name of ['SIGINT', 'SIGTERM'] as const) {
        process.off(name, onSignal);
        process.on(name, () => {
          if (performance.now() - at > SAME_SIGNAL_MS) process.exit(130);
        });
      }
      resolve(signal);
    };
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  });
}
