import { type FSWatcher, watch } from 'node:fs';

/** More watches than this would use up what the kernel gives a user; the rest is looked at by the interval alone. */
const watchesMax = 64;

/**
 * Tells which files were written to, at once where the system tells (`fs.watch`); callers look by themselves now and then, since it
 * does not everywhere (network file systems, containers, a limit reached).
 */
export class FileChanges {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #changed = new Set<string>();
  #wake: (() => void) | undefined;

  /** Watches what lies at `path` now. Again after another file came to lie there. */
  follow(path: string): void {
    this.#watchers.get(path)?.close();
    this.#watchers.delete(path);
    if (this.#watchers.size >= watchesMax) return;
    try {
      const watcher = watch(path, { persistent: false }, () => {
        this.#changed.add(path);
        this.#wake?.();
      });
      watcher.on('error', () => watcher.close());
      this.#watchers.set(path, watcher);
    } catch {
      // The interval finds the changes.
    }
  }

  /** Whether `path` was written to since the last call. */
  take(path: string): boolean {
    return this.#changed.delete(path);
  }

  /** Resolves at a change, after `ms`, or when the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#changed.size > 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = undefined;
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    this.#wake?.();
  }
}
