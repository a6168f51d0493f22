/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. Keeps the process alive meanwhile. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const alive = setInterval(() => {}, 60_000);
    const onSignal = (signal: NodeJS.Signals): void => {
      clearInterval(alive);
      for (const name of ['SIGINT', 'SIGTERM'] as const) {
        process.off(name, onSignal);
        process.on(name, () => process.exit(130));
      }
      resolve(signal);
    };
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  });
}
