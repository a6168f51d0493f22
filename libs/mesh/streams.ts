/**
 * What one side of a stream has sent and the other has not read yet, read as an async iterable. Ends after what was put before it;
 * `abort` throws away what was not read. The reader's leaving (`break`) calls `onLeave`.
 */
export class Mailbox<T> implements AsyncIterableIterator<T> {
  readonly #items: T[] = [];
  readonly #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (reason: unknown) => void }[] = [];
  readonly #onTake: () => void;
  readonly #onLeave: () => void;
  #end: { readonly error?: unknown } | undefined;

  constructor(onTake: () => void = () => {}, onLeave: () => void = () => {}) {
    this.#onTake = onTake;
    this.#onLeave = onLeave;
  }

  get size(): number {
    return this.#items.length;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  put(item: T): void {
    if (this.#end !== undefined) return;
    const reader = this.#waiting.shift();
    if (reader === undefined) {
      this.#items.push(item);
      return;
    }
    reader.resolve({ done: false, value: item });
    this.#onTake();
  }

  end(): void {
    this.#finish({});
  }

  fail(error: unknown): void {
    this.#finish({ error });
  }

  abort(error: unknown): void {
    if (this.#end?.error !== undefined) return;
    this.#end = undefined;
    this.#items.length = 0;
    this.#finish({ error });
  }

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#onTake();
      return Promise.resolve({ done: false, value: item });
    }
    if (this.#end === undefined) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    return this.#end.error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(this.#end.error);
  }

  return(): Promise<IteratorResult<T>> {
    this.#end = {};
    this.#items.length = 0;
    for (const reader of this.#waiting.splice(0)) reader.resolve({ done: true, value: undefined });
    this.#onLeave();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const reader of this.#waiting.splice(0)) {
      if (end.error === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(end.error);
    }
  }
}

/**
 * Writes every item of `items`; `write` resolves when there is room for the next. Rejects with the signal's reason as soon as it is
 * aborted, and lets the producer know by `return`, without waiting for it.
 */
export async function pump<T>(items: AsyncIterable<T>, signal: AbortSignal, write: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  // One listener for the whole stream: racing each item against one promise would keep a reaction per item alive.
  let interrupt: (reason: unknown) => void = () => {};
  const onAbort = (): void => interrupt(signal.reason);
  const unlessAborted = <R>(work: () => Promise<R>): Promise<R> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      interrupt = reject;
      work().then(resolve, reject);
    });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    while (true) {
      const result = await unlessAborted(() => iterator.next());
      if (result.done === true) return;
      await unlessAborted(() => write(result.value));
    }
  } catch (error) {
    iterator.return?.().catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
